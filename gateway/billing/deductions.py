"""Flat deductions of the insured: participation forfaitaire and franchises, with exemptions and caps.

They are not on a sheet. The caisse takes them off what it reimburses, or off a later reimbursement after
third-party payment; no responsible contract pays them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from gateway.billing.amounts import age_on, euros
from gateway.billing.case import Case
from gateway.billing.outcome import Price, PricedLine
from gateway.billing.request import CareRequest
from gateway.billing.rows import DeductionRow
from gateway.billing.tables import Tables


@dataclass(frozen=True, slots=True)
class Deduction:
    """One deduction in cents: its kind (visit, box, care, transport) and the yearly account it counts for."""

    kind: str
    account: str
    label: str
    cents: int
    source: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What was already deducted, in cents: this day with this professional by kind, this year by account."""

    today: Mapping[str, int] = field(default_factory=dict)
    year: Mapping[str, int] = field(default_factory=dict)


NOTHING_TAKEN = Taken()


def deductions(
    request: CareRequest, price: Price, tables: Tables, taken: Taken = NOTHING_TAKEN
) -> tuple[Deduction, ...]:
    """What the caisse deducts for one priced sheet, after what was already taken; raises InputError."""
    return tuple(_deductions(Case(request, tables), price.lines, taken))


def announced(case: Case, lines: Sequence[PricedLine]) -> Iterator[str]:
    """One reason for each kind that will be deducted later, before any cap of day or year."""
    for one in _deductions(case, lines, NOTHING_TAKEN):
        yield f"Later, not on this sheet: {one.label} {euros(one.cents)}, kept by the caisse ({one.source})."


def _deductions(case: Case, lines: Iterable[PricedLine], taken: Taken) -> Iterator[Deduction]:
    year = dict(taken.year)
    for kind, owed in _owed(case, lines).items():
        row = case.day.deductions[kind]
        cents = max(0, min(owed, _left(row, taken.today.get(kind, 0), year.get(row.account, 0))))
        if cents:
            year[row.account] = year.get(row.account, 0) + cents
            yield Deduction(kind, row.account, row.label, cents, row.source)


def _owed(case: Case, lines: Iterable[PricedLine]) -> dict[str, int]:
    """Cents by kind: so much an act or a box, never more than what AMO reimburses of its line."""
    owed: dict[str, int] = {}
    for line in lines:
        row = case.day.deductions.get(line.deduction)
        if row is not None and not _is_spared(case, row):
            owed[row.kind] = owed.get(row.kind, 0) + min(row.cents * line.quantity, line.amo_cents)
    return owed


def _is_spared(case: Case, row: DeductionRow) -> bool:
    born, day = case.request.beneficiary.birth_date, case.request.date
    reached = age_on(date(day.year, 1, 1), born) if row.age_on_january_first else case.age
    return reached < row.from_age or any(right.when in row.spared_rights for right in case.rights)


def _left(row: DeductionRow, today: int, year: int) -> int:
    left = row.yearly_cap_cents - year
    return left if row.daily_cap_cents is None else min(left, row.daily_cap_cents - today)
