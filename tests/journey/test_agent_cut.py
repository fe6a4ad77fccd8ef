"""Promise B6 through an agent: the network cut before any frame of a visit leaves an FSE kept whole or not
at all.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.exchange.calendar import legal_day
from gateway.pipeline import bill
from gateway.practice import Practice
from reader.agent import link
from reader.emulated import EmulatedReader
from reader.errors import ReaderError
from tests.reader.agent.lines import Away, Typist, away, until
from tools.bench import Bench


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "LOOK_SECONDS", 0.02)


def visit(practice: Practice, agent: Away) -> int:
    """One whole visit at the agent's cards, the PIN typed there; the FSE number."""
    desk = Desk(agent.borrowed)
    act = CareAct(date=legal_day(practice.clock.now()), acts=(Act("G"),))
    cps = desk.unlock()
    try:
        with desk.vitale() as vitale:
            return bill(practice, cps, vitale, act).number
    finally:
        desk.lock()


@pytest.mark.slow
def test_the_network_is_cut_at_every_frame(
    practice: Practice, bench: Bench, record_property: Callable[[str, object], None]
) -> None:
    """Cut before each frame, sent by either side: whole or not at all, no number twice, the next visit
    works.
    """
    cuts = stopped = 0
    with EmulatedReader() as local:
        for name, profile in {"CPS": "cps-gp-sector1", "Vitale": "vitale-single"}.items():
            local.insert(name, bench.card(profile))
        typist = Typist(["1234"] * 1000)
        with away(local, typist) as agent:
            agent.joined()
            before = [stream.sends for stream in agent.streams]
            visit(practice, agent)
            frames = [stream.sends - sent for stream, sent in zip(agent.streams, before, strict=True)]
        assert min(frames) > 40
        numbers = {row.number for row in practice.store.fse_list()}
        for end in (0, 1):
            for after in range(frames[end]):
                with away(local, typist) as agent:
                    agent.joined()
                    stream = agent.streams[end]
                    stream.cut_after = stream.sends + after
                    typed = len(typist.asked)
                    try:
                        visit(practice, agent)
                    except (GatewayError, ReaderError) as refusal:
                        stopped += 1
                        assert "CPS" in str(refusal) or "Vitale" in str(refusal), str(refusal)
                    cuts += 1
                    assert len(typist.asked) - typed <= 1, "a PIN was asked twice for one visit"
                now = {row.number for row in practice.store.fse_list()}
                assert len(now - numbers) <= 1
                numbers = now
        assert stopped > cuts // 2
        with away(local, typist) as agent:
            agent.joined()
            until(lambda: agent.borrowed.slot("Vitale").is_present)
            assert visit(practice, agent) not in numbers, "an FSE number was used twice"
    record_property("promise B6 (agent)", {"cuts": cuts, "half": 0})
