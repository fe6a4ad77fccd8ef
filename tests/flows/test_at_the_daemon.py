"""Care acts of every mode through the inbox of the daemon: what each waits for, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.daemon import Daemon
from gateway.exchange.mailbox import Maildir
from gateway.inbox import Inbox
from gateway.seat import Seat
from tests.flows.test_without_vitale import attestation

if TYPE_CHECKING:
    from tests.flows.flow import Flow


class NoLine:
    """A relay that is never asked."""

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Nothing is due in these tests."""

    def abort(self) -> None:
        """Nothing is sent."""


@pytest.fixture
def daemon(flow: Flow, tmp_path: Path) -> Daemon:
    """A daemon over the flow's desk, not running."""
    box = Maildir(tmp_path / "mail", clock=flow.clock)
    said: list[str] = []
    seat = Seat(flow.practice, flow.desk, Inbox(tmp_path / "inbox"), box, said.append)
    seat.paper = tmp_path / "paper"
    return Daemon([seat], NoLine(), said.append)


def drop(flow: Flow, tmp_path: Path, **act: Any) -> None:
    """One care act in the inbox."""
    data = {"date": str(flow.today), "acts": [{"code": "G"}], **act}
    (tmp_path / "inbox" / "one.json").write_text(json.dumps(data), encoding="utf-8")


def answer(tmp_path: Path) -> dict[str, Any] | None:
    """The answer, None while the act waits."""
    path = tmp_path / "inbox" / "done" / "one.answer.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None  # type: ignore[no-any-return]


def test_an_attestation_waits_for_no_vitale(flow: Flow, daemon: Daemon, tmp_path: Path) -> None:
    """The Vitale slot is empty: an act with an attestation is billed, and its paper twin is written."""
    flow.unlock()
    drop(flow, tmp_path, attestation=attestation())
    daemon.turn()
    given = answer(tmp_path)
    assert given is not None
    assert (given["accepted"], given["mode"]) == (True, "without-vitale")
    assert (tmp_path / "paper" / "fse-000000001.txt").exists()


def test_a_secured_act_waits_for_both(flow: Flow, daemon: Daemon, tmp_path: Path) -> None:
    """The twin: without the cards a secured act stays in the inbox, with them it is billed."""
    drop(flow, tmp_path)
    daemon.turn()
    flow.unlock()
    daemon.turn()
    assert answer(tmp_path) is None
    flow.put("Vitale", "vitale-single")
    daemon.turn()
    given = answer(tmp_path)
    assert given is not None
    assert given["accepted"]
    assert "mode" not in given


def test_a_degraded_act_waits_for_no_card(flow: Flow, daemon: Daemon, tmp_path: Path) -> None:
    """No card at all: a degraded act of a place that is known is billed, one that names none is answered."""
    flow.unlock()
    flow.bill()
    place = flow.row(1).practitioner
    flow.put("CPS")
    flow.put("Vitale")
    drop(flow, tmp_path, attestation=attestation(), mode="degraded", practitioner={"place": place})
    daemon.turn()
    given = answer(tmp_path)
    assert given is not None
    assert (given["accepted"], given["number"]) == (True, 2)
    drop(flow, tmp_path, attestation=attestation(), mode="degraded")
    daemon.turn()
    given = answer(tmp_path)
    assert given is not None
    assert (given["accepted"], given["code"]) == (False, "place-unknown")
