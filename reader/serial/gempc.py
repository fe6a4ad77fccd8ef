"""GemPC-Twin serial line, the reader's end: frames around CCID messages, echo, notices of card movement.

    frame         03 06, CCID message, LRC (exclusive or of everything before)
    not accepted  03 15 16: the other end sends its frame again
    movement      50 and two bits per slot (CCID 1.10, 6.3.1), only between frames
    more time     one byte, 80 to FF

Variants differ in slots, keypad and echo: a GemPC Twin and a GemPC Pinpad send every command back before they
answer it. Bytes in any chunks give the same events; at most one frame is kept. `silence` must be called when
the line has been quiet for SILENCE seconds: a frame of which no more comes is given up.
"""

from __future__ import annotations

from dataclasses import dataclass

from card.iso7816.check import exclusive_or
from reader.ccid.device import CcidDevice
from reader.ccid.events import CardLink, Event, Send
from reader.ccid.frames import HEADER_SIZE, MAX_DATA
from reader.pinpad import Outcome, PinEntry

SYNC, ACK, NAK = 0x03, 0x06, 0x15
NOTICE, TIME_REQUEST = 0x50, b"\x80"
NAK_FRAME = bytes((SYNC, NAK, SYNC ^ NAK))
OVERHEAD = 2 + HEADER_SIZE + 1
"""Bytes of a frame around the data of its message."""

SILENCE = 0.5
"""Seconds after which the rest of a frame is no longer awaited."""

MAX_ECHOED_ESCAPE = 50
"""Data of an escape that is echoed whole. A host reads the echo into the buffer for the answer, which for the
texts of a PIN pad (165 bytes) is too short: of longer ones the header alone comes back, with dwLength 0."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A model of the family. `device`: its name in DEVICENAME of reader.conf, after the path and a colon."""

    name: str
    device: str
    title: str
    slots: int = 1
    echo: bool = False
    pad: bool = False
    auto: bool = False


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("gempctwin", "GemPCTwin", "Twin", echo=True),
        Variant("gempcpinpad", "GemPCPinPad", "PinPad", echo=True, pad=True),
        Variant("gemcorepospro", "GemCorePOSPro", "POS Pro", slots=5),
        Variant("gemcoresimpro2", "GemCoreSIMPro2", "SIM Pro", slots=2),
        Variant("sec1210", "SEC1210", "SEC1210", slots=2, auto=True),
    )
}

# INVENTED(reader-firmware): our reader names itself as its firmware, so that nobody takes it for a real one.
FIRMWARE = b"VitaleGateway-V1.00"


def framed(message: bytes) -> bytes:
    """SYNC, ACK, the message, LRC."""
    frame = b"\x03\x06" + message
    return frame + bytes((exclusive_or(frame),))


def _is_one_frame(data: bytes) -> bool:
    """Nothing but one good frame, as a host sends that waits for each answer."""
    size = len(data) - OVERHEAD
    return (
        0 <= size <= MAX_DATA
        and data[0] == SYNC
        and data[1] == ACK
        and int.from_bytes(data[3:7], "little") == size
        and not exclusive_or(data)
    )


class GemPcDevice:
    """An emulated reader at its serial line."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self._ccid = CcidDevice(
            variant.slots, pad=variant.pad, auto=variant.auto, all_messages=variant.pad, escape=self._escape
        )
        self._buffer = bytearray()
        self._last = b""  # the last answer, for a host that did not understand it
        self._notices: dict[int, bytes] = {}  # by slot, what the host has not been told yet
        self._notices_wait = variant.auto  # movement is told only before an answer ("synchronous")
        self._given_up: list[Event] = []

    # ---- the line

    @property
    def is_partial(self) -> bool:
        """True in the middle of a frame of the host."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Event]:
        """Bytes of the host; what goes back is one Send per answered frame, echo included."""
        if not self._buffer and _is_one_frame(data):
            return self._command(data)
        self._buffer += data
        events: list[Event] = []
        at = 0
        while (end := self._frame(at, events)) > at:
            at = end
        del self._buffer[:at]
        return events

    def silence(self) -> list[Event]:
        """The line is quiet: half a frame is refused, and what follows is read afresh."""
        if not self._buffer:
            return []
        self._buffer.clear()
        return [Send(NAK_FRAME)]

    def _frame(self, at: int, events: list[Event]) -> int:
        """Deal with what begins at `at`; where the rest begins, or `at` when more bytes are needed."""
        buffer = self._buffer
        if len(buffer) == at:
            return at
        if buffer[at] != SYNC:
            start = buffer.find(SYNC, at)
            return len(buffer) if start < 0 else start
        if len(buffer) < at + 3:
            return at
        if buffer[at + 1] == NAK and buffer[at + 2] == SYNC ^ NAK:
            if self._last:
                events.append(Send(self._last))
            return at + 3
        if buffer[at + 1] != ACK:
            return at + 1
        if len(buffer) < at + 7:
            return at
        size = int.from_bytes(buffer[at + 3 : at + 7], "little")
        if size > MAX_DATA:
            events.append(Send(NAK_FRAME))  # its end cannot be known: look for the next frame
            return at + 2
        end = at + OVERHEAD + size
        if len(buffer) < end:
            return at
        frame = bytes(buffer[at:end])
        events += self._command(frame) if not exclusive_or(frame) else [Send(NAK_FRAME)]
        return end

    def _command(self, frame: bytes) -> list[Event]:
        first = self._echo(frame) if self.variant.echo else b""
        return self._wired(self._ccid.feed(frame[2:-1]), first)

    @staticmethod
    def _echo(frame: bytes) -> bytes:
        if frame[2] != 0x6B or len(frame) - OVERHEAD <= MAX_ECHOED_ESCAPE:
            return frame
        return framed(frame[2:3] + bytes(4) + frame[7:12])

    def _wired(self, events: list[Event], first: bytes = b"") -> list[Event]:
        """Events of the reader as they look on the line: `first` (an echo) and notices before the answer."""
        wired: list[Event] = []
        for event in events:
            if isinstance(event, Send):
                answer = framed(event.data)
                self._last = answer
                wired.append(Send(first + self._told() + answer))
                first = b""
            else:
                wired.append(event)
        if self._given_up:
            wired += self._given_up
            self._given_up = []
        if first:
            wired.insert(0, Send(first))
        return wired

    # ---- cards and digits

    def insert(self, slot: int, link: CardLink) -> list[Event]:
        """A card is put in."""
        events = self._wired(self._ccid.insert(slot, link))
        return events + self._moved(slot)

    def remove(self, slot: int) -> list[Event]:
        """The card is pulled out."""
        if not self._ccid.is_present(slot):
            return []
        events = self._wired(self._ccid.remove(slot))
        return events + self._moved(slot)

    def _moved(self, slot: int) -> list[Event]:
        """Tell the host, or keep it for later: never inside a frame, and as the host has chosen."""
        if slot >= 4:
            return []  # one byte holds the state of four slots
        states = 0
        for number in range(min(self.variant.slots, 4)):
            states |= self._ccid.is_present(number) << 2 * number
        self._notices[slot] = bytes((NOTICE, states | 0b10 << 2 * slot))
        if self._notices_wait or self._buffer or self._waits_for_digits():
            return []
        return [Send(self._told())]

    def _told(self) -> bytes:
        if not self._notices:
            return b""
        told = b"".join(self._notices.values())
        self._notices.clear()
        return told

    def is_present(self, slot: int) -> bool:
        """True while a card is in the slot."""
        return self._ccid.is_present(slot)

    def is_active(self, slot: int) -> bool:
        """True while the card in the slot has power."""
        return self._ccid.is_active(slot)

    def pending(self, slot: int) -> PinEntry | None:
        """The PIN entry this slot waits for."""
        return self._ccid.pending(slot)

    def enter(self, slot: int, outcome: Outcome) -> list[Event]:
        """What became of a PIN entry."""
        return self._wired(self._ccid.enter(slot, outcome))

    def extend(self) -> list[Event]:
        """One byte asks the host for more time while digits are awaited; nothing otherwise."""
        return [Send(TIME_REQUEST)] if self._waits_for_digits() and not self._buffer else []

    def _waits_for_digits(self) -> bool:
        return any(self._ccid.pending(slot) for slot in range(self.variant.slots))

    # ---- escapes

    def _escape(self, _slot: int, data: bytes) -> bytes | None:
        """The reader's own commands, as far as hosts of this family send them; None when unknown."""
        if data in (b"\x02", b"\x06"):
            return self._opened()
        if data in (b"\x01\x01\x01", b"\x01\x01\x00"):
            self._notices_wait = data[2] == 1
            return b""
        if data == b"\x01\x10\x20":  # from 9600 to 115200 baud: a pseudo-terminal has no speed
            return b""
        if data[:5] == b"\xb2\xa0\x00\x4d\x4c" and self.variant.pad:
            return b""  # ten texts of sixteen characters for the display
        return None

    def _opened(self) -> bytes:
        """A host begins: whoever asked for digits before is gone, and movements until now are no news."""
        self._given_up = list(self._ccid.give_up_entries())
        self._notices.clear()
        return FIRMWARE
