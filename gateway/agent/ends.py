"""Certificates that end: what is said thirty days ahead, once a day."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.clock import Clock

WARNING = timedelta(days=30)
DAY_SECONDS = 86_400.0


def ends(last: datetime, now: datetime) -> str:
    """When something ends, or that it has."""
    days = (last - now).days
    return f"ended on {last:%Y-%m-%d}" if last <= now else f"ends on {last:%Y-%m-%d}, in {days} days"


class Daily:
    """Says of each certificate that it ends soon, at most once a day."""

    def __init__(self, say: Callable[[str], None], clock: Clock) -> None:
        self._say, self._clock = say, clock
        self._said: dict[str, float] = {}
        self._guard = threading.Lock()

    def look(self, whose: str, last: datetime, remedy: str) -> None:
        """`whose`: "the certificate of …"; nothing is said while more than thirty days are left."""
        now = self._clock.now()
        if last - now >= WARNING:
            return
        moment = self._clock.monotonic()
        with self._guard:
            if moment - self._said.get(whose, float("-inf")) < DAY_SECONDS:
                return
            self._said[whose] = moment
        self._say(f"{whose} {ends(last, now)}: {remedy}")
