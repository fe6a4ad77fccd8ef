"""Lots in the store: sealed once, sent as often as it takes, always the same bytes under the same id.

The queue is the column `next_attempt_at`: empty for a lot that nobody needs to send, the moment of
its turn for one that waits, the end of the lease for one that is SENDING. A gateway that dies with
lots in its hands leaves them SENDING; opening the store again makes them due at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.errors import StoreError
from gateway.exchange.breaker import OPENS, Breaker, Lane, LineState, domain_line
from gateway.lots.modes import DEMAND, family_of
from gateway.redact import redact
from gateway.store import breakers, changes
from gateway.store.database import Transaction
from gateway.store.rows import LotRow
from gateway.store.schema import (
    attempt,
    fse,
    lot,
    lot_body,
    moment,
    moment_or_none,
    reservation,
    share,
    stamp,
)
from gateway.store.statements import Record
from gateway.store.states import FINAL_LOT, FseState, LotState

if TYPE_CHECKING:
    from gateway.lots.sealing import SealedLot

MAX_SENDS = 5
"""A lot that the relay took this many times without any receipt is parked."""

_KEEP = lot.insert()
_KEEP_BODY = lot_body.insert()
_BY_ID = sa.select(lot).where(lot.c.id == sa.bindparam("b_id")).with_for_update()
_RECIPIENT = sa.select(lot.c.recipient).where(lot.c.id == sa.bindparam("b_id"))
_MESSAGE = sa.select(lot_body.c.message).where(lot_body.c.lot_seq == sa.bindparam("b_seq"))
_USE_NUMBERS = (
    sa.update(reservation)
    .where(reservation.c.practice == sa.bindparam("b_practice"))
    .where(reservation.c.compostage == sa.bindparam("b_compostage"))
    .where(reservation.c.lot_number == sa.bindparam("b_lot_number"))
    .where(reservation.c.lot_date == sa.bindparam("b_lot_date"))
    .where(reservation.c.file_id == sa.bindparam("b_file_id"))
    .where(reservation.c.used == sa.false())
    .values(used=sa.true())
)
_SHEET = (
    sa.select(
        fse.c.id, fse.c.practice, fse.c.number, fse.c.state, fse.c.destination, fse.c.practitioner, fse.c.mode
    )
    .where((fse.c.practice == sa.bindparam("practice")) & (fse.c.number == sa.bindparam("number")))
    .with_for_update()
)
_DEMAND = (
    sa.select(
        share.c.id, fse.c.practice, fse.c.number, share.c.state, share.c.destination, fse.c.practitioner,
        sa.literal(DEMAND).label("mode"),
    )
    .join(fse, share.c.fse_id == fse.c.id)
    .where((fse.c.practice == sa.bindparam("practice")) & (fse.c.number == sa.bindparam("number")))
    .where(share.c.destination != "")
    .with_for_update(of=share)
)  # fmt: skip
_NEXT = (
    sa.select(lot, lot_body.c.message)
    .join(lot_body, lot_body.c.lot_seq == lot.c.seq)
    .where(lot.c.next_attempt_at <= sa.bindparam("b_now"))
    .order_by(lot.c.next_attempt_at, lot.c.seq)
    .limit(sa.bindparam("b_limit"))
    .with_for_update(of=lot, skip_locked=True)
)
_FRESH = _NEXT.where((lot.c.retry == 0) & ~breakers.on_a_line(0, breakers.MOST))
_DOUBTED = _NEXT.where((lot.c.retry == 0) & breakers.on_a_line(0, OPENS - 1))
_AGAIN = _NEXT.where((lot.c.retry == 1) & ~breakers.on_a_line(OPENS, breakers.MOST))
_NEW, _OLD = _NEXT.where(lot.c.retry == 0), _NEXT.where(lot.c.retry == 1)
_OF_LINE = _NEXT.where(lot.c.recipient.like(sa.bindparam("b_pattern"))).order_by(None)
_OF_LINE = _OF_LINE.order_by(lot.c.retry, lot.c.next_attempt_at, lot.c.seq)
_LEASE = sa.update(lot).where(lot.c.seq == sa.bindparam("b_seq"))
_START_ATTEMPT = attempt.insert()
_END_ATTEMPT = sa.update(attempt).where(
    (attempt.c.lot_seq == sa.bindparam("b_seq")) & attempt.c.ended_at.is_(None)
)
_SILENT = (
    sa.select(lot)
    .where((lot.c.state == LotState.SENT) & (lot.c.ack_due <= sa.bindparam("b_now")))
    .order_by(lot.c.ack_due)
    .limit(sa.bindparam("b_limit"))
    .with_for_update(skip_locked=True)
)
_STRANDED = (
    sa.update(lot).where(lot.c.state == LotState.SENDING).values(next_attempt_at=sa.bindparam("b_now"))
)
_STRANDED_HERE = _STRANDED.where(lot.c.owner == sa.bindparam("b_owner"))
_LATEST_SENT = sa.select(sa.func.max(lot.c.sent_at)).where(
    (lot.c.id != sa.bindparam("b_id")) & lot.c.recipient.like(sa.bindparam("b_pattern"))
)


def keep(
    tx: Transaction, practice: str, sealed: SealedLot, numbers: Sequence[int], *, demands: bool = False
) -> None:
    """Keep a sealed lot, due at once, with its FSE; the same lot again changes nothing.

    `demands`: the lot holds the DRE of these FSE, for their insurer.
    """
    if _is_kept(tx, sealed):
        return
    sheets = _free_sheets(tx, practice, sealed, numbers, _DEMAND if demands else _SHEET)
    _use_numbers(tx, practice, sealed)
    seq = tx.insert(_KEEP, _row(tx, practice, sealed, sheets[0].destination))
    tx.run(_KEEP_BODY, {"lot_seq": seq, "message": sealed.message})
    changes.born(tx, "lot", practice, seq, LotState.SEALED)
    changes.fse_join_lot(tx, sheets, seq, changes.SHARE if demands else changes.FSE)
    tx.audit("lot kept", sealed.id, f"{sealed.count} FSE", practice=practice)


def claim(
    tx: Transaction, now: datetime, limit: int, lease: timedelta, owner: str, relay: str, lane: Lane
) -> list[LotRow]:
    """Take what is due, lots that never failed first: new work does not wait behind old failures.

    Lots for a line that is held are left alone but for its one try; `relay` is the line of all of them.
    What another gateway is taking at this moment is passed over, not waited for.
    """
    lines = breakers.every(tx)
    trying = next((line for line in lines if line.name == relay and line.is_held), None)
    if trying is not None:
        if lane is Lane.FRESH or trying.state(now) is not LineState.HALF_OPEN:
            return []
        lane, limit = Lane.ALL, 1
    due: list[Record] = []
    for query in (_QUERIES if lines else _ALL_WELL)[lane]:
        if len(due) < limit:
            due += tx.rows(query, {"b_now": stamp(now), "b_limit": limit - len(due)})
    if lane is not Lane.FRESH:
        for line in lines:
            if line is not trying and len(due) < limit:
                due += _one_of_line(tx, line, now)
    if trying is not None and due and not breakers.hold_one_try(tx, trying, now):
        return []  # another gateway has just taken the one try
    _take(tx, due, stamp(now + lease), owner)
    return [lot_row(row, state=LotState.SENDING, message=row.message) for row in due]


_QUERIES = {
    Lane.ALL: (_FRESH, _DOUBTED, _AGAIN),
    Lane.FRESH: (_FRESH,),
    Lane.AGAIN: (_DOUBTED, _AGAIN),
}
_ALL_WELL = {Lane.ALL: (_NEW, _OLD), Lane.FRESH: (_NEW,), Lane.AGAIN: (_OLD,)}
"""The same while no line has failed, which is nearly always: nothing has to be looked up for each lot."""


def _one_of_line(tx: Transaction, line: Breaker, now: datetime) -> Sequence[Record]:
    """The one lot that a half-open line is tried with; none when nothing waits for it."""
    if line.state(now) is not LineState.HALF_OPEN:
        return ()
    values = {"b_pattern": f"%@{line.name}", "b_now": stamp(now), "b_limit": 1}
    found = tx.rows(_OF_LINE, values)
    return found if found and breakers.hold_one_try(tx, line, now) else ()


def _take(tx: Transaction, rows: Sequence[Record], lease_end: str, owner: str) -> None:
    taken = {"next_attempt_at": lease_end, "owner": owner}
    for row in rows:
        if row.state == LotState.SENDING:
            _end_attempt(tx, row.seq, "interrupted", "the gateway stopped during this attempt")
            tx.run(_LEASE, {"b_seq": row.seq, **taken})
    resting = [row for row in rows if row.state != LotState.SENDING]
    changes.lots_become(tx, resting, LotState.SENDING, "", retry=1, **taken)
    start = {"started_at": tx.at, "outcome": "running", "reason": ""}
    if rows:
        tx.run(_START_ATTEMPT, [{"lot_seq": row.seq, **start} for row in rows])


def sent(tx: Transaction, lot_id: str, ack_due: datetime, owner: str) -> None:
    """The relay took it. A receipt that was faster than the relay's own answer has already moved the lot.

    It is true as well when another gateway took the lot over meanwhile, and counts then.
    """
    row = find(tx, lot_id)
    _end_attempt(tx, row.seq, "sent", "")
    if not _is_in_hand(row, owner) or row.state != LotState.SENDING:
        return
    afresh = {"attempts": 0, "sends": row.sends + 1, "failing_since": None, "next_attempt_at": None}
    now = {"sent_at": tx.at, "ack_due": stamp(ack_due), "owner": owner}
    changes.lot_becomes(tx, row, LotState.SENT, "", **now, **afresh)
    changes.fse_of_lot_become(tx, row, (FseState.IN_LOT, FseState.SENT), "")


def failed(
    tx: Transaction, lot_id: str, reason: str, next_attempt_at: datetime, owner: str, *, counted: bool = True
) -> None:
    """Back to where the lot came from, until its next turn; not when another gateway took it over."""
    row = find(tx, lot_id)
    if _is_lost(row, owner):
        return
    _end_attempt(tx, row.seq, "failed", reason)
    if not _is_in_hand(row, owner):
        return
    failure = {"attempts": row.attempts + counted, "failing_since": row.failing_since or tx.at}
    changes.lot_becomes(tx, row, _resting(row), reason, next_attempt_at=stamp(next_attempt_at), **failure)


def give_back(tx: Transaction, lot_ids: Sequence[str], owner: str) -> None:
    """Not tried: no attempt is counted, due again at once."""
    for lot_id in sorted(lot_ids):
        row = find(tx, lot_id)
        if _is_lost(row, owner):
            continue
        _end_attempt(tx, row.seq, "not tried", "")
        if row.state == LotState.SENDING:
            retry = int(row.attempts > 0 or row.sends > 0)
            changes.lot_becomes(tx, row, _resting(row), row.reason, next_attempt_at=tx.at, retry=retry)


def park(tx: Transaction, lot_id: str, reason: str, owner: str) -> None:
    """Out of the queue, with its reason, until a person releases it; not what another gateway took over."""
    row = find(tx, lot_id)
    if _is_lost(row, owner):
        return
    _end_attempt(tx, row.seq, "failed", reason)
    if LotState(row.state) not in FINAL_LOT:
        changes.lot_becomes(tx, row, LotState.PARKED, reason, next_attempt_at=None, attempts=row.attempts + 1)


def release(tx: Transaction, lot_id: str, reason: str) -> None:
    """A person has decided: the lot starts afresh."""
    row = find(tx, lot_id)
    if row.state != LotState.PARKED:
        raise StoreError(f"lot {lot_id} is {row.state}: only a parked lot is released", code="state")
    afresh = {"attempts": 0, "sends": 0, "failing_since": None, "next_attempt_at": tx.at, "retry": 0}
    changes.lot_becomes(tx, row, _resting(row), reason, **afresh)


def overdue(tx: Transaction, now: datetime, limit: int) -> list[LotRow]:
    """No receipt in time: the same bytes again, and after MAX_SENDS of them a person must look."""
    silent = tx.rows(_SILENT, {"b_now": stamp(now), "b_limit": limit})
    return [_silent_becomes(tx, row) for row in silent]


def _silent_becomes(tx: Transaction, row: Record) -> LotRow:
    if row.sends >= MAX_SENDS:
        reason = (
            f"sent {row.sends} times without any receipt: ask the organism, then release or replace the lot"
        )
        changes.lot_becomes(tx, row, LotState.PARKED, reason, next_attempt_at=None)
        return lot_row(row, state=LotState.PARKED, reason=reason)
    reason = f"no receipt before {row.ack_due[:10]}"
    changes.lot_becomes(tx, row, LotState.OVERDUE, reason, next_attempt_at=tx.at)
    return lot_row(row, state=LotState.OVERDUE, reason=reason)


def recover(tx: Transaction, owner: str, *, alone: bool) -> int:
    """After a stop: what this gateway had claimed is due, and everything claimed where it is alone. How many.

    Other gateways of the same store go on with what they claimed; what one of them left when it died is due
    when its lease ends. Lines that fail are tried once, at once: whoever starts a gateway wants to know.
    """
    breakers.due_again(tx)
    if alone:
        return tx.run(_STRANDED, {"b_now": tx.at}).rowcount
    return tx.run(_STRANDED_HERE, {"b_now": tx.at, "b_owner": owner}).rowcount


def line_took_another(tx: Transaction, lot_id: str, since: datetime) -> bool:
    """Whether another lot for its domain left since then: one that fails beside that is itself to blame."""
    found = tx.first(_RECIPIENT, {"b_id": lot_id})
    if found is None:
        return False
    pattern = f"%@{domain_line(found.recipient)}"
    row = tx.first(_LATEST_SENT, {"b_id": lot_id, "b_pattern": pattern})
    return row is not None and row[0] is not None and row[0] >= stamp(since)


def find(tx: Transaction, lot_id: str) -> Record:
    """The row of a lot; raises StoreError when there is none."""
    row = tx.first(_BY_ID, {"b_id": lot_id})
    if row is None:
        raise StoreError(f"lot {lot_id} is not in the store", code="unknown")
    return row


def lot_row(
    row: Record, *, state: LotState | None = None, reason: str | None = None, message: bytes = b""
) -> LotRow:
    """A table row as the value that leaves the store."""
    return LotRow(
        id=row.id,
        practice=row.practice,
        destination=row.destination,
        sender=row.sender,
        recipient=row.recipient,
        lot_number=row.lot_number,
        lot_date=date.fromisoformat(row.lot_date),
        file_id=row.file_id,
        compostage=row.compostage,
        count=row.fse_count,
        state=state or LotState(row.state),
        attempts=row.attempts,
        sends=row.sends,
        next_attempt_at=moment_or_none(row.next_attempt_at),
        failing_since=moment_or_none(row.failing_since),
        sent_at=moment_or_none(row.sent_at),
        ack_due=moment_or_none(row.ack_due),
        changed_at=moment(row.changed_at),
        reason=row.reason if reason is None else reason,
        message=message,
    )


def _is_lost(row: Record, owner: str) -> bool:
    """Whether another gateway has taken this lot over, so that its word decides."""
    return row.owner not in (None, owner)


def _is_in_hand(row: Record, owner: str) -> bool:
    """Whether a worker's answer about this lot still counts: not once it was answered or parked meanwhile."""
    if row.state in FINAL_LOT or row.state == LotState.PARKED:
        return False
    if row.state != LotState.SENDING and not _is_lost(row, owner):
        raise StoreError(f"lot {row.id} is {row.state}: nobody claimed it", code="state")
    return True


def _resting(row: Record) -> LotState:
    return LotState.OVERDUE if row.sent_at else LotState.SEALED


def _end_attempt(tx: Transaction, seq: int, outcome: str, reason: str) -> None:
    tx.run(_END_ATTEMPT, {"b_seq": seq, "ended_at": tx.at, "outcome": outcome, "reason": redact(reason)})


def _is_kept(tx: Transaction, sealed: SealedLot) -> bool:
    row = tx.first(_BY_ID, {"b_id": sealed.id})
    if row is None:
        return False
    kept = tx.first(_MESSAGE, {"b_seq": row.seq})
    if kept is None or kept.message != sealed.message:
        raise StoreError(
            f"lot {sealed.id} is already kept with other bytes: seal under new numbers", code="number"
        )
    return True


def _free_sheets(
    tx: Transaction, practice: str, sealed: SealedLot, numbers: Sequence[int], one: sa.Select[Any]
) -> Sequence[Record]:
    found = (tx.first(one, {"practice": practice, "number": number}) for number in sorted(set(numbers)))
    sheets = [sheet for sheet in found if sheet is not None]
    if not sheets or len(sheets) != len(numbers) or len(sheets) != sealed.count:
        sentence = (
            f"lot {sealed.id} says {sealed.count} FSE, {len(numbers)} were named and {len(sheets)} are kept"
        )
        raise StoreError(f"{sentence}: build the lot again", code="count")
    if len({(sheet.destination, sheet.practitioner, family_of(sheet.mode)) for sheet in sheets}) != 1:
        sentence = f"lot {sealed.id} mixes destinations, practitioners or families of modes"
        raise StoreError(f"{sentence}: build one lot each", code="mixed")
    return sheets


def _use_numbers(tx: Transaction, practice: str, sealed: SealedLot) -> None:
    numbers = {
        "b_practice": practice,
        "b_compostage": sealed.compostage,
        "b_lot_number": sealed.lot_number,
        "b_lot_date": sealed.lot_date.isoformat(),
        "b_file_id": sealed.file_id,
    }
    if tx.run(_USE_NUMBERS, numbers).rowcount != 1:
        sentence = f"the numbers of lot {sealed.id} were not reserved here, or are used: reserve new ones"
        raise StoreError(sentence, code="number")


def _row(tx: Transaction, practice: str, sealed: SealedLot, destination: str) -> dict[str, object]:
    return {
        "id": sealed.id,
        "practice": practice,
        "destination": destination,
        "sender": sealed.sender,
        "recipient": sealed.recipient,
        "lot_number": sealed.lot_number,
        "lot_date": sealed.lot_date.isoformat(),
        "file_id": sealed.file_id,
        "compostage": sealed.compostage,
        "fse_count": sealed.count,
        "digest": sealed.digest,
        "state": LotState.SEALED,
        "changed_at": tx.at,
        "reason": "",
        "retry": 0,
        "attempts": 0,
        "sends": 0,
        "next_attempt_at": tx.at,
    }
