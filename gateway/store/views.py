"""What people and programs look at: lists, history, counts, and the same in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from gateway.errors import InputError
from gateway.exchange.calendar import legal_day
from gateway.store.counting import Memory, Standing
from gateway.store.database import Transaction
from gateway.store.outbox import lot_row
from gateway.store.returns import UNREADABLE
from gateway.store.rows import Counts, FseRow, HistoryLine, LotRow, Outcome, Unmatched
from gateway.store.schema import (
    UNSENT,
    change,
    fse,
    lot,
    message,
    moment,
    payment,
    receipt,
    rectification,
    share,
)
from gateway.store.statements import Record, one_of
from gateway.store.states import FseState, LotState

_WAITING_OUTCOMES = (Outcome.UNMATCHED, Outcome.CONTRADICTED)

_refused = fse.alias("refused")
FSE = (
    sa.select(
        fse,
        lot.c.id.label("lot_id"),
        share.c.state.label("amc_state"),
        share.c.reason.label("amc_reason"),
        _refused.c.number.label("rectifies"),
    )
    .join_from(fse, lot, fse.c.lot_seq == lot.c.seq, isouter=True)
    .join(share, share.c.fse_id == fse.c.id, isouter=True)
    .join(rectification, rectification.c.fse_id == fse.c.id, isouter=True)
    .join(_refused, _refused.c.id == rectification.c.refused_id, isouter=True)
)
_BY_ID = FSE.where(fse.c.id == sa.bindparam("b_id"))
_KEYS = (
    sa.select(fse.c.id, fse.c.elaborated, fse.c.number)
    .where(fse.c.practice == sa.bindparam("b_practice"))
    .order_by(fse.c.elaborated.desc(), fse.c.number.desc())
    .limit(sa.bindparam("b_limit"))
    .offset(sa.bindparam("b_offset"))
)
_KEYS_OF = _KEYS.where(fse.c.state == sa.bindparam("b_state"))
_SHARE_OF = sa.select(share.c.id).where(share.c.fse_id == sa.bindparam("b_fse"))
_AWAITING = (
    sa.select(fse.c.practitioner, sa.func.count().label("number"), sa.func.min(fse.c.deadline).label("first"))
    .where(fse.c.state == FseState.AWAITING_CPS)
    .group_by(fse.c.practitioner)
    .order_by("first")
)
_STUCK = (
    sa.select(lot)
    .where(one_of(lot.c.state, (LotState.OVERDUE, LotState.PARKED)) | (lot.c.failing_since.is_not(None)))
    .order_by(lot.c.changed_at)
    .limit(20)
)


@dataclass(frozen=True)
class _Counting:
    """The queries of `counts` and `status`, of one practice (`b_practice`) or of the whole store."""

    fse: sa.Select[Any]
    lots: sa.Select[Any]
    shares: sa.Select[Any]
    late: sa.Select[Any]
    waiting: tuple[sa.Select[Any], ...]
    awaiting: sa.Select[Any]
    stuck: sa.Select[Any]

    @classmethod
    def of(cls, narrow: Callable[[sa.Select[Any], Any], sa.Select[Any]]) -> _Counting:
        """`narrow(query, column)` keeps what is of the practice in this column."""
        late = sa.select(sa.func.count()).select_from(fse)
        return cls(
            fse=narrow(_states(fse), fse.c.practice),
            lots=narrow(_states(lot), lot.c.practice),
            shares=narrow(_states(share), share.c.practice),
            late=narrow(late.where(UNSENT & (fse.c.deadline < sa.bindparam("today"))), fse.c.practice),
            waiting=tuple(narrow(query, message.c.practice) for query in _waiting()),
            awaiting=narrow(_AWAITING, fse.c.practice),
            stuck=narrow(_STUCK, lot.c.practice),
        )


def _states(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table.c.state, sa.func.count().label("number")).group_by(table.c.state)


def _waiting() -> Iterator[sa.Select[Any]]:
    for table in (receipt, payment):
        query = sa.select(sa.func.count()).join_from(table, message)
        yield query.where(one_of(table.c.outcome, _WAITING_OUTCOMES))
    yield sa.select(sa.func.count()).select_from(message).where(message.c.kind == UNREADABLE)


_ALL = _Counting.of(lambda query, _: query)
_MINE = _Counting.of(lambda query, column: query.where(column == sa.bindparam("b_practice")))


def fse_list(
    tx: Transaction, practice: str | None, limit: int, offset: int, states: Sequence[FseState] = ()
) -> list[FseRow]:
    """FSE, newest first, those in one of `states` when any is named."""
    if practice is None:
        query = FSE.order_by(fse.c.id.desc()).limit(limit).offset(offset)
        if states:
            query = query.where(one_of(fse.c.state, states))
        return [fse_row(row) for row in tx.rows(query)]
    return [fse_row(row) for id_ in _ids(tx, practice, limit, offset, states) for row in tx.rows(_BY_ID, id_)]


def _ids(
    tx: Transaction, practice: str, limit: int, offset: int, states: Sequence[FseState]
) -> list[dict[str, int]]:
    """The keys of a part of the list, read from an index alone: the rows of what is skipped are not."""
    if not states:
        values: dict[str, object] = {"b_practice": practice, "b_limit": limit, "b_offset": offset}
        return [{"b_id": row.id} for row in tx.rows(_KEYS, values)]
    values = {"b_practice": practice, "b_limit": offset + limit, "b_offset": 0}
    found = [
        row for state in dict.fromkeys(states) for row in tx.rows(_KEYS_OF, {**values, "b_state": state})
    ]
    found.sort(key=lambda row: (row.elaborated, row.number), reverse=True)
    return [{"b_id": row.id} for row in found[offset : offset + limit]]


def lot_list(tx: Transaction, practice: str | None, limit: int, offset: int) -> list[LotRow]:
    """Lots, newest first."""
    query = sa.select(lot).limit(limit).offset(offset)
    if practice is None:
        return [lot_row(row) for row in tx.rows(query.order_by(lot.c.seq.desc()))]
    mine = query.where(lot.c.practice == practice)
    return [lot_row(row) for row in tx.rows(mine.order_by(lot.c.lot_date.desc(), lot.c.seq.desc()))]


def history(tx: Transaction, number: int, practice: str | None) -> list[HistoryLine]:
    """Every change of an FSE and of its lot, oldest first."""
    query = FSE.where(fse.c.number == number)
    rows = tx.rows(query if practice is None else query.where(fse.c.practice == practice))
    if len(rows) != 1:
        raise InputError(_which(number, rows), code="unknown")
    mine = (change.c.kind == "fse") & (change.c.ref == rows[0].id)
    of_lot = (change.c.kind == "lot") & (change.c.ref == rows[0].lot_seq)
    asked = tx.first(_SHARE_OF, {"b_fse": rows[0].id})
    of_share = (change.c.kind == "dre") & (change.c.ref == (asked.id if asked else 0))
    lines = tx.rows(sa.select(change).where(mine | of_lot | of_share).order_by(change.c.at, change.c.id))
    ids = {"fse": str(number), "lot": str(rows[0].lot_id), "dre": str(number)}
    return [_history_line(row, ids[row.kind]) for row in lines]


def unmatched(tx: Transaction, limit: int, practice: str | None = None) -> list[Unmatched]:
    """Returns that wait for a person, newest first, of one practice's mailbox or of all."""
    queries: tuple[sa.Select[Any], ...] = (
        sa.select(
            receipt.c.at, sa.literal("arl").label("kind"), receipt.c.outcome, receipt.c.reason, message.c.key
        )
        .join_from(receipt, message)
        .where(one_of(receipt.c.outcome, _WAITING_OUTCOMES)),
        sa.select(
            payment.c.at,
            sa.literal("noemie").label("kind"),
            payment.c.outcome,
            payment.c.reason,
            message.c.key,
        )
        .join_from(payment, message)
        .where(one_of(payment.c.outcome, _WAITING_OUTCOMES)),
        sa.select(
            message.c.at,
            sa.literal("message").label("kind"),
            message.c.kind.label("outcome"),
            message.c.reason,
            message.c.key,
        ).where(message.c.kind == UNREADABLE),
    )
    if practice is not None:
        queries = tuple(query.where(message.c.practice == practice) for query in queries)
    rows = tx.rows(sa.union_all(*queries).order_by(sa.desc("at")).limit(limit))
    return [Unmatched(moment(row.at), row.kind, row.outcome, row.reason, row.key) for row in rows]


def counts(tx: Transaction, practice: str | None = None, memory: Memory | None = None) -> Counts:
    """How many stand where, of one practice or of the whole store; `memory` spares counting all of them."""
    queries, mine = _counting(practice)

    def count() -> Standing:
        kinds = (("fse", queries.fse), ("lot", queries.lots), ("dre", queries.shares))
        return {
            kind: Counter({row.state: row.number for row in tx.rows(query, mine)}) for kind, query in kinds
        }

    standing = count() if practice is None or memory is None else memory.standing(tx, practice, count)
    return Counts(
        fse={state.value: standing["fse"][state] for state in FseState},
        lots={state.value: standing["lot"][state] for state in LotState},
        shares={state.value: standing["dre"][state] for state in FseState},
        unmatched=sum(tx.rows(query, mine)[0][0] for query in queries.waiting),
        late=tx.rows(queries.late, {**mine, "today": _today(tx).isoformat()})[0][0],
    )


def status(tx: Transaction, practice: str | None = None, memory: Memory | None = None) -> str:
    """One line per fact; what needs a person comes with its reason."""
    numbers = counts(tx, practice, memory)
    queries, mine = _counting(practice)
    lines = [_sum_up("FSE", numbers.fse), _sum_up("lots", numbers.lots)]
    if any(numbers.shares.values()):
        lines.append(_sum_up("complementary shares", numbers.shares))
    lines += [
        f"{row.number} FSE wait for the signature of the CPS of {row.practitioner}, before {row.first}: "
        "vitale-gateway sign"
        for row in tx.rows(queries.awaiting, mine)
    ]
    if numbers.late:
        lines.append(f"LATE: {numbers.late} FSE are past their legal day and not sent")
    if numbers.unmatched:
        lines.append(f"{numbers.unmatched} returns match nothing of ours: see the list of unmatched returns")
    lines += [f"lot {row.id} is {row.state}: {row.reason}" for row in tx.rows(queries.stuck, mine)]
    return "\n".join(lines)


def _counting(practice: str | None) -> tuple[_Counting, dict[str, str]]:
    return (_ALL, {}) if practice is None else (_MINE, {"b_practice": practice})


def fse_row(row: Record) -> FseRow:
    """A table row, with its lot's id, as the value that leaves the store."""
    return FseRow(
        practice=row.practice,
        number=row.number,
        practitioner=row.practitioner,
        destination=row.destination,
        mode=row.mode,
        third_party=row.third_party,
        state=FseState(row.state),
        elaborated=moment(row.elaborated),
        deadline=date.fromisoformat(row.deadline),
        base_cents=row.base_cents,
        amo_cents=row.amo_cents,
        amc_cents=row.amc_cents,
        patient_cents=row.patient_cents,
        excess_cents=row.excess_cents,
        label=row.label,
        lot_id=row.lot_id,
        paid_amo_cents=row.paid_amo_cents,
        paid_amc_cents=row.paid_amc_cents,
        changed_at=moment(row.changed_at),
        reason=row.reason,
        amc_state=row.amc_state or "",
        amc_reason=row.amc_reason or "",
        rectifies=row.rectifies or 0,
    )


def _history_line(row: Record, ref: str) -> HistoryLine:
    return HistoryLine(moment(row.at), row.kind, ref, row.before, row.after, row.reason)


def _which(number: int, rows: list[Record]) -> str:
    if not rows:
        return f"FSE {number} is not in the store: look at the list of FSE"
    names = ", ".join(sorted(row.practice for row in rows))
    return f"FSE {number} exists in several practices: say which of {names}"


def _sum_up(what: str, numbers: dict[str, int]) -> str:
    parts = [f"{count} {state}" for state, count in numbers.items() if count]
    return f"{what}: {', '.join(parts) or 'none'}"


def _today(tx: Transaction) -> date:
    return legal_day(moment(tx.at))
