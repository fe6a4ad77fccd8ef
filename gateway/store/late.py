"""FSE whose legal day has passed and that have not left: each is told once, by name, and stays shown.

R161-47 I: what is not sent in time is a matter for a person. Nothing here changes a sheet; the trail gets one
record for each, on the first look after its day, and `status` names them until they have left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from gateway.exchange.calendar import legal_day
from gateway.store.database import Transaction
from gateway.store.schema import UNSENT, fse, meta, moment
from gateway.store.statements import Record

MARK = "late-noted"
"""In `meta`: the moment (a stamp) of the last look."""

SHOWN = 20
_LATE = (
    sa.select(fse.c.practice, fse.c.number, fse.c.deadline, fse.c.state, fse.c.elaborated)
    .where(UNSENT & (fse.c.deadline < sa.bindparam("b_today")))
    .order_by(fse.c.deadline, fse.c.practice, fse.c.number)
)
_OF_ONE = _LATE.where(fse.c.practice == sa.bindparam("b_practice"))
_READ = sa.select(meta.c.value).where(meta.c.name == MARK).with_for_update()
_MOVE = sa.text(
    "INSERT INTO meta (name, value) VALUES (:name, :value) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


@dataclass(frozen=True, slots=True)
class LateFse:
    """One FSE that had to leave by `deadline`, and where it stands."""

    practice: str
    number: int
    deadline: date
    state: str

    def says(self) -> str:
        """One sentence for people."""
        what = "sign it with its CPS" if self.state == "AWAITING_CPS" else "look why its lot has not left"
        return f"LATE: FSE {self.number} had to leave by {self.deadline}, it is {self.state}: {what}"


def note(tx: Transaction) -> list[LateFse]:
    """Record each FSE that has become late since the last look, once; which ones. Once a legal day."""
    today, seen = legal_day(moment(tx.at)), tx.first(_READ)
    last = "" if seen is None else bytes(seen.value).decode()
    day = legal_day(moment(last)) if last else date.min
    if day >= today:
        return []
    found = []
    for row in tx.rows(_LATE, {"b_today": today.isoformat()}):
        one = _late(row)
        if one.deadline >= day or row.elaborated > last:  # or it was made when its day was over already
            tx.audit("FSE late", f"{one.practice}/{one.number}", f"due {one.deadline}", practice=one.practice)
            found.append(one)
    tx.run(_MOVE, {"name": MARK, "value": tx.at.encode()})
    return found


def told(tx: Transaction, practice: str | None) -> list[str]:
    """One line for each late FSE, the oldest first, at most `SHOWN` of them."""
    today = {"b_today": legal_day(moment(tx.at)).isoformat()}
    if practice is None:
        rows = tx.rows(_LATE.limit(SHOWN), today)
    else:
        rows = tx.rows(_OF_ONE.limit(SHOWN), {**today, "b_practice": practice})
    return [_late(row).says() for row in rows]


def _late(row: Record) -> LateFse:
    return LateFse(row.practice, row.number, date.fromisoformat(row.deadline), row.state)
