"""The clock was set: nothing waits longer than it would have, by moments that a wrong clock wrote.

A clock that was hours ahead left turns, leases and days of receipts hours ahead. They are brought back to the
latest that could have been written now; what is sooner stays as it is. A clock that goes forwards needs
nothing: what waited is due, and the same bytes go under the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from gateway.store.database import Transaction
from gateway.store.schema import breaker, lot, reader_lease, stamp
from gateway.store.states import LotState

LONGEST_WAIT = timedelta(minutes=15)
"""The longest back-off and the longest lease there are (gateway.exchange.retry, gateway.delivery)."""

_LATEST: sa.BindParameter[str] = sa.bindparam("b_latest")
_TURNS = sa.update(lot).where(lot.c.next_attempt_at > _LATEST).values(next_attempt_at=_LATEST)
_RECEIPTS = (
    sa.update(lot).where((lot.c.state == LotState.SENT) & (lot.c.ack_due > _LATEST)).values(ack_due=_LATEST)
)
_LINES = sa.update(breaker).where(breaker.c.next_attempt_at > _LATEST).values(next_attempt_at=_LATEST)
_READERS = sa.update(reader_lease).where(reader_lease.c.until > _LATEST).values(until=_LATEST)


def bring_back(tx: Transaction, now: datetime, latest_receipt: datetime) -> int:
    """Bound everything that waits; how many rows there were. `latest_receipt`: that of a lot sent now."""
    turn = {"b_latest": stamp(now + LONGEST_WAIT)}
    moved = sum(tx.run(statement, turn).rowcount for statement in (_TURNS, _LINES, _READERS))
    return moved + tx.run(_RECEIPTS, {"b_latest": stamp(latest_receipt)}).rowcount


def record(tx: Transaction, seconds: float, practices: Sequence[str]) -> None:
    """The step, in the chain of every practice."""
    for practice in practices:
        tx.audit("clock stepped", f"{practice}/clock", f"{seconds:+.0f} s", practice=practice)
