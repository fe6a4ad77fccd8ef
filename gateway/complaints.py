"""What is wrong is said once, not at every turn, and again when it lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.log import Event
from reader.console import said
from reader.errors import ReaderError

Say = Callable[[str], None]

REMINDER_SECONDS = 600.0
MOST = 1000
"""Sentences remembered at a time; beyond them the oldest may be said again."""


class Complaints:
    """The sentences that one loop has said; safe to share between threads."""

    def __init__(self, say: Say, clock: Clock) -> None:
        self._say, self._clock = say, clock
        self._said: dict[str, float] = {}
        self._guard = threading.Lock()

    def say(self, sentence: str) -> None:
        """Say it unless it was said within the last ten minutes of this clock's own time."""
        now = self._clock.monotonic()
        with self._guard:
            before = self._said.get(sentence)
            if before is not None and now - before < REMINDER_SECONDS:
                return
            while len(self._said) >= MOST:
                del self._said[next(iter(self._said))]
            self._said[sentence] = now
        self._say(sentence if isinstance(sentence, Event) else Event(sentence, "trouble", "warning"))

    def clear(self) -> None:
        """All is well: what comes next is news."""
        with self._guard:
            self._said.clear()

    def guard(self, part: Callable[[], object]) -> None:
        """Do this part; what it cannot do is said, and stops nothing else."""
        try:
            part()
        except (GatewayError, ReaderError) as problem:
            self.say(Event(str(problem), "trouble", "warning", code=problem.code))
        except OSError as problem:
            self.say(f"{said(problem)}: correct this; the rest goes on")
