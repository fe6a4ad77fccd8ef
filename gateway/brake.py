"""A brake on guessing access codes."""

from __future__ import annotations

import threading
from collections import deque

from gateway.clock import Clock

TRIES, TRY_WINDOW_SECONDS = 5, 60.0


class Brake:
    """After five wrong codes in a minute nobody signs in until it is over, not even with a right one."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._wrong, self._guard = clock, deque[float](), threading.Lock()

    @property
    def is_on(self) -> bool:
        """Whether to refuse before looking."""
        with self._guard:
            limit = self._clock.monotonic() - TRY_WINDOW_SECONDS
            while self._wrong and self._wrong[0] <= limit:
                self._wrong.popleft()
            return len(self._wrong) >= TRIES

    def wrong(self) -> None:
        """Count a wrong code."""
        with self._guard:
            self._wrong.append(self._clock.monotonic())
