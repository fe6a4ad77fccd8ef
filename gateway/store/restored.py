"""A store that came back from a backup: numbers given since that backup are unknown, and none is given twice.

`restore` leaves a mark in the store; the first gateway that opens it for work takes the mark away and moves
every counter on, in one transaction, before any number is given (promise B11). Per day begun since the
backup a practice may have used DAILY numbers of sheets, files and mails; a person who knows the last sheet
number of a practice says it, and that one counts instead. A practice that the backup does not know begins
behind the same margin. Lot numbers count to 999 and belong to a day: they move on by half of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from gateway.errors import StoreError
from gateway.lots.numbering import MAX_INVOICE_NUMBER, MAX_LOT_NUMBER
from gateway.store.database import Transaction
from gateway.store.numbers import ANYONE, FILE, FSE, LOT, MAIL
from gateway.store.schema import meta, moment, number
from gateway.store.statements import Record

DAILY = 10_000
"""How many sheets, files or mails of one practice are allowed for per day begun since the backup."""

LOT_STEP = MAX_LOT_NUMBER // 2
"""How far the lot numbers move on: so many lots of a practice may have left since, that day."""

MARK = "restored"

_TAKE = sa.delete(meta).where(meta.c.name == MARK).returning(meta.c.value)
_COUNTERS = sa.select(number).order_by(number.c.practice, number.c.kind)
_SET = sa.update(number).where(
    (number.c.practice == sa.bindparam("b_practice")) & (number.c.kind == sa.bindparam("b_kind"))
)
_FORGET = sa.delete(number).where(number.c.practice == ANYONE)
_BEGIN = number.insert()


@dataclass(frozen=True, slots=True)
class Mark:
    """When the backup was made (a stamp), and the last sheet number known of some practices."""

    made_at: str
    known: Mapping[str, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """As `meta` keeps it."""
        return json.dumps({"made_at": self.made_at, "known": dict(self.known)}).encode()

    @classmethod
    def parse(cls, value: bytes) -> Mark:
        """Read what `to_bytes` wrote."""
        said = json.loads(value)
        return cls(said["made_at"], said["known"])


def margin(made_at: datetime, now: datetime) -> int:
    """How many numbers may have been given in the days begun since a backup."""
    return DAILY * (max((now.date() - made_at.date()).days, 0) + 1)


def check_known(counters: Mapping[str, int], mark: Mark, now: datetime) -> None:
    """Refuse what would give a number twice or run out of them. `counters`: last FSE number by practice."""
    for practice, known in mark.known.items():
        last = counters.get(practice, 0)
        if not last <= known < MAX_INVOICE_NUMBER:
            sentence = f"the last FSE number of {practice} cannot be {known}: the backup itself knows {last}"
            raise StoreError(f"{sentence}; look at the last sheet that was made", code="number")
    for practice, last in counters.items():
        if practice not in mark.known and last + margin(moment(mark.made_at), now) >= MAX_INVOICE_NUMBER:
            sentence = f"practice {practice} has too few FSE numbers left to skip those that may be used"
            raise StoreError(f"{sentence}: say the last number that it used", code="number")


def settle(tx: Transaction) -> None:
    """Move the counters on when this store came back from a backup; nothing otherwise."""
    taken = tx.first(_TAKE)
    if taken is None:
        return
    mark = Mark.parse(bytes(taken.value))
    skipped = margin(moment(mark.made_at), moment(tx.at))
    tx.audit("store restored", "", f"from the backup of {mark.made_at}")
    for row in tx.rows(_COUNTERS):
        if row.practice != ANYONE:
            _move(tx, row, mark, skipped)
    tx.run(_FORGET)
    tx.run(_BEGIN, [{"practice": ANYONE, "kind": kind, "last": skipped} for kind in (FSE, FILE, MAIL)])


def _move(tx: Transaction, row: Record, mark: Mark, skipped: int) -> None:
    if row.kind == LOT:
        last = (row.last + LOT_STEP - 1) % MAX_LOT_NUMBER + 1
    elif row.kind == FSE and row.practice in mark.known:
        last = mark.known[row.practice]
    else:
        last = row.last + skipped
    tx.run(_SET, {"b_practice": row.practice, "b_kind": row.kind, "last": last})
    what = f"{row.kind} numbers moved on"
    tx.audit(what, f"{row.practice}/{last}", f"after a restore: {row.last} to {last}", practice=row.practice)
