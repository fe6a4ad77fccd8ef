"""How long, and for how many FSE, one PIN of a CPS is good: who leaves the desk does not leave it open."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.clock import Clock


@dataclass
class Sitting:
    """A limit in time and in count. `begin()` when a PIN was given, `count()` for each FSE signed since.

    Time is monotonic: a clock that is set back makes no sitting longer.
    """

    clock: Clock
    longest: timedelta
    most: int
    signed: int = 0
    began: datetime | None = None
    _since: float = field(default=0.0, repr=False)

    def begin(self) -> None:
        """A PIN was given: both limits start afresh."""
        self.signed, self.began, self._since = 0, self.clock.now(), self.clock.monotonic()

    def count(self) -> None:
        """One FSE was signed."""
        self.signed += 1

    @property
    def left(self) -> int:
        """How many FSE may still be signed."""
        return max(0, self.most - self.signed)

    @property
    def ends(self) -> datetime | None:
        """When the PIN has to be given again, None before the first one; a clock that was set is followed."""
        if self.began is None:
            return None
        left = self.longest.total_seconds() - (self.clock.monotonic() - self._since)
        return self.clock.now() + timedelta(seconds=round(left))

    @property
    def is_over(self) -> bool:
        """Whether one of the limits is reached."""
        spent = self.clock.monotonic() - self._since
        return self.began is not None and (not self.left or spent >= self.longest.total_seconds())
