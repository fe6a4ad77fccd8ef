"""Lines that fail, kept beside the lots that wait for them: who starts again or works beside knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter

import sqlalchemy as sa

from gateway.exchange.breaker import ONE_TRY, Breaker, LineState, domain_line
from gateway.redact import redact
from gateway.store.database import Transaction
from gateway.store.rows import LotRow
from gateway.store.schema import breaker, lot, moment, stamp
from gateway.store.statements import Record
from gateway.store.states import LotState

MOST = 2**31 - 1
"""Failures in a row are counted no further."""

_ALL = sa.select(breaker).order_by(breaker.c.name)
_KEEP = sa.text(
    "INSERT INTO breaker (name, failures, since, next_attempt_at, reason) "
    "VALUES (:name, :failures, :since, :next_attempt_at, :reason) ON CONFLICT (name) DO UPDATE SET "
    "failures = excluded.failures, since = excluded.since, "
    "next_attempt_at = excluded.next_attempt_at, reason = excluded.reason"
)
_FORGET = sa.delete(breaker).where(breaker.c.name == sa.bindparam("b_name"))
_DUE = (
    sa.update(breaker)
    .where(breaker.c.next_attempt_at > sa.bindparam("b_now"))
    .values(next_attempt_at=sa.bindparam("b_now"))
)
_HOLD = (
    sa.update(breaker)
    .where((breaker.c.name == sa.bindparam("b_name")) & (breaker.c.next_attempt_at == sa.bindparam("b_was")))
    .values(next_attempt_at=sa.bindparam("b_until"))
)


def on_a_line(least: int, most: int) -> sa.ColumnElement[bool]:
    """For queries over lots: its domain has failed so many times in a row, both included."""
    of_domain = lot.c.recipient.like(sa.literal("%@") + breaker.c.name)  # no % and no _ is in a domain
    failures = breaker.c.failures.between(least, most)
    return sa.exists(sa.select(sa.literal(1)).select_from(breaker).where(of_domain & failures)).correlate(lot)


def every(tx: Transaction) -> list[Breaker]:
    """Every line that has failed since it last worked."""
    return [_breaker(row) for row in tx.rows(_ALL)]


def note(tx: Transaction, name: str, line: Breaker | None) -> None:
    """What is known of a line now; None: it works again."""
    if line is None:
        tx.run(_FORGET, {"b_name": name})
        return
    tx.run(
        _KEEP,
        {
            "name": name,
            "failures": min(line.failures, MOST),
            "since": stamp(line.since),
            "next_attempt_at": stamp(line.next_attempt_at),
            "reason": redact(line.reason),
        },
    )


def hold_one_try(tx: Transaction, line: Breaker, now: datetime) -> bool:
    """Take the one try of a half-open line; False when another gateway has just taken it."""
    times = {"b_was": stamp(line.next_attempt_at), "b_until": stamp(now + ONE_TRY)}
    return tx.run(_HOLD, {"b_name": line.name, **times}).rowcount == 1


def due_again(tx: Transaction) -> None:
    """A gateway begins: every line has its one try now, also one that an earlier run died in."""
    tx.run(_DUE, {"b_now": tx.at})


def shown(tx: Transaction, rows: Sequence[LotRow]) -> list[LotRow]:
    """Lots as people see them: what waits for a line is tried no earlier than the line, and says why."""
    now = moment(tx.at)
    held = {line.name: line for line in every(tx) if line.state(now) is LineState.OPEN}
    relay = max(
        (line for name, line in held.items() if ":" in name), key=attrgetter("next_attempt_at"), default=None
    )
    return [_shown(row, held.get(domain_line(row.recipient)) or relay) for row in rows]


def told(tx: Transaction) -> list[str]:
    """One line for each line that is held."""
    now = moment(tx.at)
    return [line.says(now) for line in every(tx) if line.is_held]


def _shown(row: LotRow, line: Breaker | None) -> LotRow:
    if line is None or row.next_attempt_at is None or row.state not in (LotState.SEALED, LotState.OVERDUE):
        return row
    if row.next_attempt_at >= line.next_attempt_at:
        return row
    return replace(row, next_attempt_at=line.next_attempt_at, reason=row.reason or line.reason)


def _breaker(row: Record) -> Breaker:
    return Breaker(row.name, row.failures, moment(row.since), moment(row.next_attempt_at), row.reason)
