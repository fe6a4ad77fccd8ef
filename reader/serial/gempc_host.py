"""GemPC-Twin serial line, the host's end, no I/O: frames of `reader.serial.gempc` around a `CcidHost`.

A reader that echoes sends every command back before it answers; the echo is known by its message type, its
content is not compared. A frame with a wrong LRC is asked for again (NAK), a bounded number of times. A NAK
of the reader makes the command go out again, for a reader that refuses a frame has not carried it out; never
after a NAK of ours, when it may have.

Bytes in any chunks give the same events; at most one frame is held. `silence` is to be called when no more of
a frame comes for SILENCE seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from card.iso7816.check import exclusive_or
from reader.ccid import host as ccid
from reader.ccid.frames import ANSWERED_BY, HEADER_SIZE, MAX_DATA, Type
from reader.serial.gempc import ACK, NAK, NAK_FRAME, NOTICE, OVERHEAD, SYNC, Variant, framed

MAX_REPEATS = 3
"""How often a frame goes out again, in each direction, during one command."""

MAX_REQUESTS, MAX_NOTICES, MAX_NOISE = 200, 64, 4096
"""Single bytes asking for time, notices of movement, bytes that are nothing: during one command."""

_ANSWER_TYPES = frozenset(ANSWERED_BY.values())


@dataclass(frozen=True, slots=True)
class Moved:
    """Cards moved: two bits per slot from bit 0, present and changed (CCID 1.10, 6.3.1)."""

    states: int

    def changed(self, slot: int) -> bool:
        """True when the card of this slot was put in or pulled out."""
        return bool(self.states >> 2 * slot & 2)


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes that must go to the reader now."""

    data: bytes


Event = ccid.Event | Moved | Reply


class GemPcHost:
    """One conversation over the line; the events of `CcidHost`, and `Moved` and `Reply`."""

    def __init__(self, *, echo: bool) -> None:
        self._ccid = ccid.CcidHost()
        self._echo = echo
        self._buffer = bytearray()
        self._frame = b""
        self._restart()

    @property
    def is_partial(self) -> bool:
        """True in the middle of a frame, or after one whose end cannot be known."""
        return bool(self._buffer) or self._lost

    def command(self, kind: int, slot: int, parameters: bytes = b"\0\0\0", data: bytes = b"") -> bytes:
        """The frame of a new command; one still under way is given up."""
        self._frame = framed(self._ccid.command(kind, slot, parameters, data))
        self._restart()
        return self._frame

    def resynchronise(self) -> None:
        """The line is quiet and empty: what was received in part is forgotten."""
        self._buffer.clear()
        self._ccid.resynchronise()
        self._restart()

    def silence(self) -> list[Event]:
        """No more of a frame comes: it is asked for again."""
        if not self.is_partial:
            return []
        self._buffer.clear()
        self._lost = False
        return [self._wrong()]

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes of the reader."""
        self._buffer += data
        events: list[Event] = []
        at, before = 0, -1
        while at != before and not self._broken:
            before = at
            at = self._one(at, events)
        del self._buffer[:at]
        if self._broken:
            self._buffer.clear()
        return events

    def _restart(self) -> None:
        self._echo_due = self._echo
        self._repeats = self._asked_again = 0
        self._requests = self._notices = self._noise = 0
        self._lost = self._broken = False

    def _one(self, at: int, events: list[Event]) -> int:
        """Deal with what begins at `at`; where the rest begins, or `at` when more bytes are needed."""
        buffer, size = self._buffer, len(self._buffer) - at
        if not size:
            return at
        if self._lost:
            return self._dropped(at, size, events)
        first = buffer[at]
        if first == SYNC:
            return self._synchronised(at, size, events)
        if first == NOTICE:
            if size < 2:
                return at
            self._notices += 1
            events.append(self._counted(self._notices, MAX_NOTICES, Moved(buffer[at + 1])))
            return at + 2
        if first >= 0x80:
            self._requests += 1
            events.append(self._counted(self._requests, MAX_REQUESTS, ccid.MoreTime(1)))
            return at + 1
        return self._dropped(at, 1, events)

    def _synchronised(self, at: int, size: int, events: list[Event]) -> int:
        buffer = self._buffer
        if size < 3:
            return at
        if buffer[at + 1] == NAK and buffer[at + 2] == SYNC ^ NAK:
            events.append(self._refused())
            return at + 3
        if buffer[at + 1] != ACK:
            return self._dropped(at, 1, events)
        if size < 2 + HEADER_SIZE:
            return at
        length = int.from_bytes(buffer[at + 3 : at + 7], "little")
        if length > MAX_DATA:
            self._lost = True
            return at + 2 + HEADER_SIZE
        end = at + OVERHEAD + length
        if len(buffer) < end:
            return at
        events += self._whole(bytes(buffer[at:end]))
        return end

    def _whole(self, frame: bytes) -> list[Event]:
        is_answer = frame[2] in _ANSWER_TYPES
        if not is_answer and self._echo_due:
            self._echo_due = False
            return []
        if exclusive_or(frame):
            return [self._wrong()]
        if not is_answer:
            return [ccid.Strange("an echo that was not expected")]
        return [self._ended(self._ccid.message(frame[2:-1]))]

    def _wrong(self) -> Event:
        """A frame that was not understood: ask for it again."""
        self._asked_again += 1
        return self._counted(self._asked_again, MAX_REPEATS, Reply(NAK_FRAME))

    def _refused(self) -> Event:
        """The reader did not understand our frame: it goes out again, echo and all."""
        if self._asked_again:
            return ccid.Strange("a NAK to our NAK")
        self._repeats += 1
        self._echo_due = self._echo
        return self._counted(self._repeats, MAX_REPEATS, Reply(self._frame))

    def _dropped(self, at: int, count: int, events: list[Event]) -> int:
        self._noise += count
        if self._noise > MAX_NOISE:
            events.append(self._ended(ccid.Broken("there is noise on the line")))
        return at + count

    def _counted(self, count: int, most: int, event: Event) -> Event:
        return event if count <= most else self._ended(ccid.Broken("the reader repeats itself without end"))

    def _ended(self, event: ccid.Event) -> ccid.Event:
        self._broken = isinstance(event, ccid.Broken)
        return event


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the open sequence: `may_fail` when readers of the family need not know it."""

    kind: int
    data: bytes = b""
    seconds: float = 3.0
    may_fail: bool = False


TEXTS = (
    "Essais restants:",
    "Entrer code",
    "Nouveau code",
    "Confirmer code",
    "Code correct",
    "Code faux",
    "Temps depasse",
    "* essai restant",
    "Inserer carte",
    "Erreur carte",
)
"""Ten lines of at most sixteen characters for the display of a PIN pad."""


def opening(variant: Variant) -> tuple[Step, ...]:
    """What a host says first, in the order libccid does: who are you, how to tell movement, is a card there.

    Movement is told before an answer, never between (escape 01 01 01).
    """
    if variant.auto:
        return (Step(Type.ESCAPE, b"\x06", 2.0),)
    steps = [
        Step(Type.ESCAPE, b"\x02", 2.0),
        Step(Type.ESCAPE, b"\x01\x01\x01"),
        *(Step(Type.GET_SLOT_STATUS),) * 3,
        Step(Type.ESCAPE, b"\x6a", may_fail=True),
    ]
    if variant.pad:
        texts = "".join(text.ljust(16) for text in TEXTS).encode("ascii")
        steps.append(Step(Type.ESCAPE, b"\xb2\xa0\x00\x4d\x4c" + texts, may_fail=True))
    return tuple(steps)
