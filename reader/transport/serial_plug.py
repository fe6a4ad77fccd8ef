"""An emulated GemPC-Twin reader on a pseudo-terminal: bytes of the line to the machine and back."""

from __future__ import annotations

from collections.abc import Callable

from card.iso7816.contacts import ApduCard, TpduLink
from reader.ccid.events import AskPin, EntryEnded, Event, PowerChanged, Send
from reader.keypad import Keypad
from reader.pinpad import Outcome
from reader.serial.gempc import SILENCE, GemPcDevice
from reader.transport.loop import Loop, Timer
from reader.transport.pty import Pty

Moved = Callable[[int], None]
"""Something of this slot changed: a card, its power, a PIN entry."""


class SerialPlug:
    """Connects a machine to its line. `keypad` is set by who makes one; without it nobody types."""

    def __init__(self, loop: Loop, pty: Pty, device: GemPcDevice, moved: Moved) -> None:
        self._loop, self._pty, self._device, self._moved = loop, pty, device, moved
        self.keypad: Keypad | None = None
        self._quiet: Timer | None = None
        loop.watch(pty.fileno(), self._hear)

    def insert(self, slot: int, card: ApduCard) -> None:
        """A card is put in."""
        self._act(self._device.insert(slot, TpduLink(card)))

    def remove(self, slot: int) -> None:
        """The card is pulled out."""
        self._act(self._device.remove(slot))

    def state(self, slot: int) -> str:
        """What is going on, in words."""
        if not self._device.is_present(slot):
            return "empty"
        if self._device.pending(slot):
            return "waits for a PIN on the keypad"
        return "powered" if self._device.is_active(slot) else "no power"

    def enter(self, slot: int, outcome: Outcome) -> bytes:
        """What became of a PIN entry; the status word the host gets."""
        events = self._device.enter(slot, outcome)
        self._act(events)
        return next((event.status for event in events if isinstance(event, EntryEnded)), b"")

    def extend(self) -> None:
        """Ask the host for more time."""
        self._act(self._device.extend())

    def close(self) -> None:
        """Answer what the host has said, hang up and take the link away.

        A dead line is an error to a host that writes to it, but reads as empty again and again: libccid 1.5
        that waits for an answer then waits for ever, and pcscd with it.
        """
        self._loop.forget(self._pty.fileno())
        if self._pty.hold():
            self._hear()
        self._pty.drain()
        self._pty.close()

    def _hear(self) -> None:
        events = self._device.feed(self._pty.read())
        for event in events:
            if type(event) is Send:
                self._pty.write(event.data)
            else:
                self._tell(event)
        if self._device.is_partial and self._quiet is None:
            self._quiet = self._loop.after(SILENCE, self._silence)
        elif self._quiet is not None:
            self._quiet.cancel()
            self._quiet = self._loop.after(SILENCE, self._silence) if self._device.is_partial else None

    def _silence(self) -> None:
        self._quiet = None
        self._act(self._device.silence())

    def _act(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Send):
                self._pty.write(event.data)
            else:
                self._tell(event)

    def _tell(self, event: Event) -> None:
        if isinstance(event, PowerChanged):
            self._moved(event.slot)
        elif self.keypad is not None and isinstance(event, AskPin):
            self.keypad.ask(event.slot, event.entry)
        elif self.keypad is not None and isinstance(event, EntryEnded):
            self.keypad.ended(event.slot)
