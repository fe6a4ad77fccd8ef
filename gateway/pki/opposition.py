"""The opposition list: cards reported lost, stolen or withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path


@dataclass(frozen=True)
class Opposition:
    """One card on the list: since when, and the reason code (one character)."""

    serial: str
    since: date
    reason: str


class OppositionList:
    """An immutable version of the list."""

    number: int
    issued: datetime

    @classmethod
    def parse(cls, base: bytes) -> OppositionList:
        """Read a complete base list; a torn or altered one raises TrustError."""
        raise NotImplementedError

    @classmethod
    def load(cls, path: Path) -> OppositionList:
        """The list kept at `path`."""
        raise NotImplementedError

    def save(self, path: Path) -> None:
        """Keep this list at `path`, durably and all or nothing."""
        raise NotImplementedError

    def apply(self, update: bytes) -> OppositionList:
        """The list after one daily update; any doubt raises TrustError and changes nothing."""
        raise NotImplementedError

    def replaced_by(self, base: bytes) -> OppositionList:
        """A newer complete list; an older one (roll-back) raises TrustError."""
        raise NotImplementedError

    def lookup(self, serial: str) -> Opposition | None:
        """The entry of a Vitale card (20 hexadecimal digits), if it is on the list."""
        raise NotImplementedError

    def check_fresh(self, now: datetime) -> None:
        """TrustError (code `opposition-stale`) if the list is older than 24 hours."""
        raise NotImplementedError

    def check(self, serial: str, now: datetime) -> None:
        """CardRefusal (code `card-opposed`) for a listed card; TrustError for a stale list."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError
