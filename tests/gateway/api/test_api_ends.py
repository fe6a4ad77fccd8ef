"""An API that ends by itself ends the gateway, in good order: half a gateway helps nobody."""

from __future__ import annotations

import threading

import pytest

from gateway.api import server
from gateway.errors import GatewayError
from tests.gateway.api.conftest import PIN, Rig

PATIENCE = 20.0


def test_an_api_that_breaks_ends_the_gateway(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loop meets a mistake: `run` ends, locks the CPS and raises api-ended, without its words."""
    rig.client().open_session(PIN)
    daemon, heard = rig.service.daemon, list[GatewayError]()
    assert daemon.desk.is_unlocked

    def run() -> None:
        try:
            daemon.run(threading.Event())
        except GatewayError as problem:
            heard.append(problem)

    thread = threading.Thread(target=run)
    thread.start()

    async def broken(*_: object) -> bool:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(server._Server, "on_tick", broken)
    thread.join(PATIENCE)
    assert [problem.code for problem in heard] == ["api-ended"]
    assert str(heard[0]) == "the API ended by itself (ZeroDivisionError): the gateway stops, start it again"
    assert not daemon.desk.is_unlocked


def test_the_loop_of_the_api_gives_signs_of_life(rig: Rig) -> None:
    """While it serves it is among the loops that are watched; after its end it is not missed."""
    pulse = rig.service.daemon.pulse
    waiting = threading.Event()
    for _ in range(1000):
        if "api" in pulse.loops():
            break
        waiting.wait(0.01)
    assert pulse.loops()["api"] < PATIENCE
    assert rig.client().session()["state"] == "locked"
