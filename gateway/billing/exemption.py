"""A right that holds for a time: what the base of the caisse, a card and an attestation keep, with its dates.

One value for all three, so that a right that ended yesterday is the same nothing everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

KINDS = ("ald", "maternity", "aspa", "css", "acs", "ame")
"""Words of the column `when` of tables/rights.toml that a person has from one day to another."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """A right of `kind` from `start` to `end`, both days included; None leaves that side open."""

    kind: str
    start: date | None = None
    end: date | None = None

    def holds(self, on: date) -> bool:
        """True when the day is in the period."""
        return (self.start is None or self.start <= on) and (self.end is None or on <= self.end)

    def why_not(self, on: date) -> str:
        """Why it does not count on this day, "" when it does."""
        if self.end is not None and self.end < on:
            return f"ended on {self.end}"
        return "" if self.holds(on) else f"begins on {self.start}"


def in_force(exemptions: tuple[Exemption, ...], on: date) -> frozenset[str]:
    """The kinds of those that hold on this day."""
    return frozenset(one.kind for one in exemptions if one.holds(on))
