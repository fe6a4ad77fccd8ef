"""The host's end of CCID (rev 1.10), no I/O: one command out, the bytes of a reader in, events back.

A reader answers each command once, with the slot and the sequence number of the command (6.2). Until then it
may ask for time (6.2.6), which is granted a bounded number of times. What answers another command (a late
answer, another slot) is `Strange` and never taken for the answer; after a few of them, or bytes that are no
message, the conversation is `Broken`: give the line up, or call `resynchronise()` once it is quiet.
"""

from __future__ import annotations

from dataclasses import dataclass

from reader.ccid.frames import ANSWERED_BY, HEADER_SIZE, MAX_MESSAGE, Answer, CcidError, Command

MAX_EXTENSIONS = 200
MAX_STRANGE = 16

_ANSWER_TYPES = frozenset(ANSWERED_BY.values())


@dataclass(frozen=True, slots=True)
class Answered:
    """The command under way is answered."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class MoreTime:
    """The reader is still at work: `multiplier` times the card's waiting time from now."""

    multiplier: int


@dataclass(frozen=True, slots=True)
class Strange:
    """An answer to nothing that is under way; it was dropped."""

    why: str


@dataclass(frozen=True, slots=True)
class Broken:
    """No way to go on; `why` is for the sentence."""

    why: str


Event = Answered | MoreTime | Strange | Broken


class CcidHost:
    """One conversation with a reader of any number of slots; one command at a time (bMaxCCIDBusySlots 1).

    Bytes in any chunks give the same events; at most one message is held.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._seq = 0
        self._waiting: Command | None = None
        self._extensions = self._strange = 0
        self._broken = ""

    def command(self, kind: int, slot: int, parameters: bytes = b"\0\0\0", data: bytes = b"") -> bytes:
        """The bytes of a new command; one still under way is given up, its late answer will be Strange."""
        sent = Command(kind, slot, self._seq, parameters, data)
        self._seq = (self._seq + 1) & 0xFF
        self._waiting = sent
        self._extensions = self._strange = 0
        return sent.to_bytes()

    def resynchronise(self) -> None:
        """The line is quiet and empty: what was received in part is forgotten."""
        self._buffer.clear()
        self._broken = ""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes of the reader."""
        if self._broken:
            return []
        self._buffer += data
        events: list[Event] = []
        at = 0
        while not self._broken and len(self._buffer) - at >= HEADER_SIZE:
            size = HEADER_SIZE + int.from_bytes(self._buffer[at + 1 : at + 5], "little")
            if self._buffer[at] not in _ANSWER_TYPES or size > MAX_MESSAGE:
                events.append(self._break("what the reader sends is no CCID answer"))
                break
            if len(self._buffer) - at < size:
                break
            events.append(self._message(bytes(self._buffer[at : at + size])))
            at += size
        del self._buffer[:at]
        if self._broken:
            self._buffer.clear()
        return events

    def message(self, raw: bytes) -> Event:
        """Take one whole message, as a framed line or a USB transfer gives it."""
        return Broken(self._broken) if self._broken else self._message(raw)

    def _message(self, raw: bytes) -> Event:
        try:
            answer = Answer.parse(raw)
        except CcidError as wrong:
            return self._break(str(wrong))
        waiting = self._waiting
        if waiting is None:
            return self._stranger("an answer to no command")
        if answer.seq != waiting.seq:
            return self._stranger(f"an answer to command {answer.seq}, not {waiting.seq}")
        if answer.slot != waiting.slot:
            return self._stranger(f"an answer for slot {answer.slot}, not {waiting.slot}")
        if answer.type != ANSWERED_BY.get(waiting.type) and not answer.failed:
            return self._stranger(f"an answer of type {answer.type:02X} to a command {waiting.type:02X}")
        if answer.wants_time:
            return self._extended(answer.error)
        self._waiting = None
        return Answered(answer)

    def _extended(self, multiplier: int) -> Event:
        self._extensions += 1
        if self._extensions > MAX_EXTENSIONS:
            return self._break("the reader asks for time without end")
        return MoreTime(multiplier or 1)

    def _stranger(self, why: str) -> Event:
        self._strange += 1
        if self._strange > MAX_STRANGE:
            return self._break("the reader answers everything but what it is asked")
        return Strange(why)

    def _break(self, why: str) -> Broken:
        self._broken, self._waiting = why, None
        return Broken(why)
