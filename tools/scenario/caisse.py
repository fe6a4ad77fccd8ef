"""The caisse's own office: what it pays to insured people, and the flat deductions that it takes.

It knows what came to it: the invoices of accepted lots, and what was decided of them. It computes each
deduction again by the dated tables; what it cannot take at once, because the professional was paid and not
the insured person, it takes off a later reimbursement.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from gateway.billing.deductions import Deduction, Taken, deductions
from gateway.billing.engine import price
from gateway.billing.request import CareRequest, Practitioner
from gateway.billing.tables import Tables
from gateway.errors import InputError
from gateway.lots.fse import FseView
from tools.receiver.adjudication import NOTHING, PAID, day, readings

Sheet = tuple[str, int]
"""Who bills (nine digits), and the number of the sheet."""
PAYS_AFTER, PAYS_PAPER_AFTER = timedelta(days=5), timedelta(days=7)


@dataclass(frozen=True)
class Letter:
    """What a payer tells an insured person of one sheet, in cents. `withheld`: by yearly account."""

    sheet: Sheet
    care: date
    paid_cents: int
    withheld: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Due:
    on: date
    person: tuple[str, str] = field(repr=False)
    sheet: Sheet
    care: date
    cents: int
    own: Mapping[str, int]


@dataclass
class Office:
    """Reimbursements of one year. `owed`: deductions not yet taken, by person and account."""

    tables: Tables
    practitioners: Mapping[str, Sequence[Practitioner]]
    owed: dict[tuple[str, str], Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter), repr=False
    )
    _due: list[_Due] = field(default_factory=list, repr=False)
    _year: dict[object, Counter[str]] = field(default_factory=lambda: defaultdict(Counter), repr=False)
    _day: dict[object, Counter[str]] = field(default_factory=lambda: defaultdict(Counter), repr=False)

    @property
    def waiting(self) -> int:
        """Reimbursements still to come."""
        return len(self._due)

    def book(self, view: FseView, decision: str, received: date, after: timedelta = PAYS_AFTER) -> None:
        """One invoice as decided: a deduction is taken or kept in mind, a reimbursement is put down."""
        if decision not in (PAID, NOTHING):
            return
        person, care = (view.nir, view.birth_date), day(view.care_date)
        own = _by_account(self._deducted(view, person, care))
        if decision == PAID:
            self.owed[person].update(own)
            return
        sheet = view.billing_number, view.number
        self._due.append(_Due(received + after, person, sheet, care, view.amo_cents, own))

    def reimburse(self, today: date) -> Iterator[Letter]:
        """What is due by today, each with the letter that goes to the insured person."""
        ready = [one for one in self._due if one.on <= today]
        self._due = [one for one in self._due if one.on > today]
        for one in ready:
            withheld = Counter(one.own)
            left = one.cents - withheld.total()
            for account, cents in sorted(self.owed[one.person].items()):
                taken = min(cents, left)
                withheld[account] += taken
                self.owed[one.person][account] -= taken
                left -= taken
            yield Letter(one.sheet, one.care, left, withheld)

    def _deducted(self, view: FseView, person: tuple[str, str], care: date) -> Sequence[Deduction]:
        """Deductions on one sheet after those of this day and this year, kept for the next."""
        request = self._as_asked(view)
        if request is None:
            return ()
        taken = Taken(self._day[person, care, view.billing_number], self._year[person, care.year])
        found = list(deductions(request, price(request, self.tables), self.tables, taken))
        self._day[person, care, view.billing_number].update({one.kind: one.cents for one in found})
        self._year[person, care.year].update(_by_account(found))
        return found

    def _as_asked(self, view: FseView) -> CareRequest | None:
        """The reading of the invoice that gives its amounts."""
        for practitioner in self.practitioners.get(view.billing_number, ()):
            for request in readings(view, practitioner):
                try:
                    computed = price(request, self.tables)
                except InputError:
                    continue
                if (computed.base_cents, computed.amo_cents) == (view.base_cents, view.amo_cents):
                    return request
        return None


def _by_account(found: Sequence[Deduction]) -> Counter[str]:
    """Cents by yearly account."""
    cents: Counter[str] = Counter()
    for one in found:
        cents[one.account] += one.cents
    return cents
