"""Lots and files at their limits and one beyond: records, totals, numbers (billing facts 2 and 10)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import InputError
from gateway.lots.fse import Fse
from gateway.lots.lot import (
    LOT_RECORDS,
    MAX_FILE_RECORDS,
    MAX_LOT_CENTS,
    MAX_LOT_RECORDS,
    build_lot,
    cut,
)
from gateway.lots.lot_file import parse_file
from gateway.lots.numbering import LotNumbers, check_numbers
from gateway.lots.refusal import LotRefusal
from gateway.records import b2
from tests.gateway.lots.world import World, header, priced

DEAR = 9_999_800
"""Cents of one act; the charge is one euro more (tests/gateway/lots/world.py)."""


def of_records(world: World, count: int) -> list[Fse]:
    """Degraded sheets of four records and a last one that fills up to `count`."""
    sheets = [world.fse(number, mode=5) for number in range(1, count // 4)]
    rest = count - 4 * len(sheets)
    return [*sheets, world.fse(999, mode=5, price=priced(codes=("G",) * (rest - 3)))]


def test_a_lot_of_950_records(world: World) -> None:
    """950 records between 1 and 6 are built and read back, and 951 are refused."""
    degraded = replace(header(), family="degraded")
    full = build_lot(degraded, of_records(world, MAX_LOT_RECORDS - 2)).signed()
    assert len(full.file) == 128 * (MAX_LOT_RECORDS + 2) <= 128 * MAX_FILE_RECORDS
    assert len(parse_file(full.file).lots[0].fses) == full.count
    with pytest.raises(InputError, match="951 records passes the limit of 950"):
        build_lot(degraded, of_records(world, MAX_LOT_RECORDS - 1))


def two_lots(world: World, second: int) -> bytes:
    """A file with a lot of 950 records and one of `second`."""
    degraded = replace(header(), family="degraded")
    first = build_lot(degraded, of_records(world, MAX_LOT_RECORDS - 2)).signed().file
    more = build_lot(degraded, of_records(world, second - 2)).signed().file
    body = first[:-128] + more[128:-128]
    end = b2.FileEnd.decode(first[-128:]) | {"records": len(body) // 128 + 1, "lots": 2}
    return body + b2.FileEnd.encode(**end)


def test_a_file_of_999_records(world: World) -> None:
    """999 records in two lots are read, with both ends counted; 1000 are refused."""
    assert len(parse_file(two_lots(world, 47)).lots) == 2
    with pytest.raises(LotRefusal, match="1000 records, 999 are allowed") as caught:
        parse_file(two_lots(world, 48))
    assert caught.value.error_code == "4007"


def test_cut_keeps_the_limit_of_records(world: World) -> None:
    """Sheets that just fit stay in one lot; one record more makes two; nothing is lost or reordered."""
    room = MAX_LOT_RECORDS - LOT_RECORDS
    assert [len(lot) for lot in cut(of_records(world, room))] == [len(of_records(world, room))]
    over = of_records(world, room + 1)
    lots = cut(over)
    assert [len(lot) for lot in lots] == [len(over) - 1, 1]
    assert [fse for lot in lots for fse in lot] == over


def test_cut_keeps_the_totals_writable(world: World) -> None:
    """Record 6 holds nine digits of cents: a lot that would pass them is cut, and each part can be built."""
    usual = priced(unit=DEAR, codes=("G",) * 10)
    dear = replace(usual, lines=tuple(replace(line, amc_cents=0) for line in usual.lines))
    sheet = world.fse(1, mode=5, price=dear)
    fit = MAX_LOT_CENTS // sheet.invoice.charged
    sheets = [world.fse(number, mode=5, price=dear) for number in range(1, fit + 2)]
    lots = cut(sheets)
    assert [len(lot) for lot in lots] == [fit, 1]
    degraded = replace(header(), family="degraded")
    assert all(build_lot(degraded, lot).signed().count for lot in lots)
    with pytest.raises(InputError, match="record 6"):
        build_lot(degraded, sheets)


@pytest.mark.parametrize(
    ("name", "last", "beyond"),
    [
        ("lot_number", 999, 1000),
        ("lot_number", 1, 0),
        ("file_id", "ZZZZZZ", "1000000"),
        ("compostage", "9" * 19, "1" * 20),
    ],
)
def test_numbers_of_a_lot(name: str, last: object, beyond: object) -> None:
    """The last number of each kind is taken, the one beyond is refused by its name."""
    numbers = header().numbers
    assert getattr(check_numbers(replace(numbers, **{name: last})), name) == last  # type: ignore[arg-type]
    with pytest.raises(InputError, match=name.replace("_", " ")):
        check_numbers(replace(numbers, **{name: beyond}))  # type: ignore[arg-type]


def test_lot_numbers_are_a_value() -> None:
    """Numbers that are the same are equal: what is reserved once can be recognised."""
    one = header().numbers
    assert one == LotNumbers(one.lot_number, one.lot_date, one.file_id, one.compostage)
