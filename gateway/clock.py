"""Time and chance as values that are handed in: nothing else in the gateway may look at a clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

Rng = Callable[[int], bytes]
"""Gives n random bytes. The edges hand in `system_rng`; tests hand in a seeded one."""

system_rng: Rng = os.urandom


class Clock(Protocol):
    """Wall time (aware, UTC) and monotonic seconds."""

    def now(self) -> datetime:
        """The present moment, timezone UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let this much of the clock's own time pass."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, timezone UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let this much time pass."""
        time.sleep(seconds)


class SimulatedClock:
    """A clock that stands still until it is moved: for tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """The simulated moment, timezone UTC."""
        return self._now

    def monotonic(self) -> float:
        """Simulated seconds since the start; never goes back."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Move the clock forward."""
        self.advance(timedelta(seconds=seconds))

    def advance(self, step: timedelta) -> None:
        """Move the clock forward by `step`."""
        self._now += step
        self._monotonic += step.total_seconds()


class FastClock:
    """A clock that runs `factor` times as fast as the machine's: for the demo and the bench."""

    def __init__(self, start: datetime, factor: float) -> None:
        self._start, self._factor = start, factor
        self._origin = time.monotonic()

    def now(self) -> datetime:
        """The simulated moment, timezone UTC."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Simulated seconds since the start."""
        return (time.monotonic() - self._origin) * self._factor

    def sleep(self, seconds: float) -> None:
        """Let this much simulated time pass."""
        time.sleep(seconds / self._factor)
