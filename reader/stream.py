"""Bytes to and from a reader, and the time they may take: what every link of this room is written against."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

Clock = Callable[[], float]
"""Seconds that never go back, as `time.monotonic`."""


class Stream(Protocol):
    """A serial port or a connection: bytes in order, no frames. OSError when the other end is gone."""

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        ...

    def receive(self, seconds: float) -> bytes:
        """What has arrived, waiting at most `seconds` for the first byte; empty when nothing came."""
        ...

    def close(self) -> None:
        """Give the port or connection back. Never raises."""
        ...


class LineBusy(TimeoutError):
    """Another slot keeps the line: this says nothing about the reader or the card."""


class Deadline:
    """How long one exchange may still take, whatever trickles in meanwhile."""

    __slots__ = ("_clock", "_end")

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self._clock, self._end = clock, clock() + seconds

    def remaining(self, most: float = float("inf")) -> float:
        """Seconds left, at most `most`; raises TimeoutError when there are none."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError("the reader does not answer in time")
        return min(left, most)
