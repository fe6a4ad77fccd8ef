"""What an emulated reader tells its caller, and the card it speaks to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from reader.pinpad import PinEntry


class CardLink(Protocol):
    """The card in a slot as the reader's contacts reach it (`card.iso7816.contacts.TpduLink`)."""

    protocol: int

    def power_on(self) -> bytes:
        """Reset; the ATR."""
        ...

    def power_off(self) -> None:
        """Take the power away."""
        ...

    def exchange(self, data: bytes) -> bytes:
        """A PPS request, a T=0 command or a T=1 block, and what the card says; TimeoutError when mute."""
        ...

    def set_protocol(self, number: int) -> None:
        """Speak T=0 or T=1 from now on."""
        ...


@dataclass(frozen=True, slots=True)
class Send:
    """These bytes go to the host."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AskPin:
    """Digits are needed: call `enter(slot, outcome)` when the person has typed, cancelled or done nothing."""

    slot: int
    entry: PinEntry


@dataclass(frozen=True, slots=True)
class EntryEnded:
    """No digits are needed any more for this slot: entered, card gone, or another host at the line.

    `status` is the status word the host gets, empty when it gets none.
    """

    slot: int
    status: bytes = b""


@dataclass(frozen=True, slots=True)
class PowerChanged:
    """The card in this slot got or lost its power."""

    slot: int
    active: bool


Event = Send | AskPin | EntryEnded | PowerChanged
