"""An emulated two-slot reader ("bi-fente") in this process: one slot for the Vitale, one for the CPS."""

from __future__ import annotations

from reader.reader import SLOT_NAMES, Reader
from reader.slot import Card, Slot

__all__ = ["SLOT_NAMES", "EmulatedReader"]


class EmulatedReader(Reader):
    """Slots that somebody fills by hand: `insert("CPS", card)`."""

    def insert(self, name: str, card: Card) -> Slot:
        """Put a card into the slot of this name; the slot."""
        slot = self.slot(name)
        slot.insert(card)
        return slot
