"""Numbers are durable before anybody uses them. Gaps are allowed and visible in the audit, reuse never."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from gateway.errors import StoreError
from gateway.lots.numbering import (
    MAX_INVOICE_NUMBER,
    MAX_LOT_NUMBER,
    LotNumbers,
    compostage,
    file_id,
    next_lot_number,
)
from gateway.store.database import Transaction
from gateway.store.rows import NumberGiven
from gateway.store.schema import moment, number, reservation

FSE, LOT, FILE, MAIL = "fse", "lot", "file", "mail"
ANYONE = ""
"""The counters of no practice: where those begin that a store which came back from a backup does not know."""

_FILES = 999_999

_MINE = (number.c.practice == sa.bindparam("b_practice")) & (number.c.kind == sa.bindparam("b_kind"))
_ADVANCE = (
    sa.update(number)
    .where(_MINE)
    .values(last=number.c.last + sa.bindparam("b_count"))
    .returning(number.c.last)
)
_SET = sa.update(number).where(_MINE)
_LAST = sa.select(number.c.last).where(_MINE)
_HOLD = _LAST.with_for_update()
_GIVEN = sa.select(number).where(number.c.practice != ANYONE).order_by(number.c.practice, number.c.kind)
_FIRST = number.insert()
_RESERVE = reservation.insert()
_DAY = (reservation.c.practice == sa.bindparam("practice")) & (
    reservation.c.lot_date == sa.bindparam("lot_date")
)
_TAKEN = sa.select(reservation.c.lot_number).where(
    _DAY & (reservation.c.lot_number == sa.bindparam("lot_number"))
)
_USED_ON_DAY = sa.select(sa.func.count()).select_from(reservation).where(_DAY)


def reserve_fse(tx: Transaction, practice: str, count: int) -> range:
    """The next `count` FSE numbers of a practice."""
    if count < 1:
        raise StoreError(f"{count} FSE numbers cannot be reserved: ask for at least one", code="input")
    last = _advance(tx, practice, FSE, count)
    if last > MAX_INVOICE_NUMBER:
        raise StoreError(f"practice {practice} has used its {MAX_INVOICE_NUMBER} FSE numbers", code="numbers")
    first = last - count + 1
    tx.audit("FSE numbers reserved", f"{practice}/{first}", f"{count} from {first}", practice=practice)
    return range(first, last + 1)


def given(tx: Transaction) -> list[NumberGiven]:
    """The last number of each kind that each practice was given."""
    return [NumberGiven(row.practice, row.kind, row.last) for row in tx.rows(_GIVEN)]


def is_reserved(tx: Transaction, practice: str, fse_number: int) -> bool:
    """Whether an FSE number was given out by this store."""
    row = tx.first(_LAST, {"b_practice": practice, "b_kind": FSE})
    return row is not None and 1 <= fse_number <= row.last


def reserve_lot(tx: Transaction, practice: str, destination: str, lot_date: date) -> LotNumbers:
    """The four numbers of one lot. A lot number and its day are one key: the pair never comes back."""
    numbers = LotNumbers(
        lot_number=_free_lot_number(tx, practice, lot_date.isoformat()),
        lot_date=lot_date,
        file_id=file_id((_advance(tx, practice, FILE, 1) - 1) % _FILES + 1),
        compostage=compostage(moment(tx.at), _advance(tx, practice, MAIL, 1)),
    )
    row = {
        "practice": practice,
        "destination": destination,
        "lot_number": numbers.lot_number,
        "lot_date": lot_date.isoformat(),
        "file_id": numbers.file_id,
        "compostage": numbers.compostage,
        "at": tx.at,
        "used": False,
    }
    tx.run(_RESERVE, row)
    ref = f"{practice}/{numbers.compostage}"
    tx.audit("lot numbers reserved", ref, f"lot {numbers.lot_number} of {lot_date}", practice=practice)
    return numbers


def _free_lot_number(tx: Transaction, practice: str, day: str) -> int:
    row = tx.first(_HOLD, {"b_practice": practice, "b_kind": LOT})
    candidate = next_lot_number(row.last if row else 0)
    if _is_taken(tx, practice, day, candidate):
        candidate = _search(tx, practice, day, candidate)
    if row is None:
        tx.run(_FIRST, {"practice": practice, "kind": LOT, "last": candidate})
    else:
        tx.run(_SET, {"b_practice": practice, "b_kind": LOT, "last": candidate})
    return candidate


def _is_taken(tx: Transaction, practice: str, day: str, candidate: int) -> bool:
    values = {"practice": practice, "lot_date": day, "lot_number": candidate}
    return tx.first(_TAKEN, values) is not None


def _search(tx: Transaction, practice: str, day: str, candidate: int) -> int:
    used = tx.first(_USED_ON_DAY, {"practice": practice, "lot_date": day})
    if used is not None and used[0] >= MAX_LOT_NUMBER:
        sentence = (
            f"practice {practice} has used its {MAX_LOT_NUMBER} lot numbers of {day}: wait for the next day"
        )
        raise StoreError(sentence, code="numbers")
    while _is_taken(tx, practice, day, candidate):
        candidate = next_lot_number(candidate)
    return candidate


def _advance(tx: Transaction, practice: str, kind: str, count: int) -> int:
    row = tx.first(_ADVANCE, {"b_practice": practice, "b_kind": kind, "b_count": count})
    if row is not None:
        return int(row.last)
    begin = tx.first(_LAST, {"b_practice": ANYONE, "b_kind": kind})
    last = count + (begin.last if begin is not None else 0)
    tx.run(_FIRST, {"practice": practice, "kind": kind, "last": last})
    return last
