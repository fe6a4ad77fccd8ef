"""The desk of a practice whose reader is lent by an agent: its page never asks for the PIN."""

from __future__ import annotations

from dataclasses import dataclass

from card.kernel.os import CardOS
from reader.pinpad import Digits, PinEntry
from tests.gateway.page.visitor import PIN, Rig


@dataclass
class Lent:
    """A card whose PIN is typed where its reader is."""

    card: CardOS
    pad_only: bool = True

    def power_on(self) -> bytes:
        return self.card.power_on()

    def power_off(self) -> None:
        self.card.power_off()

    def transmit(self, apdu: bytes) -> bytes:
        return self.card.transmit(apdu)

    def verify_on_pad(self, entry: PinEntry) -> bytes:
        return self.card.transmit(entry.fill(Digits(PIN)))


def test_the_pin_of_a_lent_card_is_not_asked_for_here(rig: Rig) -> None:
    """No field for digits, one button that asks for them there; the twin with its own reader has both."""
    slot = rig.reader.slot("CPS")
    for pad_only, fields in ((False, 1), (True, 0)):
        slot.remove()
        slot.insert(Lent(rig.bench.card("cps-gp-sector1"), pad_only))
        mine = rig.browser()
        mine.get("/")
        assert mine.raw.count('name="pin"') == fields
        assert mine.raw.count('value="clavier"') == 1
    assert mine.send("/", "/session/ouvrir", comment="clavier") == 303
    assert "Déverrouillée" in mine.page
