"""A card that lies in the middle of a visit: the whole line from PIN to kept FSE (promises A7, A10, A11).

Emulated cards, some answers of which are spoilt on their way. Either an FSE is kept that both signed, or
one GatewayError or ReaderError says why not, and says nothing of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.exchange.calendar import legal_day
from gateway.lots.fse import Fse
from gateway.pipeline import bill
from gateway.practice import Practice
from reader.emulated import EmulatedReader
from reader.errors import ReaderError
from reader.slot import Card
from tests.gateway.cards.transcripts import SPOILS, Spoilt, everything_said
from tools.bench import TEST_PIN, Bench

PROFILES = {"CPS": "cps-gp-sector1", "Vitale": "vitale-single"}
SPOILT = st.builds(Spoilt, st.sampled_from(sorted(SPOILS)), st.integers(0, 1 << 16), st.integers(0, 1 << 24))


@dataclass
class LyingCard:
    """A card whose answers number `at` and after are spoilt, each by the next of `spoils`."""

    card: Card
    at: int
    spoils: list[Spoilt]
    answers: int = 0

    def power_on(self) -> bytes:
        return self.card.power_on()

    def power_off(self) -> None:
        self.card.power_off()

    def transmit(self, apdu: bytes) -> bytes:
        answer = self.card.transmit(apdu)
        self.answers += 1
        if self.answers >= self.at and self.spoils:
            spoilt = [answer]
            self.spoils.pop(0)(spoilt)
            return spoilt[0] if spoilt else b""
        return answer


def visit(
    practice: Practice, bench: Bench, liar: str, at: int, spoils: list[Spoilt]
) -> tuple[int, LyingCard]:
    """One whole visit with a lying card in the slot `liar`; the number of the FSE that was kept."""
    with EmulatedReader() as reader:
        lying = LyingCard(bench.card(PROFILES[liar]), at, spoils)
        for slot, profile in PROFILES.items():
            reader.insert(slot, lying if slot == liar else bench.card(profile))
        desk = Desk(reader)
        cps = desk.unlock(TEST_PIN)
        with desk.vitale() as vitale:
            act = CareAct(date=legal_day(practice.clock.now()), acts=(Act("G"),))
            return bill(practice, cps, vitale, act).number, lying


@pytest.fixture
def secrets(practice: Practice, bench: Bench) -> list[str]:
    """Names and NIR of the honest cards; and the twin: their visit keeps its FSE."""
    number, _card = visit(practice, bench, "Vitale", 1, [])
    assert number in {row.number for row in practice.store.fse_list()}
    with EmulatedReader() as reader:
        for slot, profile in PROFILES.items():
            reader.insert(slot, bench.card(profile))
        desk = Desk(reader)
        cps = desk.unlock(TEST_PIN)
        with desk.vitale() as vitale:
            vitale.authenticate(cps)
            rights = vitale.read_rights()
    people = [cps.holder, *rights.beneficiaries]
    found = {word for person in people for word in (person.name, person.first_name)} | {rights.insured_nir}
    assert len(found) >= 5
    return sorted(found)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    liar=st.sampled_from(["CPS", "Vitale"]),
    at=st.integers(1, 70),
    spoils=st.lists(SPOILT, min_size=1, max_size=3),
)
def test_a_lying_card_makes_no_false_sheet(
    practice: Practice, bench: Bench, secrets: list[str], liar: str, at: int, spoils: list[Spoilt]
) -> None:
    """Any answers spoilt: a refusal in words, or an FSE that reads back; never both, nothing else."""
    before = {row.number for row in practice.store.fse_list()}
    number = None
    try:
        number, _card = visit(practice, bench, liar, at, list(spoils))
    except (GatewayError, ReaderError) as refusal:
        said = everything_said(refusal)
        assert not [word for word in secrets if word in said]
    new = {row.number for row in practice.store.fse_list()} - before
    assert new == ({number} if number is not None else set())
    for body in practice.store.fse_bodies(practice.id, sorted(new)):
        assert Fse.parse(body).number == number
