"""The yearly statement, as taxes need it: by beneficiary, what care cost and what came back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from tools.portal.accounts import Sheet
from tools.receiver.adjudication import REJECTED


@dataclass(frozen=True)
class YearLine:
    """One beneficiary's year in cents. `left`: what they bear, deductions included. `refused`: sheets."""

    beneficiary: str = field(repr=False)
    sheets: int
    charged: int
    amo: int
    amc: int
    deducted: int
    left: int
    to_insured: int
    refused: int = 0


@dataclass(frozen=True)
class Year:
    """A year by the day on which the caisse dealt with each sheet; `since`: the first day that is known."""

    year: int
    since: date
    lines: tuple[YearLine, ...]
    total: YearLine

    @property
    def is_whole(self) -> bool:
        """False when the 27 months begin within this year."""
        return self.since <= date(self.year, 1, 1)


def year_of(year: int, first: date, sheets: Iterable[Sheet], names: Sequence[str]) -> Year:
    """The sheets of a year that are within the 27 months from `first` on; every name has a line."""
    kept = [one for one in sheets if one.received.year == year and one.received >= first]
    lines = tuple(_line(name, [one for one in kept if one.beneficiary == name]) for name in names)
    return Year(year, first, lines, _line("Ensemble", kept))


def _line(name: str, sheets: Sequence[Sheet]) -> YearLine:
    """A refused sheet is counted and nothing else: nobody has said yet who bears it."""
    accepted = [one for one in sheets if one.state != REJECTED]
    return YearLine(
        beneficiary=name,
        sheets=len(accepted),
        charged=sum(one.charged for one in accepted),
        amo=sum(one.amo for one in accepted),
        amc=sum(one.amc for one in accepted),
        deducted=sum(one.deducted for one in accepted),
        left=sum(one.left for one in accepted),
        to_insured=sum(one.to_insured for one in accepted),
        refused=len(sheets) - len(accepted),
    )
