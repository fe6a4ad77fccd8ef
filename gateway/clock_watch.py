"""Notices that the wall clock was set, forwards or backwards, by comparing it with the one that never steps.

What waits or lasts within one run goes by the monotonic clock: how long a PIN is good, reminders, pauses.
What outlives a run, or is the law's, goes by the wall clock: the turn of a lot, working days, signatures.
A machine that slept looks like a step forwards, and is one for everything that waits.
"""

from __future__ import annotations

from gateway.clock import Clock

STEP_SECONDS = 30.0
"""Smaller differences are the clock being corrected as it should be."""

LEAP_SECONDS = DAY_SECONDS = 86_400.0


class ClockWatch:
    """Used by one thread. `look()` often: a step is told by the first look behind it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._difference = self._measure()
        self._leapt_at = float("-inf")

    def look(self) -> float | None:
        """The step since the last look in seconds, positive when the clock went forwards; None: no step."""
        difference = self._measure()
        step, self._difference = difference - self._difference, difference
        if abs(step) < STEP_SECONDS:
            return None
        if step >= LEAP_SECONDS:
            self._leapt_at = self._clock.monotonic()
        return step

    @property
    def leapt_lately(self) -> bool:
        """Whether the clock went forwards by a day or more within the last day.

        Nothing is deleted for its age then: a person has the time to set a wrong clock right.
        """
        return self._clock.monotonic() - self._leapt_at < DAY_SECONDS

    def _measure(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()
