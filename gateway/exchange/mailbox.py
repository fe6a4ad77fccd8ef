"""A maildir: every message durable before it is seen, every odd file set aside and reported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.clock import Clock, Rng, SystemClock, system_rng


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that is not a usable message: where it is now and why."""

    key: str
    reason: str


class Maildir:
    """One mailbox directory with tmp, new, cur and aside."""

    def __init__(self, path: Path | str, *, clock: Clock | None = None, rng: Rng = system_rng) -> None:
        self._clock = clock or SystemClock()
        raise NotImplementedError

    def deliver(self, raw: bytes) -> str:
        """Keep one message durably and return its key; raises StoreError when the disk does not take it."""
        raise NotImplementedError

    def pending(self, limit: int | None = None) -> list[tuple[str, bytes]]:
        """Messages not yet done, oldest first: (key, raw)."""
        raise NotImplementedError

    def done(self, key: str) -> None:
        """Mark one message as dealt with (moved to cur, durable); doing it twice is harmless."""
        raise NotImplementedError

    def set_aside(self, key: str, reason: str) -> None:
        """Take one message out of the way for a person to look at, with the reason beside it."""
        raise NotImplementedError

    def aside(self) -> tuple[SetAside, ...]:
        """Everything that was set aside, with its reason."""
        raise NotImplementedError
