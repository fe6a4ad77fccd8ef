"""When to try again: 1 s doubling to 15 min, with jitter: a thousand lots never come back at once."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.clock import Rng


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts: `first` doubling up to `cap`; a refused lot is parked after `attempts`."""

    first: float = 1.0
    cap: float = 900.0
    attempts: int = 5

    def delay(self, attempt: int, rng: Rng) -> float:
        """Seconds to wait after the given failed attempt (1 = the first).

        Half of the step is certain and half is chance: never above the step, never a burst.
        """
        if attempt < 1:
            raise ValueError(f"attempt {attempt}: the first one is 1")
        return self._jittered(self.first * 2.0 ** min(attempt - 1, 64), rng)

    def delay_after(self, waited: float, rng: Rng) -> float:
        """Seconds to wait when attempts do not count: as long again as it has waited already."""
        return self._jittered(max(self.first, waited), rng)

    def _jittered(self, step: float, rng: Rng) -> float:
        step = min(self.cap, step)
        chance = int.from_bytes(rng(4), "big") / 0xFFFF_FFFF
        return step / 2 + step / 2 * chance

    def is_exhausted(self, attempt: int) -> bool:
        """True when this failed attempt was the last one allowed: the lot is parked, nothing is deleted."""
        return attempt >= self.attempts
