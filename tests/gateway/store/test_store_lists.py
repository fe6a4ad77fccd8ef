"""Pages of lists: every row once, newest first, whatever the filter, and nothing of another practice."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from gateway.errors import InputError
from gateway.exchange.calendar import legal_day
from gateway.store.lists import MAX_ROWS, Page, Wanted, day_begins
from gateway.store.rows import Payment
from gateway.store.schema import moment
from gateway.store.states import FseState, LotState
from tests.gateway.store.line import PRACTICE, START, Line, payment

DAYS = 12


def walk(page: Callable[[Wanted], Page[Any]], first: date | None, last: date | None, limit: int) -> list[Any]:
    """All rows of a list, page by page."""
    found: list[Any] = []
    after = ""
    while True:
        one = page(Wanted(first, last, after, limit))
        assert len(one.rows) <= limit
        found += one.rows
        if not one.after:
            return found
        after = one.after


@pytest.fixture
def busy(line: Line) -> Line:
    """Sheets of several days, states and practices; two of them made at the same moment."""
    chance = random.Random(7)
    for at in range(40):
        moment_made = START + timedelta(days=chance.randrange(DAYS), hours=chance.randrange(-9, 14))
        line.keep(1, elaborated=moment_made if at % 5 else START)
        if at % 4 == 0:
            line.keep(1, practice="other", elaborated=moment_made)
    for number in (3, 9, 27):
        line.store.cancel(PRACTICE, number, "by mistake")
    for day in range(6):
        numbers = [2 * day + 11, 2 * day + 12]
        sealed = line.seal(numbers)
        line.store.keep_lot(PRACTICE, sealed, numbers)
        line.send(sealed)
        line.clock.advance(timedelta(days=1))
        if day == 2:
            line.store.park(sealed.id, "looked at by hand")
    return line


@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize(
    "states", [(), (FseState.SIGNED,), (FseState.CANCELLED, FseState.SENT), tuple(FseState)]
)
def test_every_sheet_once(busy: Line, limit: int, states: Sequence[FseState]) -> None:
    """Page by page every sheet of the filter comes once, newest first; the same for any range of days."""
    rows = busy.store.fse_list(PRACTICE, limit=1000)
    for first, last in ((None, None), (date(2026, 3, 4), None), (date(2026, 3, 4), date(2026, 3, 6))):
        expected = sorted(
            (row for row in rows if not states or row.state in states),
            key=lambda row: (row.elaborated, row.number),
            reverse=True,
        )
        expected = [
            row
            for row in expected
            if (not first or legal_day(row.elaborated) >= first)
            and (not last or legal_day(row.elaborated) <= last)
        ]
        found = walk(lambda wanted: busy.store.fse_page(PRACTICE, wanted, states), first, last, limit)
        assert found == expected


def test_every_lot_once(busy: Line) -> None:
    """Lots by their day, newest first, by state and by days."""
    every = walk(lambda wanted: busy.store.lot_page(PRACTICE, wanted), None, None, 2)
    assert [row.lot_date.day for row in every] == [7, 6, 5, 4, 3, 2]
    parked = busy.store.lot_page(PRACTICE, Wanted(), [LotState.PARKED])
    assert [row.lot_date.day for row in parked.rows] == [4]
    some = busy.store.lot_page(PRACTICE, Wanted(date(2026, 3, 3), date(2026, 3, 5)))
    assert [row.lot_date.day for row in some.rows] == [5, 4, 3]
    assert busy.store.lot_page("nobody").rows == ()


def test_what_arrives_meanwhile_moves_nothing(busy: Line) -> None:
    """A sheet made between two pages is not in the second one, and none of the others is lost or doubled."""
    before = busy.store.fse_list(PRACTICE, limit=1000)
    first = busy.store.fse_page(PRACTICE, Wanted(limit=10))
    busy.keep(3, elaborated=START + timedelta(days=30))
    rest = walk(lambda wanted: busy.store.fse_page(PRACTICE, wanted), None, None, 10)[3:]
    second = busy.store.fse_page(PRACTICE, Wanted(after=first.after, limit=100))
    assert [*first.rows, *second.rows] == rest
    assert {row.number for row in rest} == {row.number for row in before}


def test_payments_beside_their_sheets(line: Line) -> None:
    """What a return said and what the sheet had asked stand side by side; strays and others' are left out."""
    first = line.lot(2)
    line.clock.advance(timedelta(seconds=1))  # no other lot has its compostage
    second = line.lot(1, practice="other")
    line.send(first)
    line.send(second)
    paid: list[Payment] = [payment(1, first), payment(2, first, paid=False, code="123"), payment(77, first)]
    line.store.post_payment(paid, b"noemie", "m1", PRACTICE)
    line.clock.advance(timedelta(days=1))
    line.store.post_payment([payment(1, second)], b"noemie other", "m2", "other")
    page = line.store.payments_matched(PRACTICE)
    shown = [(one.said.number, one.said.paid, one.state, one.amo_cents) for one in page.rows]
    assert shown == [(2, False, "PAYMENT_REJECTED", 2100), (1, True, "PAID", 2100)]
    assert [one.said.number for one in line.store.payments_matched("other").rows] == [1]
    assert [each.number for each in line.store.payments(PRACTICE)] == [2, 1]
    assert line.store.payments_matched(PRACTICE, Wanted(first=date(2026, 3, 3))).rows == ()
    assert len(walk(lambda wanted: line.store.payments_matched(PRACTICE, wanted), None, None, 1)) == 2


@pytest.mark.parametrize(
    "after", ["x", "~", "2026", "2026~x", "2026~-1", "'~1", "2026~" + "9" * 40, "2026~١"]
)
def test_a_place_that_is_none(line: Line, after: str) -> None:
    """What no page has given is refused in one sentence, and not repeated."""
    with pytest.raises(InputError, match="no place of the list"):
        line.store.fse_page(PRACTICE, Wanted(after=after))


def test_limits_of_a_page(line: Line) -> None:
    """No page is empty by its size or larger than MAX_ROWS; days at the ends of the calendar make sense."""
    line.keep(3)
    assert len(line.store.fse_page(PRACTICE, Wanted(limit=0)).rows) == 1
    assert len(line.store.fse_page(PRACTICE, Wanted(limit=MAX_ROWS * 9)).rows) == 3
    assert len(line.store.fse_page(PRACTICE, Wanted(date.min, date.max)).rows) == 3
    assert line.store.fse_page(PRACTICE, Wanted(date.max, date.min)).rows == ()


@pytest.mark.parametrize("day", [date(2026, 3, 28), date(2026, 3, 29), date(2026, 10, 25), date(2026, 7, 1)])
def test_where_a_french_day_begins(day: date) -> None:
    """The first moment of a day is of that day, the one before is of the day before; clock changes too."""
    begins = moment(day_begins(day))
    assert legal_day(begins) == day
    assert legal_day(begins - timedelta(microseconds=1)) == day - timedelta(days=1)
    assert begins < datetime(day.year, day.month, day.day, tzinfo=UTC)
