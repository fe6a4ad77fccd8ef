"""The line between an agent and a gateway: frames of bounded length, what each may hold, no I/O.

The agent lends the slots of its readers, the gateway borrows them. Every number is big-endian.

    frame    length 2 (of what follows, 6 to 16,384) · kind 1 · slot 1 (FF: none) · request 4 (0: none) · body

    kind     from      body
    HELLO    agent     "VGAG", version 1, number of slots 1, for each: flags 1, counter 4, length 1 and name
    WELCOME  gateway   version 1, seconds between two signs of life 1
    PING     gateway   -                      PONG answers it
    MOVED    agent     flags 1, counter 4     a card was put in or pulled out of this slot
    POWER_ON, POWER_OFF, TRANSMIT, BEGIN, END, ENTER_PIN
             gateway   counter 4, then what the card is to be told; answered once, under the same request
    CANCEL   gateway   -                      the PIN of this request is not awaited any more
    ANSWER   agent     outcome 1, then what the card said
    BYE      both      reason 1               nothing follows
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import construct as wire

# INVENTED(agent-line): no public protocol lends card slots to a hosted gateway; these frames are made up.
VERSION = 1
MAGIC = b"VGAG"
LENGTH, HEAD = 2, 6
MAX_FRAME = 16_384
"""Bytes after the length: a short APDU needs 274; a list of slots or an extended APDU up to this passes
too.
"""

MAX_SLOTS, MAX_NAME = 8, 40
NO_SLOT = 0xFF
COUNTERS = 1 << 32
"""Counters of movements and numbers of requests are below this."""


class Kind(IntEnum):
    """The third byte of a frame."""

    HELLO = 0x01
    WELCOME = 0x02
    PING = 0x03
    PONG = 0x04
    MOVED = 0x05
    BYE = 0x0F
    POWER_ON = 0x10
    POWER_OFF = 0x11
    TRANSMIT = 0x12
    BEGIN = 0x13
    END = 0x14
    ENTER_PIN = 0x15
    CANCEL = 0x1F
    ANSWER = 0x20


class Flag(IntFlag):
    """What a slot is and can do."""

    PRESENT = 0x01  # a card is in it
    PIN = 0x02  # its PIN can be entered where the agent runs: on a pad, or at its page
    SHARED = 0x04  # other programs can reach the card: BEGIN and END keep it from them


_FLAGS_END = 0x08


class Outcome(IntEnum):
    """First byte of an answer: what became of a request."""

    DONE = 0x00
    GONE = 0x01  # no card, or another one than the counter of the request says
    TAKEN = 0x02  # the session with the card has ended (reset by another program, or never begun)
    MUTE = 0x03
    BUSY = 0x04  # another program keeps the card
    NO_PIN = 0x05  # no PIN can be entered there
    REFUSED = 0x06  # the agent relays no such command
    NONSENSE = 0x07  # what the card says is not what a card says
    BROKEN = 0x08  # the reader does not work


class Reason(IntEnum):
    """Why one end hangs up."""

    STOPPING = 0x00
    BROKE_RULES = 0x01
    VERSION = 0x02
    NOT_EXPECTED = 0x03  # no reader of the gateway waits for this agent, or not for this practice
    ALREADY_HERE = 0x04  # another connection of the same agent lives
    REVOKED = 0x05  # its certificate was taken back, or is not in the register
    SILENT = 0x06


REQUESTS = frozenset({Kind.POWER_ON, Kind.POWER_OFF, Kind.TRANSMIT, Kind.BEGIN, Kind.END, Kind.ENTER_PIN})
"""What is answered with an ANSWER."""


class FrameError(ValueError):
    """The other end sends what cannot be a frame: the connection is of no use any more."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `body` may hold anything until its kind's own reader has looked at it."""

    kind: Kind
    slot: int = NO_SLOT
    request: int = 0
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """With its length; ValueError when the body is too long for a frame."""
        size = HEAD + len(self.body)
        if size > MAX_FRAME:
            raise ValueError(f"a frame holds {MAX_FRAME - HEAD} bytes")
        head = bytes((self.kind, self.slot)) + self.request.to_bytes(4, "big")
        return size.to_bytes(LENGTH, "big") + head + self.body


EXAMPLES = (
    (Frame(Kind.PING), "0006 03FF00000000"),
    (Frame(Kind.TRANSMIT, 1, 7, bytes.fromhex("0000000300A4020C")), "000E 120100000007 0000000300A4020C"),
    (Frame(Kind.ANSWER, 1, 7, bytes.fromhex("009000")), "0009 200100000007 009000"),
    (Frame(Kind.BYE, body=bytes((Reason.STOPPING,))), "0007 0FFF00000000 00"),
)
"""Frames and their bytes in hexadecimal."""


class Frames:
    """Bytes in any pieces to frames; keeps no more than one frame. After a FrameError it is of no use."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wrong: FrameError | None = None

    @property
    def is_partial(self) -> bool:
        """True in the middle of a frame."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are now complete. Raises FrameError, after those before it were given."""
        if self._wrong is not None:
            raise self._wrong
        self._buffer += data
        frames: list[Frame] = []
        at = 0
        try:
            while (end := self._end(at)) is not None:
                frames.append(_frame(bytes(self._buffer[at + LENGTH : end])))
                at = end
        except FrameError as wrong:
            self._wrong = wrong
            self._buffer.clear()
            if not frames:
                raise
            return frames
        del self._buffer[:at]
        return frames

    @property
    def is_broken(self) -> bool:
        """True once nothing more can be read; frames before that were given."""
        return self._wrong is not None

    def _end(self, at: int) -> int | None:
        """Where the frame that begins at `at` ends, None while it is not whole."""
        if len(self._buffer) - at < LENGTH:
            return None
        size = int.from_bytes(self._buffer[at : at + LENGTH], "big")
        if not HEAD <= size <= MAX_FRAME:
            raise FrameError("a frame has 6 to 16,384 bytes")
        end = at + LENGTH + size
        return end if end <= len(self._buffer) else None


def _frame(content: bytes) -> Frame:
    try:
        kind = Kind(content[0])
    except ValueError:
        raise FrameError("there is no such kind of frame") from None
    return Frame(kind, content[1], int.from_bytes(content[2:HEAD], "big"), content[HEAD:])


# ---- bodies


@dataclass(frozen=True, slots=True)
class LentSlot:
    """A slot as its agent describes it: name, flags, and how often a card was put in or pulled out."""

    name: str
    flags: Flag
    counter: int


_SLOT = wire.Struct(
    "flags" / wire.Int8ub, "counter" / wire.Int32ub, "name" / wire.PascalString(wire.Int8ub, "ascii")
)
_HELLO = wire.Struct(
    "magic" / wire.Const(MAGIC),
    "version" / wire.Int8ub,
    "slots" / wire.PrefixedArray(wire.Int8ub, _SLOT),
    wire.Terminated,
)


def hello(slots: tuple[LentSlot, ...]) -> bytes:
    """The body of a HELLO; ValueError when there are no slots, too many, or one whose name is not plain."""
    if not 1 <= len(slots) <= MAX_SLOTS or not all(map(_is_plain, slots)):
        raise ValueError(f"an agent lends 1 to {MAX_SLOTS} slots with plain names")
    described = [{"flags": int(slot.flags), "counter": slot.counter, "name": slot.name} for slot in slots]
    built: bytes = _HELLO.build({"version": VERSION, "slots": described})
    return built


def read_hello(body: bytes) -> tuple[int, tuple[LentSlot, ...]]:
    """Version and slots of a HELLO; FrameError when it is none, FrameError too for two slots of one name."""
    try:
        read = _HELLO.parse(body)
        slots = tuple(LentSlot(slot.name, _flags(slot.flags), slot.counter) for slot in read.slots)
    except (wire.ConstructError, UnicodeDecodeError):
        raise FrameError("the greeting is not one") from None
    names = {slot.name.lower() for slot in slots}
    if not 1 <= len(slots) <= MAX_SLOTS or len(names) != len(slots) or not all(map(_is_plain, slots)):
        raise FrameError("the list of slots is not one")
    return read.version, slots


def _is_plain(slot: LentSlot) -> bool:
    name = slot.name
    return 1 <= len(name) <= MAX_NAME and name.isascii() and name.isprintable() and name == name.strip()


def _flags(value: int) -> Flag:
    if value >= _FLAGS_END:
        raise FrameError("a slot has features that do not exist")
    return Flag(value)


def moved(flags: Flag, counter: int) -> bytes:
    """The body of a MOVED."""
    return bytes((flags,)) + counter.to_bytes(4, "big")


def read_moved(body: bytes) -> tuple[Flag, int]:
    """Flags and counter; FrameError when the body is not that of a MOVED."""
    if len(body) != 5:
        raise FrameError("the report of a movement is not one")
    return _flags(body[0]), int.from_bytes(body[1:], "big")


def read_asked(body: bytes) -> tuple[int, bytes]:
    """The counter that a request believes in, and the rest."""
    if len(body) < 4:
        raise FrameError("a request without its counter")
    return int.from_bytes(body[:4], "big"), body[4:]


def read_answer(body: bytes) -> tuple[Outcome, bytes]:
    """What became of a request, and what the card said."""
    try:
        return Outcome(body[0]), body[1:]
    except (ValueError, IndexError):
        raise FrameError("an answer without an outcome") from None


def read_reason(body: bytes) -> Reason:
    """Why the other end hangs up; BROKE_RULES for a reason that nobody knows."""
    try:
        return Reason(body[0])
    except (ValueError, IndexError):
        return Reason.BROKE_RULES
