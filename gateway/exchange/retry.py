"""When to try again: 1 s doubling to 15 min, with jitter."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.clock import Rng


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts: `first` doubling up to `cap`; parked after `attempts` permanent refusals."""

    first: float = 1.0
    cap: float = 900.0
    attempts: int = 5

    def delay(self, attempt: int, rng: Rng) -> float:
        """Seconds to wait after the given failed attempt (1 = the first), jitter included."""
        raise NotImplementedError

    def is_exhausted(self, attempt: int) -> bool:
        """True when this failed attempt was the last one allowed."""
        raise NotImplementedError
