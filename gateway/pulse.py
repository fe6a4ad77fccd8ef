"""Signs of life of the loops of one gateway: what has given none for too long is hanging."""

from __future__ import annotations

import threading

from gateway.clock import Clock

HANG_SECONDS = 120.0
"""Longer than any wait that the work itself may have: 30 s for a mail, 60 s at a reader with its PIN pad."""


class Pulse:
    """When each loop was seen last, in monotonic seconds. A loop that ended in good order is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._guard = threading.Lock()

    def beat(self, loop: str) -> None:
        """This loop lives."""
        with self._guard:
            self._seen[loop] = self._clock.monotonic()

    def ended(self, loop: str) -> None:
        """This loop has nothing more to do."""
        with self._guard:
            self._seen.pop(loop, None)

    def loops(self) -> dict[str, float]:
        """Every loop at work, and how many seconds ago it was seen."""
        now = self._clock.monotonic()
        with self._guard:
            return {loop: now - seen for loop, seen in self._seen.items()}

    def hanging(self, longer_than: float = HANG_SECONDS) -> list[str]:
        """The loops that have given no sign of life for so many seconds."""
        return sorted(loop for loop, ago in self.loops().items() if ago > longer_than)
