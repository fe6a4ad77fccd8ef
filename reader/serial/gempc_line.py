"""A reader of the GemPC-Twin family at the end of a Stream: one command at a time, each within its time.

A failed exchange hangs up. The next one connects again and begins with the open sequence; the cards in the
reader keep their power meanwhile, so a silent slot does not end the session in the other one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable

from reader.ccid.frames import Answer, Error, Type
from reader.ccid.host import Answered, Broken, MoreTime
from reader.errors import ReaderError
from reader.serial.gempc import SILENCE, Variant
from reader.serial.gempc_host import GemPcHost, Moved, Reply, Step, opening
from reader.stream import Clock, Deadline, LineBusy, Stream

QUIET = 5.0
"""Seconds without a byte after which a reader is taken for dead. It must ask for time when it needs more."""

BUSY = 90.0
"""Seconds to wait for the line while another slot uses it: longer than any exchange may last."""


@runtime_checkable
class SpeedStream(Stream, Protocol):
    """A stream whose speed can be changed."""

    def set_speed(self, speed: int) -> None:
        """Another speed from now on, in baud."""
        ...


class GemPcLine:
    """The line to one reader, `name` in sentences.

    `connect` opens the port and may raise ReaderError; `open` raises only that, `ask` only OSError.
    """

    def __init__(
        self,
        connect: Callable[[], Stream],
        variant: Variant,
        clock: Clock = time.monotonic,
        name: str = "its port",
    ) -> None:
        self.variant, self.name = variant, name
        self._connect, self.clock = connect, clock
        self._moved: Callable[[Moved], object] = lambda _moved: None
        self._host = GemPcHost(echo=variant.echo)
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._closed = False
        self.firmware = b""

    def listen(self, moved: Callable[[Moved], object]) -> None:
        """`moved` hears of notices of card movement from now on; it must not wait for anything."""
        self._moved = moved

    def open(self) -> None:
        """Connect and say the open sequence; raises ReaderError, one sentence."""
        try:
            with self._lock:
                self._ready()
        except OSError as problem:
            raise ReaderError(
                f"No {self.variant.device} answers at {self.name} at 115200 baud ({problem}): "
                "check cable and power, and the variant named after the port."
            ) from None

    def ask(self, slot: int, kind: int, parameters: bytes, data: bytes, seconds: float) -> Answer:
        """One command and its answer within `seconds`; OSError (TimeoutError) when there is none."""
        if not self._lock.acquire(timeout=BUSY):
            raise LineBusy("the reader is busy with another slot")
        try:
            stream = self._ready()
            try:
                return self._exchange(stream, slot, kind, parameters, data, seconds)
            except BaseException:  # Ctrl-C too: the line is in the middle of something
                self._hang_up()
                raise
        except ReaderError as refusal:  # the port cannot be opened again
            raise OSError(str(refusal)) from None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Give the port back for good. An exchange under way ends with OSError."""
        self._closed = True
        self._hang_up()

    def _ready(self) -> Stream:
        """The stream, connected and greeted."""
        if self._closed:
            raise OSError("the line to the reader is closed")
        if self._stream is not None:
            return self._stream
        stream = self._connect()
        try:
            self._host.resynchronise()
            self._greet(stream)
        except BaseException:
            stream.close()
            raise
        self._stream = stream
        return stream

    def _greet(self, stream: Stream) -> None:
        if self.variant.device == "GemCoreSIMPro2" and isinstance(stream, SpeedStream):
            stream.set_speed(9_600)  # the speed it wakes up with; the escape asks for 115,200
            with suppress(OSError):
                self._step(stream, Step(Type.ESCAPE, b"\x01\x10\x20", 0.5))
            stream.set_speed(115_200)
            self._host.resynchronise()
        for number, step in enumerate(opening(self.variant)):
            answer = self._step(stream, step)
            if answer.failed and not step.may_fail:
                raise self._unlike(f"refuses escape {step.data.hex(' ').upper()}")
            if not number:
                self.firmware = answer.data
        for slot in range(self.variant.slots):
            answer = self._step(stream, Step(Type.GET_SLOT_STATUS), slot)
            if answer.failed and answer.error == Error.BAD_SLOT:
                raise self._unlike(f"has no slot {slot}")

    def _unlike(self, what: str) -> ReaderError:
        return ReaderError(
            f"The reader at {self.name} is not a {self.variant.device} ({what}): "
            "correct the variant named after the port."
        )

    def _step(self, stream: Stream, step: Step, slot: int = 0) -> Answer:
        return self._exchange(stream, slot, step.kind, b"\0\0\0", step.data, step.seconds)

    def _exchange(
        self, stream: Stream, slot: int, kind: int, parameters: bytes, data: bytes, seconds: float
    ) -> Answer:
        deadline = Deadline(seconds, self.clock)
        quiet = seconds if kind == Type.SECURE else min(seconds, QUIET)
        stream.send(self._host.command(kind, slot, parameters, data))
        waited = Deadline(quiet, self.clock)
        while True:
            partial = self._host.is_partial
            received = stream.receive(waited.remaining(deadline.remaining(SILENCE if partial else quiet)))
            if received:
                waited = Deadline(quiet, self.clock)
            elif not partial:
                continue  # one of the deadlines says that it is over
            for event in self._host.feed(received) if received else self._host.silence():
                if isinstance(event, Answered):
                    return event.answer
                if isinstance(event, Broken):
                    raise OSError(event.why)
                if isinstance(event, Reply):
                    stream.send(event.data)
                elif isinstance(event, Moved):
                    self._moved(event)
                elif isinstance(event, MoreTime):
                    waited = Deadline(quiet, self.clock)

    def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
