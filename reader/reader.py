"""A reader: named slots, whatever is behind them (cards in this process, PC/SC, a serial port)."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from reader.errors import ReaderError
from reader.slot import Observer, Slot

SLOT_NAMES = ("Vitale", "CPS")
"""The two slots of a French "bi-fente" reader, in this order everywhere."""


class Reader:
    """Named slots, empty at first. Used as a context manager it lets every card go at the end.

    A driver makes a subclass: something of its own watches the hardware and calls `slot.insert(card)` and
    `slot.remove()`; `close()` ends that watch first, then `super().close()`.
    """

    def __init__(self, slot_names: Sequence[str] = SLOT_NAMES) -> None:
        self.slots: tuple[Slot, ...] = tuple(Slot(name) for name in slot_names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.slots))})"

    def __enter__(self) -> Self:
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

    def observe(self, observer: Observer) -> None:
        """Let `observer` see every exchange of every slot."""
        for slot in self.slots:
            slot.observe(observer)

    def close(self) -> None:
        """Let every card go; safe to call again."""
        for slot in self.slots:
            slot.remove()
