"""Numbers at their limits and one beyond: FSE, lot, file and mail (billing facts 2 and 10.4)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gateway.errors import StoreError
from gateway.lots.numbering import LOT_REUSE_DAYS, MAX_INVOICE_NUMBER
from tests.gateway.store.line import CAISSE, PRACTICE, Line

DAY = date(2026, 3, 2)


def count_from(line: Line, kind: str, last: int) -> None:
    """Let a counter of the store stand at `last`."""
    line.sql(f"INSERT INTO number (practice, kind, last) VALUES ('{PRACTICE}', '{kind}', {last})")


def test_the_last_invoice_number(line: Line) -> None:
    """999 999 999 is given out, the number after it never is, and asking again changes nothing."""
    count_from(line, "fse", MAX_INVOICE_NUMBER - 1)
    assert line.store.reserve_fse_number(PRACTICE) == MAX_INVOICE_NUMBER
    for _ in range(2):
        with pytest.raises(StoreError, match="has used its 999999999 FSE numbers") as caught:
            line.store.reserve_fse_number(PRACTICE)
        assert caught.value.code == "numbers"
    assert line.store.reserve_fse_number("other") == 1


def test_lots_of_ninety_days(line: Line) -> None:
    """More than 999 lots within 90 days: numbers come back, a number and its day never do."""
    pairs = []
    for day in range(0, LOT_REUSE_DAYS + 2, 13):
        given = line.store.reserve_lots(PRACTICE, [CAISSE] * 200, DAY + timedelta(days=day))
        pairs += [(one.lot_number, one.lot_date) for one in given]
    assert len(set(pairs)) == len(pairs) > 999
    assert {number for number, _ in pairs} == set(range(1, 1000))


def test_file_ids_begin_again(line: Line) -> None:
    """After the file 999999 comes 000001: six digits always, and no mail has the number of another."""
    count_from(line, "file", 999_998)
    count_from(line, "mail", 99_999)
    given = line.store.reserve_lots(PRACTICE, [CAISSE] * 3, DAY)
    assert [one.file_id for one in given] == ["999999", "000001", "000002"]
    assert [one.compostage[-5:] for one in given] == ["00000", "00001", "00002"]
    assert len({one.compostage for one in given}) == 3


def test_lots_of_one_day_for_several_organisms(line: Line) -> None:
    """The 999 numbers of a day are those of the practice, whichever organism a lot goes to."""
    line.store.reserve_lots(PRACTICE, [CAISSE] * 500, DAY)
    line.store.reserve_lots(PRACTICE, ["02-999-349"] * 499, DAY)
    with pytest.raises(StoreError, match="wait for the next day"):
        line.store.reserve_lot(PRACTICE, "02-999-349", DAY)
    assert line.store.reserve_lot("other", CAISSE, DAY).lot_number == 1


def test_secured_and_desynchronised_share_a_lot(line: Line) -> None:
    """Modes 3 and 4 are one family, sheets without Vitale and degraded ones go into lots of their own."""
    for mode in (3, 4, 1, 5, 3):
        line.keep(1, mode=mode)
    groups = {group.family: group.numbers for group in line.store.fse_waiting(PRACTICE)}
    assert groups == {"signed": (1, 2, 5), "without-vitale": (3,), "degraded": (4,)}
    both = list(groups["signed"])
    line.store.keep_lot(PRACTICE, line.seal(both), both)
    with pytest.raises(StoreError, match="families of modes"):
        line.store.keep_lot(PRACTICE, line.seal([3, 4]), [3, 4])
