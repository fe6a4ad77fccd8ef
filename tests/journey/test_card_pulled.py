"""Promise B6: a card pulled out between any two APDUs of the line leaves an FSE kept whole or not at all."""

from __future__ import annotations

import pytest

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.desk import Desk
from gateway.errors import CardRefusal, GatewayError
from gateway.exchange.calendar import legal_day
from gateway.pipeline import bill
from gateway.practice import Practice
from reader.emulated import EmulatedReader
from reader.errors import ReaderError
from tools.bench import TEST_PIN, Bench


class Puller:
    """Pulls the card of a slot right after the n-th exchange of the whole visit."""

    def __init__(self, reader: EmulatedReader, slot: str, after: int) -> None:
        self.reader, self.slot, self.left = reader, slot, after

    def __call__(self, _slot: str, _command: bytes, _answer: bytes) -> None:
        self.left -= 1
        if self.left == 0:
            self.reader.slot(self.slot).remove()


def visit(practice: Practice, desk: Desk) -> int:
    """One whole visit; the FSE number."""
    act = CareAct(date=legal_day(practice.clock.now()), acts=(Act("G"),))
    cps = desk.unlock(TEST_PIN)
    with desk.vitale() as vitale:
        return bill(practice, cps, vitale, act).number


def exchanges_of_a_visit(practice: Practice, reader: EmulatedReader) -> int:
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    reader.observe(note)
    visit(practice, Desk(reader))
    return count


@pytest.mark.parametrize("slot", ["CPS", "Vitale"])
def test_pulled_after_every_exchange(
    practice: Practice, bench: Bench, reader: EmulatedReader, slot: str
) -> None:
    """At every exchange: kept whole or not at all, the sentence names the slot, the next visit works."""
    total = exchanges_of_a_visit(practice, reader)
    assert total > 30
    numbers = {row.number for row in practice.store.fse_list()}
    cards = {"CPS": "cps-gp-sector1", "Vitale": "vitale-single"}
    stopped = 0
    for after in range(1, total + 1):
        with EmulatedReader() as fresh:
            for name, profile in cards.items():
                fresh.insert(name, bench.card(profile))
            fresh.observe(Puller(fresh, slot, after))
            try:
                visit(practice, Desk(fresh))
            except (GatewayError, ReaderError) as refusal:
                stopped += 1
                assert slot in str(refusal), str(refusal)
                assert isinstance(refusal, ReaderError | CardRefusal)
            now = {row.number for row in practice.store.fse_list()}
            assert len(now - numbers) <= 1
            numbers = now
    assert stopped > total // 2
    with EmulatedReader() as fresh:
        for name, profile in cards.items():
            fresh.insert(name, bench.card(profile))
        last = visit(practice, Desk(fresh))
    assert last not in numbers, "an FSE number was used twice"
