"""Every change of state goes through here: checked against the tables, dated, with its reason, audited."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import sqlalchemy as sa

from gateway.redact import redact
from gateway.store.database import Transaction
from gateway.store.schema import change, fse, lot
from gateway.store.statements import Record
from gateway.store.states import FseState, LotState, check_fse, check_lot

_CHANGE = change.insert()
_LOT = sa.update(lot).where(lot.c.seq == sa.bindparam("b_seq"))
_FSE = sa.update(fse).where(fse.c.id == sa.bindparam("b_id"))

_IN_LOT_AND_STATE = (fse.c.lot_seq == sa.bindparam("b_lot")) & (fse.c.state == sa.bindparam("b_before"))
_FSE_OF_LOT = sa.update(fse).where(_IN_LOT_AND_STATE)
_CHANGES_OF_LOT = change.insert().from_select(
    ["kind", "ref", "at", "before", "after", "reason"],
    sa.select(
        sa.literal("fse"),
        fse.c.id,
        sa.bindparam("b_at"),
        fse.c.state,
        sa.bindparam("b_after"),
        sa.bindparam("b_reason"),
    ).where(_IN_LOT_AND_STATE),
)


def born(tx: Transaction, kind: str, ref: int, state: str) -> None:
    """Write the first line of history of an FSE or a lot."""
    _record(tx, kind, ref, ("", state, ""))


def lot_becomes(tx: Transaction, row: Record, after: LotState, reason: str, **columns: object) -> None:
    """Move one lot (a row with seq, id and state) to another state, with what else changes in its row."""
    before, reason = LotState(row.state), redact(reason)
    check_lot(row.id, before, after)
    tx.run(_LOT, {"b_seq": row.seq, "state": after, "changed_at": tx.at, "reason": reason, **columns})
    _record(tx, "lot", row.seq, (before, after, reason))
    tx.audit(f"lot {after}", row.id, reason)


def fse_becomes(
    tx: Transaction, row: Record, path: Sequence[FseState], reason: str, **columns: object
) -> None:
    """Walk one FSE (a row with id, practice, number and state) along `path` to its last state."""
    reason = redact(reason)
    for before, after in pairwise((FseState(row.state), *path)):
        check_fse(row.number, before, after)
        _record(tx, "fse", row.id, (before, after, reason))
    tx.run(_FSE, {"b_id": row.id, "state": path[-1], "changed_at": tx.at, "reason": reason, **columns})
    tx.audit(f"FSE {path[-1]}", f"{row.practice}/{row.number}", reason)


def fse_join_lot(tx: Transaction, rows: Sequence[Record], lot_seq: int) -> None:
    """Put signed FSE into a lot."""
    for row in rows:
        check_fse(row.number, FseState(row.state), FseState.IN_LOT)
    line = {"kind": "fse", "at": tx.at, "before": FseState.SIGNED, "after": FseState.IN_LOT, "reason": ""}
    tx.run(_CHANGE, [{"ref": row.id, **line} for row in rows])
    joined = {"lot_seq": lot_seq, "state": FseState.IN_LOT, "changed_at": tx.at}
    tx.run(_FSE, [{"b_id": row.id, **joined} for row in rows])


def fse_of_lot_become(tx: Transaction, lot_seq: int, path: Sequence[FseState], reason: str) -> None:
    """Walk every FSE of a lot along `path`: each step moves those that stand exactly there."""
    for before, after in pairwise(path):
        check_fse(0, before, after)
        where = {"b_lot": lot_seq, "b_before": before}
        tx.run(_CHANGES_OF_LOT, {**where, "b_at": tx.at, "b_after": after, "b_reason": reason})
        tx.run(_FSE_OF_LOT, {**where, "state": after, "changed_at": tx.at, "reason": reason})


def _record(tx: Transaction, kind: str, ref: int, line: tuple[str, str, str]) -> None:
    before, after, reason = line
    row = {"kind": kind, "ref": ref, "at": tx.at, "before": before, "after": after, "reason": reason}
    tx.run(_CHANGE, row)
