"""What people and programs look at in a store: nothing here changes anything.

A question that reads years is asked in parts, so that whoever keeps a sheet meanwhile does not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from gateway.audit import AuditRecord
from gateway.store import breakers, details, figures, late, lists, views
from gateway.store.counting import Memory
from gateway.store.database import Database
from gateway.store.figures import PAYMENT_DAYS, Due, LatePayment, Month, Refusal, Statement, StatementLine
from gateway.store.lists import FIRST_PAGE, Page, PaymentMatch, Wanted
from gateway.store.rows import (
    Change,
    Counts,
    FseRow,
    HistoryLine,
    LotRow,
    PaymentLine,
    ReceiptLine,
    Unmatched,
)
from gateway.store.states import FseState, LotState


class Looking:
    """The lists, items and figures of a store; `Store` is all of this and what changes it."""

    _database: Database

    def __init__(self) -> None:
        self._memory = Memory()

    # Item by item

    def fse_list(
        self,
        practice: str | None = None,
        limit: int = 200,
        offset: int = 0,
        states: Sequence[FseState] = (),
    ) -> list[FseRow]:
        """FSE, newest first, those in one of `states` when any is named."""
        with self._database.reading() as tx:
            return views.fse_list(tx, practice, limit, offset, states)

    def lot_list(self, practice: str | None = None, limit: int = 200, offset: int = 0) -> list[LotRow]:
        """Lots, newest first."""
        with self._database.reading() as tx:
            return breakers.shown(tx, views.lot_list(tx, practice, limit, offset))

    def fse(self, practice: str, number: int) -> FseRow:
        """One FSE of this practice; StoreError (code unknown) when there is none."""
        with self._database.reading() as tx:
            return details.one_fse(tx, practice, number)

    def lot(self, practice: str, lot_id: str) -> LotRow:
        """One lot of this practice; StoreError (code unknown) when there is none."""
        with self._database.reading() as tx:
            return breakers.shown(tx, [details.one_lot(tx, practice, lot_id)])[0]

    def fse_of_lot(self, practice: str, lot_id: str) -> list[int]:
        """The numbers of the FSE in a lot of this practice."""
        with self._database.reading() as tx:
            return details.fse_of_lot(tx, practice, lot_id)

    def receipts(self, practice: str, lot_id: str) -> list[ReceiptLine]:
        """The ARL of a lot of this practice, oldest first."""
        with self._database.reading() as tx:
            return details.receipts(tx, practice, lot_id)

    def payments(self, practice: str, limit: int = 200, offset: int = 0) -> list[PaymentLine]:
        """What payment returns said of this practice's FSE, newest first."""
        with self._database.reading() as tx:
            return details.payments(tx, practice, limit, offset)

    def payments_of(self, practice: str, number: int) -> list[PaymentLine]:
        """What payment returns said of one FSE of this practice, oldest first."""
        with self._database.reading() as tx:
            return details.payments_of(tx, practice, number)

    def last_change(self) -> int:
        """The place of the newest change of state, 0 before the first."""
        with self._database.reading() as tx:
            return details.last_change(tx)

    def changes_after(self, practice: str, after: int, limit: int = 200) -> list[Change]:
        """This practice's changes of state behind that place, oldest first."""
        with self._database.reading() as tx:
            return details.changes_after(tx, practice, after, limit)

    def audit_of(self, practice: str, after: int = 0, limit: int = 200) -> list[AuditRecord]:
        """The trail of this practice behind record `after`, oldest first."""
        with self._database.reading() as tx:
            return details.audit_of(tx, practice, after, limit)

    def history(self, number: int, practice: str | None = None) -> list[HistoryLine]:
        """Every change of state of one FSE and of its lot, oldest first."""
        with self._database.reading() as tx:
            return views.history(tx, number, practice)

    def unmatched(self, limit: int = 200, practice: str | None = None) -> list[Unmatched]:
        """Returns that moved nothing and wait for a person, newest first, of one practice or of all."""
        with self._database.reading() as tx:
            return views.unmatched(tx, limit, practice)

    def counts(self, practice: str | None = None) -> Counts:
        """Numbers per state, late FSE and unmatched returns; of one practice when it is named."""
        with self._database.reading() as tx:
            return views.counts(tx, practice, self._counted())

    def status(self, practice: str | None = None) -> str:
        """The same in plain words, one line per fact."""
        with self._database.reading() as tx:
            beside = (*late.told(tx, practice), *breakers.told(tx))
            return "\n".join((views.status(tx, practice, self._counted()), *beside))

    # Pages of lists, newest first: `after` is that of the page before ("" for the first page)

    def fse_page(
        self, practice: str, wanted: Wanted = FIRST_PAGE, states: Sequence[FseState] = ()
    ) -> Page[FseRow]:
        """FSE by the moment of their making, those in one of `states` when any is named."""
        with self._database.reading() as tx:
            return lists.fse_page(tx, practice, states, wanted)

    def lot_page(
        self, practice: str, wanted: Wanted = FIRST_PAGE, states: Sequence[LotState] = ()
    ) -> Page[LotRow]:
        """Lots by their day, those in one of `states` when any is named."""
        with self._database.reading() as tx:
            page = lists.lot_page(tx, practice, states, wanted)
            return replace(page, rows=tuple(breakers.shown(tx, page.rows)))

    def payments_matched(self, practice: str, wanted: Wanted = FIRST_PAGE) -> Page[PaymentMatch]:
        """What payment returns said of this practice's FSE, beside what these had asked for."""
        with self._database.reading() as tx:
            return lists.payments_matched(tx, practice, wanted)

    # Figures of one practice; days are French days, money is in cents

    def due(self, practice: str, today: date, limit: int = 200) -> Due:
        """Sheets not sent and sent lots without receipt: late, due today, due within two working days."""
        with self._database.reading() as tx:
            return figures.due(tx, practice, today, limit)

    def months(self, practice: str, today: date, count: int = 12) -> list[Month]:
        """The last `count` months (1 to 36), that of `today` last."""
        found = []
        for first in figures.last_months(today, count):
            with self._database.reading() as tx:
                found.append(figures.month(tx, practice, first))
        return found

    def late_payments(
        self, practice: str, today: date, days: int = PAYMENT_DAYS, limit: int = 200
    ) -> list[LatePayment]:
        """Shares accepted in third-party payment `days` days ago or earlier and not paid, oldest first."""
        with self._database.reading() as tx:
            return figures.late_payments(tx, practice, today, days, limit)

    def refusals(self, practice: str, limit: int = 200) -> list[Refusal]:
        """Refused sheets that nothing has taken the place of yet, with who refused and the code."""
        with self._database.reading() as tx:
            return figures.refusals(tx, practice, limit)

    def statement(self, practice: str, year: int, month: int, practitioner: str = "") -> Statement:
        """The statement of a month, of one professional (place of practice) or of all of the practice."""
        first = figures.month_of(year, month)
        lines: list[StatementLine] = []
        part = figures.StatementPart()
        while part.after is not None:
            with self._database.reading() as tx:
                part = figures.statement_part(tx, practice, first, part.after)
            lines += (line for line in part.lines if practitioner in ("", line.practitioner))
        return figures.statement(practice, practitioner, first, lines)

    def _counted(self) -> Memory | None:
        """What is known of the numbers per state: where one writer works, and not of what may be undone."""
        return self._memory if self._database.backend.alone and not self._database.in_batch else None
