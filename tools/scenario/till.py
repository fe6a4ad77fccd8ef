"""What a professional keeps beside the gateway: the cash book, and for each sheet what is still open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from gateway.store.rows import Payment
from tools.scenario.ledgers import BILLS, DESK, SHARE_TO_PROFESSIONAL, TO_PROFESSIONAL, Ledger, month_of
from tools.scenario.workplace import Seen


@dataclass(frozen=True)
class Bill:
    """A share that nobody else pays, in cents: the patient is asked for it."""

    number: int
    cents: int


@dataclass
class Till:
    """One professional's. `payers`: cents by month of care and payer; `delays`: days by payer."""

    ledger: Ledger
    open: dict[int, int] = field(default_factory=dict)
    paper_cents: int = 0
    posted_cents: int = 0
    charged: Counter[str] = field(default_factory=Counter)
    payers: Counter[tuple[str, str]] = field(default_factory=Counter)
    delays: Counter[tuple[str, int]] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    _sheets: dict[int, Seen] = field(default_factory=dict)
    _answered: set[tuple[int, bool]] = field(default_factory=set)
    _refused: list[tuple[int, str]] = field(default_factory=list)

    def sees(self, seen: Seen) -> None:
        """A sheet was kept, and the patient paid at the desk."""
        self._sheets[seen.number] = seen
        self.open[seen.number] = seen.charged_cents - seen.desk_cents
        self.charged[month_of(seen.day)] += seen.charged_cents
        self.ledger.post(seen.day, DESK, seen.desk_cents)

    def paper(self, day: date, cents: int) -> None:
        """Care that no card could bill: paid in full at the desk, on a paper sheet."""
        self.paper_cents += cents
        self.charged[month_of(day)] += cents
        self.ledger.post(day, DESK, cents)

    def posted(self, day: date, said: Iterable[Payment]) -> Iterator[Bill]:
        """What payment returns say, each answer once; a bill for each share that was refused."""
        for one in said:
            answer = one.number, one.complementary
            if one.deferred or answer in self._answered:
                continue
            self._answered.add(answer)
            yield from self._posted(day, one, self._sheets[one.number])

    def sheet(self, number: int) -> Seen:
        """One sheet as its receipt says it."""
        return self._sheets[number]

    def take_refused(self, code: str) -> list[int]:
        """Sheets that the caisse refused with this code since the last time."""
        found = [number for number, why in self._refused if why == code]
        self._refused = [one for one in self._refused if one[1] != code]
        return found

    def rectifies(self, old: int, seen: Seen) -> None:
        """A sheet in the place of a refused one: what was open of that is of this, nothing is charged."""
        self._sheets[seen.number] = seen
        self.open[seen.number], self.open[old] = self.open[old], 0

    def patient_of(self, number: int) -> int:
        """Whose sheet it is."""
        return self._sheets[number].patient

    def settled(self, day: date, bill: Bill) -> None:
        """The patient has paid a bill."""
        self.open[bill.number] -= bill.cents
        self.ledger.post(day, BILLS, bill.cents)

    def _posted(self, day: date, said: Payment, seen: Seen) -> Iterator[Bill]:
        flow = SHARE_TO_PROFESSIONAL if said.complementary else TO_PROFESSIONAL
        cents = said.amo_cents + said.amc_cents
        self.open[seen.number] -= cents
        self.posted_cents += cents
        self.ledger.post(day, flow, cents)
        self.payers[month_of(seen.day), flow] += cents
        if said.paid:
            self.delays[flow, (day - seen.day).days] += 1
        if said.paid and said.code and not seen.by_dre:
            self.refusals[said.code] += 1
        if not said.paid and not said.complementary:
            self._refused.append((seen.number, said.code))
        refused = self._left_to_patient(said, seen)
        if refused:
            yield Bill(seen.number, refused)

    def _left_to_patient(self, said: Payment, seen: Seen) -> int:
        """Cents that this answer leaves to the patient; an insurer that was asked answers for itself."""
        if said.complementary:
            return 0 if said.paid else seen.amc_cents
        if not said.paid:
            return seen.charged_cents - seen.desk_cents - (seen.amc_cents if seen.by_dre else 0)
        return seen.amc_cents if said.code and not seen.by_dre else 0
