"""Pages of the lists that people and programs look at: newest first, each found by an index.

A page ends with the place where the next one begins (`after`): the key of its last row, not a count of rows,
so that the thousandth page costs what the first one costs and what arrives meanwhile moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from gateway.errors import InputError
from gateway.exchange.calendar import legal_day
from gateway.store.database import Transaction
from gateway.store.details import payment_line
from gateway.store.outbox import lot_row
from gateway.store.rows import FseRow, LotRow, Outcome, PaymentLine
from gateway.store.schema import fse, lot, moment, payment, stamp
from gateway.store.statements import Record
from gateway.store.states import FseState, LotState
from gateway.store.views import FSE, fse_row

MAX_ROWS = 500
"""How many rows a page has at most."""

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[_Row]):
    """Some rows of a list, and where the next page begins: "" when nothing follows."""

    rows: tuple[_Row, ...]
    after: str = ""


@dataclass(frozen=True, slots=True)
class PaymentMatch:
    """What a return said of one sheet, beside what the sheet had asked for; cents."""

    said: PaymentLine
    state: FseState
    practitioner: str
    elaborated: datetime
    amo_cents: int
    amc_cents: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a list: days (French, both included, None: no limit), place and number of rows."""

    first: date | None = None
    last: date | None = None
    after: str = ""
    limit: int = 50


FIRST_PAGE = Wanted()


class _Listing:
    """One list: its query, what it is sorted by (a column of text, then a number), and its states."""

    def __init__(self, query: sa.Select[Any], owner: Any, by: tuple[Any, Any], state: Any = None) -> None:
        self._by = tuple(column.key for column in by)
        place = sa.tuple_(*by) < sa.tuple_(sa.bindparam("b_text"), sa.bindparam("b_number"))
        mine = query.where(owner == sa.bindparam("b_practice")).where(by[0] >= sa.bindparam("b_first"))
        every = mine.where(place).order_by(by[0].desc(), by[1].desc()).limit(sa.bindparam("b_limit"))
        self._every = every
        self._of_state = None if state is None else every.where(state == sa.bindparam("b_state"))

    def page(
        self,
        tx: Transaction,
        practice: str,
        wanted: Wanted,
        bounds: tuple[str, str],
        states: Iterable[str] = (),
    ) -> tuple[list[Record], str]:
        """The rows of one page and where the next begins. `bounds`: from the first, before the second."""
        limit = min(max(wanted.limit, 1), MAX_ROWS)
        text, number = _place(wanted.after) if wanted.after else (bounds[1], -1)
        values = {
            "b_practice": practice, "b_first": bounds[0], "b_text": text, "b_number": number,
            "b_limit": limit + 1,
        }  # fmt: skip
        found = self._found(tx, values, tuple(dict.fromkeys(states)))
        rows = found[:limit]
        return rows, "~".join(map(str, self._key(rows[-1]))) if len(found) > limit else ""

    def _found(self, tx: Transaction, values: dict[str, object], states: Sequence[str]) -> list[Record]:
        if not states or self._of_state is None:
            return tx.rows(self._every, values)
        found = [row for state in states for row in tx.rows(self._of_state, {**values, "b_state": state})]
        return sorted(found, key=self._key, reverse=True)

    def _key(self, row: Record) -> tuple[str, int]:
        text, number = (getattr(row, name) for name in self._by)
        return text, number


_FSE = _Listing(FSE, fse.c.practice, (fse.c.elaborated, fse.c.number), fse.c.state)
_LOTS = _Listing(sa.select(lot), lot.c.practice, (lot.c.lot_date, lot.c.seq), lot.c.state)
_PAYMENTS = _Listing(
    sa.select(
        payment,
        fse.c.state.label("fse_state"),
        fse.c.practitioner,
        fse.c.elaborated,
        fse.c.amo_cents.label("asked_amo"),
        fse.c.amc_cents.label("asked_amc"),
    )
    .join(fse, payment.c.fse_id == fse.c.id)
    .where(payment.c.outcome != Outcome.CONTRADICTED),
    payment.c.practice,
    (payment.c.at, payment.c.id),
)


def fse_page(tx: Transaction, practice: str, states: Sequence[FseState], wanted: Wanted) -> Page[FseRow]:
    """FSE of one practice by the moment of their making, newest first."""
    return _shown(_FSE.page(tx, practice, wanted, _moments(wanted), states), fse_row)


def lot_page(tx: Transaction, practice: str, states: Sequence[LotState], wanted: Wanted) -> Page[LotRow]:
    """Lots of one practice by their day, newest first."""
    return _shown(_LOTS.page(tx, practice, wanted, _days(wanted), states), lot_row)


def payments_matched(tx: Transaction, practice: str, wanted: Wanted) -> Page[PaymentMatch]:
    """What payment returns said of this practice's FSE, by the moment of their coming, newest first."""
    return _shown(_PAYMENTS.page(tx, practice, wanted, _moments(wanted)), _match)


def day_begins(day: date) -> str:
    """The stamp of the first moment of a French day; days that no calendar of ours has are cut off."""
    day = min(max(day, date(1900, 1, 1)), date(9000, 1, 1))
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    early = midnight - timedelta(hours=2)
    return stamp(early if legal_day(early) == day else midnight - timedelta(hours=1))


def _shown(found: tuple[list[Record], str], show: Callable[[Record], _Row]) -> Page[_Row]:
    rows, after = found
    return Page(tuple(map(show, rows)), after)


def _moments(wanted: Wanted) -> tuple[str, str]:
    first = day_begins(wanted.first) if wanted.first else ""
    return first, day_begins(_next(wanted.last)) if wanted.last else "9"


def _days(wanted: Wanted) -> tuple[str, str]:
    first = wanted.first.isoformat() if wanted.first else ""
    return first, _next(wanted.last).isoformat() if wanted.last else "9"


def _next(day: date) -> date:
    return date.fromordinal(min(day.toordinal() + 1, date.max.toordinal()))


def _place(after: str) -> tuple[str, int]:
    text, _, number = after.partition("~")
    if not (number.isascii() and number.isdigit() and len(number) < 19 and text[:1].isdigit()):
        raise InputError("this is no place of the list: take `after` from the page before", code="input")
    return text, int(number)


def _match(row: Record) -> PaymentMatch:
    return PaymentMatch(
        said=payment_line(row),
        state=FseState(row.fse_state),
        practitioner=row.practitioner,
        elaborated=moment(row.elaborated),
        amo_cents=row.asked_amo,
        amc_cents=row.asked_amc,
    )
