"""Figures for whoever watches a gateway: how long the queue is, and what happened since the last look.

Counts only: no practice, no number, no text of a receipt leaves this module but the codes of refusals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TypeVar

import sqlalchemy as sa

from gateway.exchange.calendar import legal_day
from gateway.store.database import Transaction
from gateway.store.schema import UNSENT, change, fse, lot, moment, payment, receipt
from gateway.store.statements import one_of
from gateway.store.states import LotState

_Key = TypeVar("_Key")

_LIVE = (LotState.SEALED, LotState.SENDING, LotState.SENT, LotState.OVERDUE, LotState.PARKED)
_TO_LEAVE = (LotState.SEALED, LotState.SENDING, LotState.OVERDUE)
_LOTS = (
    sa.select(lot.c.state, sa.func.count().label("number"), sa.func.min(lot.c.compostage).label("oldest"))
    .where(one_of(lot.c.state, _LIVE))
    .group_by(lot.c.state)
)
_UNSENT = sa.select(sa.func.count().label("number"), sa.func.min(fse.c.deadline).label("first")).where(UNSENT)
_LATE = sa.select(sa.func.count().label("number")).where(UNSENT & (fse.c.deadline < sa.bindparam("b_today")))
_LAST = {table.name: sa.select(sa.func.max(table.c.id)) for table in (change, receipt, payment)}
_FSE = (
    sa.select(fse.c.mode, change.c.after, sa.func.count().label("number"))
    .join(fse, fse.c.id == change.c.ref)
    .where((change.c.kind == "fse") & (change.c.id > sa.bindparam("b_last")))
    .group_by(fse.c.mode, change.c.after)
)
_OTHERS = (
    sa.select(change.c.kind, change.c.after, sa.func.count().label("number"))
    .where((change.c.kind != "fse") & (change.c.id > sa.bindparam("b_last")))
    .group_by(change.c.kind, change.c.after)
)
_RECEIPTS = (
    sa.select(
        receipt.c.outcome, receipt.c.positive, receipt.c.error_class, receipt.c.code,
        sa.func.count().label("number"),
    )
    .where(receipt.c.id > sa.bindparam("b_last"))
    .group_by(receipt.c.outcome, receipt.c.positive, receipt.c.error_class, receipt.c.code)
)  # fmt: skip
_PAYMENTS = (
    sa.select(payment.c.outcome, payment.c.paid, payment.c.code, sa.func.count().label("number"))
    .where(payment.c.id > sa.bindparam("b_last"))
    .group_by(payment.c.outcome, payment.c.paid, payment.c.code)
)


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits. `lots`: by state; `oldest`: when the oldest lot that has to leave was sealed.

    `unsent`: FSE that have not left, `first_day` the first legal day among theirs, `late` those past it.
    """

    lots: Mapping[str, int]
    oldest: datetime | None
    unsent: int
    first_day: date | None
    late: int


@dataclass(frozen=True, slots=True)
class Marks:
    """How far a look has come: the last change, receipt and payment that it has seen."""

    change: int = 0
    receipt: int = 0
    payment: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something happened. Keys: (mode, state) of FSE, (kind, state) of lots and shares,
    (outcome, positive) of receipts, (outcome, paid) of payments, (receipt or payment, code) of refusals.
    """

    marks: Marks
    fse: Mapping[tuple[int, str], int] = field(default_factory=dict)
    others: Mapping[tuple[str, str], int] = field(default_factory=dict)
    receipts: Mapping[tuple[str, bool], int] = field(default_factory=dict)
    payments: Mapping[tuple[str, bool], int] = field(default_factory=dict)
    refusals: Mapping[tuple[str, str], int] = field(default_factory=dict)


def queue(tx: Transaction) -> Queue:
    """What waits at this moment."""
    rows = tx.rows(_LOTS)
    oldest = min((row.oldest for row in rows if row.state in _TO_LEAVE), default=None)
    unsent = tx.rows(_UNSENT)[0]
    late = tx.rows(_LATE, {"b_today": legal_day(moment(tx.at)).isoformat()})[0]
    return Queue(
        lots={state.value: 0 for state in _LIVE} | {str(row.state): int(row.number) for row in rows},
        oldest=None if oldest is None else _sealed(oldest),
        unsent=int(unsent.number),
        first_day=None if unsent.first is None else date.fromisoformat(unsent.first),
        late=int(late.number),
    )


def _sealed(compostage: str) -> datetime:
    """The moment that a compostage begins with (gateway.lots.numbering), UTC."""
    return datetime.strptime(compostage[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def now_marks(tx: Transaction) -> Marks:
    """As far as everything that has happened yet."""
    return Marks(**{name: int(tx.rows(query)[0][0] or 0) for name, query in _LAST.items()})


def since(tx: Transaction, marks: Marks) -> Tally:
    """What happened since those marks."""
    fses = {
        (int(row.mode), str(row.after)): int(row.number) for row in tx.rows(_FSE, {"b_last": marks.change})
    }
    others = {
        (str(row.kind), str(row.after)): int(row.number) for row in tx.rows(_OTHERS, {"b_last": marks.change})
    }
    receipts: dict[tuple[str, bool], int] = {}
    payments: dict[tuple[str, bool], int] = {}
    refusals: dict[tuple[str, str], int] = {}
    for row in tx.rows(_RECEIPTS, {"b_last": marks.receipt}):
        _add(receipts, (str(row.outcome), bool(row.positive)), row.number)
        if not row.positive:
            _add(refusals, ("receipt", f"{row.error_class}{row.code}"), row.number)
    for row in tx.rows(_PAYMENTS, {"b_last": marks.payment}):
        _add(payments, (str(row.outcome), bool(row.paid)), row.number)
        if not row.paid and row.code:
            _add(refusals, ("payment", str(row.code).replace(" ", "")), row.number)
    return Tally(now_marks(tx), fses, others, receipts, payments, refusals)


def _add(counts: dict[_Key, int], key: _Key, number: int) -> None:
    counts[key] = counts.get(key, 0) + int(number)
