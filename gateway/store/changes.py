"""Every change of state goes through here: checked against the tables, dated, with its reason, audited."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import sqlalchemy as sa

from gateway.redact import redact
from gateway.store.database import Transaction
from gateway.store.schema import change, fse, lot, share
from gateway.store.statements import Record
from gateway.store.states import FseState, LotState, check_fse, check_lot

_CHANGE = change.insert()
_LOT = sa.update(lot).where(lot.c.seq == sa.bindparam("b_seq"))


class Life:
    """Where the states of one kind of thing stand: FSE, or the complementary shares asked by DRE."""

    def __init__(self, kind: str, word: str, table: sa.Table) -> None:
        self.kind, self.word = kind, word
        self.update = sa.update(table).where(table.c.id == sa.bindparam("b_id"))
        there = (table.c.lot_seq == sa.bindparam("b_lot")) & (table.c.state == sa.bindparam("b_before"))
        self.update_in_lot = sa.update(table).where(there)
        in_lot = sa.select(table.c.id).where(table.c.lot_seq == sa.bindparam("b_lot"))
        self.hold_lot = in_lot.order_by(table.c.id).with_for_update()
        self.changes_in_lot = change.insert().from_select(
            ["kind", "practice", "ref", "at", "before", "after", "reason"],
            sa.select(
                sa.literal(kind),
                table.c.practice,
                table.c.id,
                sa.bindparam("b_at"),
                table.c.state,
                sa.bindparam("b_after"),
                sa.bindparam("b_reason"),
            ).where(there),
        )


FSE, SHARE = Life("fse", "FSE", fse), Life("dre", "share", share)


def life_of(destination: str) -> Life:
    """What is in a lot for this destination: an insurer gets shares, a caisse gets FSE."""
    return SHARE if destination.startswith("amc-") else FSE


def born(tx: Transaction, kind: str, practice: str, ref: int, state: str) -> None:
    """Write the first line of history of an FSE, a share or a lot."""
    _record(tx, kind, practice, ref, ("", state, ""))


def lot_becomes(tx: Transaction, row: Record, after: LotState, reason: str, **columns: object) -> None:
    """Move one lot (a row with seq, id and state) to another state, with what else changes in its row."""
    before, reason = LotState(row.state), redact(reason)
    check_lot(row.id, before, after)
    tx.run(_LOT, {"b_seq": row.seq, "state": after, "changed_at": tx.at, "reason": reason, **columns})
    _record(tx, "lot", row.practice, row.seq, (before, after, reason))
    tx.audit(f"lot {after}", row.id, reason, practice=row.practice)


def lots_become(
    tx: Transaction, rows: Sequence[Record], after: LotState, reason: str, **columns: object
) -> None:
    """Move several lots to another state, all with the same words and the same other changes."""
    if not rows:
        return
    reason, said = redact(reason), {"after": after, "reason": redact(reason), "at": tx.at, "kind": "lot"}
    for row in rows:
        check_lot(row.id, LotState(row.state), after)
        tx.audit(f"lot {after}", row.id, reason, practice=row.practice)
    now = {"state": after, "changed_at": tx.at, "reason": reason, **columns}
    tx.run(_LOT, [{"b_seq": row.seq, **now} for row in rows])
    lines = [{"practice": row.practice, "ref": row.seq, "before": row.state, **said} for row in rows]
    tx.run(_CHANGE, lines)


def fse_becomes(
    tx: Transaction,
    row: Record,
    path: Sequence[FseState],
    reason: str,
    life: Life = FSE,
    /,
    **columns: object,
) -> None:
    """Walk one FSE or share (a row with id, practice, number and state) along `path` to its last state."""
    reason = redact(reason)
    for before, after in pairwise((FseState(row.state), *path)):
        check_fse(row.number, before, after)
        _record(tx, life.kind, row.practice, row.id, (before, after, reason))
    now = {"b_id": row.id, "state": path[-1], "changed_at": tx.at, "reason": reason}
    tx.run(life.update, {**now, **columns})
    ref = f"{row.practice}/{row.number}"
    tx.audit(f"{life.word} {path[-1]}", ref, reason, practice=row.practice)


def fse_join_lot(tx: Transaction, rows: Sequence[Record], lot_seq: int, life: Life = FSE) -> None:
    """Put signed FSE, or signed DRE, into a lot."""
    for row in rows:
        check_fse(row.number, FseState(row.state), FseState.IN_LOT)
    line = {"kind": life.kind, "at": tx.at, "before": FseState.SIGNED, "after": FseState.IN_LOT, "reason": ""}
    tx.run(_CHANGE, [{"ref": row.id, "practice": row.practice, **line} for row in rows])
    joined = {"lot_seq": lot_seq, "state": FseState.IN_LOT, "changed_at": tx.at}
    tx.run(life.update, [{"b_id": row.id, **joined} for row in rows])


def fse_of_lot_become(tx: Transaction, row: Record, path: Sequence[FseState], reason: str) -> None:
    """Walk what is in a lot (a row with seq and destination) along `path`: those that stand at each step."""
    life = life_of(row.destination)
    tx.lock(life.hold_lot, {"b_lot": row.seq})  # what moves here and what the history says are the same rows
    for before, after in pairwise(path):
        check_fse(0, before, after)
        where = {"b_lot": row.seq, "b_before": before}
        tx.run(life.changes_in_lot, {**where, "b_at": tx.at, "b_after": after, "b_reason": reason})
        tx.run(life.update_in_lot, {**where, "state": after, "changed_at": tx.at, "reason": reason})


def _record(tx: Transaction, kind: str, practice: str, ref: int, line: tuple[str, str, str]) -> None:
    before, after, reason = line
    row = {"kind": kind, "practice": practice, "ref": ref, "at": tx.at}
    tx.run(_CHANGE, {**row, "before": before, "after": after, "reason": reason})
