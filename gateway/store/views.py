"""What people and programs look at: lists, history, counts, and the same in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa

from gateway.errors import InputError
from gateway.exchange.calendar import legal_day
from gateway.store.database import Transaction
from gateway.store.outbox import lot_row
from gateway.store.returns import UNREADABLE
from gateway.store.rows import Counts, FseRow, HistoryLine, LotRow, Outcome, Unmatched
from gateway.store.schema import (
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
_UNSENT = (FseState.AWAITING_CPS, FseState.SIGNED, FseState.IN_LOT)

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
_FSE_STATES = sa.select(fse.c.state, sa.func.count().label("number")).group_by(fse.c.state)
_SHARE_OF = sa.select(share.c.id).where(share.c.fse_id == sa.bindparam("b_fse"))
_SHARE_STATES = sa.select(share.c.state, sa.func.count().label("number")).group_by(share.c.state)
_AWAITING = (
    sa.select(fse.c.practitioner, sa.func.count().label("number"), sa.func.min(fse.c.deadline).label("first"))
    .where(fse.c.state == FseState.AWAITING_CPS)
    .group_by(fse.c.practitioner)
    .order_by("first")
)
_LOT_STATES = sa.select(lot.c.state, sa.func.count().label("number")).group_by(lot.c.state)
_LATE = sa.and_(one_of(fse.c.state, _UNSENT), fse.c.deadline < sa.bindparam("today"))
_LATE_COUNT = sa.select(sa.func.count()).select_from(fse).where(_LATE)
_WAITING_COUNTS = (
    sa.select(sa.func.count()).select_from(receipt).where(one_of(receipt.c.outcome, _WAITING_OUTCOMES)),
    sa.select(sa.func.count()).select_from(payment).where(one_of(payment.c.outcome, _WAITING_OUTCOMES)),
    sa.select(sa.func.count()).select_from(message).where(message.c.kind == UNREADABLE),
)
_STUCK = (
    sa.select(lot)
    .where(one_of(lot.c.state, (LotState.OVERDUE, LotState.PARKED)) | (lot.c.failing_since.is_not(None)))
    .order_by(lot.c.changed_at)
)


def fse_list(
    tx: Transaction, practice: str | None, limit: int, offset: int, states: Sequence[FseState] = ()
) -> list[FseRow]:
    """FSE, newest first, those in one of `states` when any is named."""
    query = FSE.order_by(fse.c.id.desc()).limit(limit).offset(offset)
    if states:
        query = query.where(one_of(fse.c.state, states))
    return [
        fse_row(row)
        for row in tx.rows(query if practice is None else query.where(fse.c.practice == practice))
    ]


def lot_list(tx: Transaction, practice: str | None, limit: int, offset: int) -> list[LotRow]:
    """Lots, newest first."""
    query = sa.select(lot).order_by(lot.c.seq.desc()).limit(limit).offset(offset)
    return [
        lot_row(row)
        for row in tx.rows(query if practice is None else query.where(lot.c.practice == practice))
    ]


def history(tx: Transaction, number: int, practice: str | None) -> list[HistoryLine]:
    """Every change of an FSE and of its lot, oldest first."""
    found = tx.rows(FSE.where(fse.c.number == number))
    rows = [row for row in found if practice in (None, row.practice)]
    if len(rows) != 1:
        raise InputError(_which(number, rows), code="unknown")
    mine = (change.c.kind == "fse") & (change.c.ref == rows[0].id)
    of_lot = (change.c.kind == "lot") & (change.c.ref == rows[0].lot_seq)
    asked = tx.first(_SHARE_OF, {"b_fse": rows[0].id})
    of_share = (change.c.kind == "dre") & (change.c.ref == (asked.id if asked else 0))
    lines = tx.rows(sa.select(change).where(mine | of_lot | of_share).order_by(change.c.at, change.c.id))
    ids = {"fse": str(number), "lot": str(rows[0].lot_id), "dre": str(number)}
    return [_history_line(row, ids[row.kind]) for row in lines]


def unmatched(tx: Transaction, limit: int) -> list[Unmatched]:
    """Returns that wait for a person, newest first."""
    queries = (
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
    rows = tx.rows(sa.union_all(*queries).order_by(sa.desc("at")).limit(limit))
    return [Unmatched(moment(row.at), row.kind, row.outcome, row.reason, row.key) for row in rows]


def counts(tx: Transaction) -> Counts:
    """How many stand where."""
    of_fse = {row.state: row.number for row in tx.rows(_FSE_STATES)}
    of_lots = {row.state: row.number for row in tx.rows(_LOT_STATES)}
    of_shares = {row.state: row.number for row in tx.rows(_SHARE_STATES)}
    waiting = sum(tx.rows(query)[0][0] for query in _WAITING_COUNTS)
    late = tx.rows(_LATE_COUNT, {"today": _today(tx).isoformat()})[0][0]
    return Counts(
        fse={state.value: of_fse.get(state, 0) for state in FseState},
        lots={state.value: of_lots.get(state, 0) for state in LotState},
        shares={state.value: of_shares.get(state, 0) for state in FseState},
        unmatched=waiting,
        late=late,
    )


def status(tx: Transaction) -> str:
    """One line per fact; what needs a person comes with its reason."""
    numbers = counts(tx)
    lines = [_sum_up("FSE", numbers.fse), _sum_up("lots", numbers.lots)]
    if any(numbers.shares.values()):
        lines.append(_sum_up("complementary shares", numbers.shares))
    lines += [
        f"{row.number} FSE wait for the signature of the CPS of {row.practitioner}, before {row.first}: "
        "vitale-gateway sign"
        for row in tx.rows(_AWAITING)
    ]
    if numbers.late:
        lines.append(f"LATE: {numbers.late} FSE are past their legal day and not sent")
    if numbers.unmatched:
        lines.append(f"{numbers.unmatched} returns match nothing of ours: see the list of unmatched returns")
    lines += [f"lot {row.id} is {row.state}: {row.reason}" for row in tx.rows(_STUCK.limit(20))]
    return "\n".join(lines)


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
