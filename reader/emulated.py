"""An emulated two-slot reader ("bi-fente") in this process: one slot for the Vitale, one for the CPS."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from reader.errors import ReaderError
from reader.slot import Card, Observer, Slot

SLOT_NAMES = ("Vitale", "CPS")


class EmulatedReader:
    """Named slots, empty at first. Used as a context manager it takes the cards out at the end."""

    def __init__(self, slot_names: Sequence[str] = SLOT_NAMES) -> None:
        self.slots: tuple[Slot, ...] = tuple(Slot(name) for name in slot_names)

    def __repr__(self) -> str:
        return f"EmulatedReader({', '.join(map(repr, self.slots))})"

    def __enter__(self) -> EmulatedReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def slot(self, name: str) -> Slot:
        """The slot of this name, whatever the case of its letters; raises ReaderError when there is none."""
        for slot in self.slots:
            if slot.name.lower() == name.lower():
                return slot
        names = ", ".join(slot.name for slot in self.slots)
        raise ReaderError(f"The reader has no {name} slot: use one of {names}.", slot=name)

    def insert(self, name: str, card: Card) -> Slot:
        """Put a card into the slot of this name; the slot."""
        slot = self.slot(name)
        slot.insert(card)
        return slot

    def observe(self, observer: Observer) -> None:
        """Let `observer` see every exchange of every slot."""
        for slot in self.slots:
            slot.observe(observer)

    def close(self) -> None:
        """Take every card out."""
        for slot in self.slots:
            slot.remove()
