"""A circuit breaker for each line of the exchange: the relay, and each domain that lots go to.

A line is CLOSED while it works. After `OPENS` failures in a row it is OPEN: no lot is tried on it until its
next attempt, whose pause grows with the time that it has failed, with jitter. Then it is HALF_OPEN: one lot
is tried. If that one leaves, the line is closed and all go; if not, it is open again, for longer.

    CLOSED ─ fails OPENS times in a row ─► OPEN ─ time ─► HALF_OPEN ─ one lot leaves ─► CLOSED
                                             ▲───────────────┴─ it fails

What a failure tells is decided by how far it came: a relay that cannot be reached says nothing about where a
lot goes to; a refusal of one domain's lots says that the relay works. A line without failures has no row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.clock import Rng
from gateway.exchange.retry import Backoff

OPENS = 5
"""So many failures in a row open a line."""


class LineState(StrEnum):
    """Where a line stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Lane(StrEnum):
    """What one pass of sending takes, so that new work waits for no old failure.

    FRESH: lots that were never tried, for domains that work; AGAIN: everything else; ALL: both, FRESH first.
    """

    ALL = "all"
    FRESH = "fresh"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is kept of a line that failed: how often in a row, since when, when it is tried next, and why."""

    name: str
    failures: int
    since: datetime
    next_attempt_at: datetime
    reason: str

    @property
    def is_held(self) -> bool:
        """Whether its lots wait, but for one at a time."""
        return self.failures >= OPENS

    def state(self, now: datetime) -> LineState:
        """Where it stands now. A clock that was set back holds no line for longer than the longest pause."""
        if not self.is_held:
            return LineState.CLOSED
        left = self.next_attempt_at - now
        return LineState.OPEN if timedelta() < left <= LONGEST else LineState.HALF_OPEN

    def says(self, now: datetime) -> str:
        """One sentence for people."""
        state, what = self.state(now), f"{self.failures} failures since {self.since:%Y-%m-%d %H:%M} UTC"
        if state is LineState.CLOSED:
            return f"{self.name}: {what}, the last one: {self.reason}"
        when = f"at {self.next_attempt_at:%H:%M:%S} UTC" if state is LineState.OPEN else "now"
        return f"{self.name} is {state}: {what}; one lot is tried {when}; the last one: {self.reason}"


LONGEST = timedelta(seconds=Backoff().cap)
"""No pause is longer."""

ONE_TRY = timedelta(minutes=1)
"""How long the one lot of a half-open line may take, before another one is tried."""


def failed(
    before: Breaker | None, name: str, reason: str, now: datetime, backoff: Backoff, rng: Rng
) -> Breaker:
    """The line after one more failure."""
    since = now if before is None else min(before.since, now)
    failures = 1 if before is None else before.failures + 1
    pause = min(LONGEST, timedelta(seconds=backoff.delay_after((now - since).total_seconds(), rng)))
    return Breaker(name, failures, since, now + pause, reason)


def relay_line(host: str, port: int) -> str:
    """The name of the line to a relay."""
    return f"{host}:{port}"


def domain_line(recipient: str) -> str:
    """The name of the line to whoever this mail address belongs to: its domain."""
    return recipient.rpartition("@")[2]
