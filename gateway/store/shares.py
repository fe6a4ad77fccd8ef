"""Complementary shares in the store: each has states of its own, beside those of its FSE.

A share with a destination is asked by a DRE, whose body and lots are its own; one without is handed on by
the caisse, and only its end is posted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import groupby

import sqlalchemy as sa

from gateway.errors import StoreError
from gateway.lots.modes import DRE
from gateway.store import changes
from gateway.store.database import Transaction
from gateway.store.rows import Payment, StoredShare, WaitingGroup
from gateway.store.schema import fse, lot, share, share_body
from gateway.store.statements import Record
from gateway.store.states import FseState

_KEEP = share.insert()
_KEEP_BODY = share_body.insert()
_WAITING = (
    sa.select(fse.c.practice, fse.c.practitioner, share.c.destination, fse.c.number, fse.c.deadline)
    .join(fse, share.c.fse_id == fse.c.id)
    .where(share.c.state == FseState.SIGNED)
    .order_by(fse.c.deadline, share.c.id)
    .limit(sa.bindparam("b_limit"))
)
_OF_FSE = (
    sa.select(
        share.c.id,
        share.c.state,
        share.c.destination,
        fse.c.practice,
        fse.c.number,
        lot.c.lot_number,
        lot.c.lot_date,
    )
    .join(fse, share.c.fse_id == fse.c.id)
    .join(lot, share.c.lot_seq == lot.c.seq, isouter=True)
    .where(share.c.fse_id == sa.bindparam("b_fse"))
)
_HOLD = sa.select(share.c.id).where(share.c.fse_id == sa.bindparam("b_fse")).with_for_update()
_BODY = (
    sa.select(share_body.c.body)
    .join(share, share_body.c.share_id == share.c.id)
    .join(fse, share.c.fse_id == fse.c.id)
    .where((fse.c.practice == sa.bindparam("practice")) & (fse.c.number == sa.bindparam("number")))
)
_RECIPIENT = (
    sa.select(share.c.recipient, share.c.destination)
    .join(fse, share.c.fse_id == fse.c.id)
    .where((fse.c.practice == sa.bindparam("practice")) & (fse.c.number == sa.bindparam("number")))
)
_ON_THE_WAY = (FseState.SIGNED, FseState.IN_LOT, FseState.SENT, FseState.ACCEPTED)
OPEN = (FseState.IN_LOT, FseState.SENT, FseState.ACCEPTED)
"""A demand that its insurer may still answer."""


def keep(tx: Transaction, sheet: tuple[int, str, int], kept: StoredShare) -> None:
    """Keep the share of an FSE (its id, practice and number), in the transaction that keeps the FSE."""
    fse_id, practice, number = sheet
    state = FseState.RELAYED
    if kept.destination:
        state = FseState.SIGNED if kept.body else FseState.AWAITING_CPS
    row = {
        "fse_id": fse_id,
        "practice": practice,
        "destination": kept.destination,
        "recipient": kept.recipient,
        "amc_cents": kept.amc_cents,
        "state": state,
        "changed_at": tx.at,
        "reason": "",
    }
    share_id = tx.insert(_KEEP, row)
    if kept.body:
        body = tx.vault.close(_label(practice, number), kept.body)
        tx.run(_KEEP_BODY, {"share_id": share_id, "body": body})
    changes.born(tx, "dre", practice, share_id, state)


def waiting(tx: Transaction, practice: str | None, limit: int) -> list[WaitingGroup]:
    """DRE without a lot, grouped by practitioner and insurer."""
    query = _WAITING if practice is None else _WAITING.where(share.c.practice == sa.bindparam("b_practice"))
    values = {"b_limit": limit} | ({} if practice is None else {"b_practice": practice})
    rows = sorted(tx.rows(query, values), key=_group_key)
    return [_group(key, list(members)) for key, members in groupby(rows, key=_group_key)]


def bodies(tx: Transaction, practice: str, wanted: Sequence[int]) -> list[bytes]:
    """The bodies of the DRE of these FSE, in the order asked."""
    return [_body(tx, practice, number) for number in wanted]


def insurer(tx: Transaction, practice: str, number: int) -> str:
    """The key of the insurer that the DRE of this FSE goes to; "" when it has none."""
    row = tx.first(_RECIPIENT, {"practice": practice, "number": number})
    return "" if row is None else str(row.destination)


def recipient(tx: Transaction, practice: str, number: int) -> str:
    """The mail address of the insurer that the DRE of this FSE goes to."""
    row = tx.first(_RECIPIENT, {"practice": practice, "number": number})
    return "" if row is None else str(row.recipient)


def of_fse(tx: Transaction, fse_id: int) -> Record | None:
    """The share of one FSE, with the number and day of the lot that its DRE is in; None without one."""
    return tx.first(_OF_FSE, {"b_fse": fse_id})


def hold(tx: Transaction, fse_id: int) -> None:
    """The share of this FSE is about to change: nobody else changes it meanwhile."""
    tx.lock(_HOLD, {"b_fse": fse_id})


def fill(tx: Transaction, fse_id: int, practice: str, number: int, body: bytes) -> None:
    """Give the share of an FSE that waited for the CPS the DRE that is signed now."""
    row = of_fse(tx, fse_id)
    if row is None:
        raise StoreError(f"FSE {number} has no complementary share to ask for", code="state")
    tx.run(_KEEP_BODY, {"share_id": row.id, "body": tx.vault.close(_label(practice, number), body)})
    changes.fse_becomes(tx, row, (FseState.SIGNED,), "", changes.SHARE)


def ends(tx: Transaction, fse_id: int, after: FseState, reason: str) -> None:
    """The share of this FSE comes to its end with it, unless it has ended or is on its way to an insurer."""
    row = of_fse(tx, fse_id)
    if row is not None and after in _AFTER.get(FseState(row.state), ()):
        changes.fse_becomes(tx, row, (after,), reason, changes.SHARE)


_AFTER = {
    FseState.AWAITING_CPS: (FseState.CANCELLED,),
    FseState.SIGNED: (FseState.CANCELLED,),
    FseState.RELAYED: (FseState.CANCELLED, FseState.PAYMENT_REJECTED, FseState.RECTIFIED),
    FseState.REJECTED: (FseState.RECTIFIED,),
    FseState.PAYMENT_REJECTED: (FseState.RECTIFIED,),
}


def post(tx: Transaction, row: Record, said: Payment, reason: str) -> None:
    """What was paid or refused of a share (a row of `of_fse`), whoever says so; nothing once it has ended."""
    state = FseState(row.state)
    after = FseState.PAID if said.amc_cents else FseState.PAYMENT_REJECTED
    if state is FseState.RELAYED:
        changes.fse_becomes(tx, row, (after,), reason, changes.SHARE)
    elif state in OPEN:
        path = _ON_THE_WAY[_ON_THE_WAY.index(state) + 1 :]
        changes.fse_becomes(tx, row, (*path, after), reason, changes.SHARE)


def _body(tx: Transaction, practice: str, number: int) -> bytes:
    row = tx.first(_BODY, {"practice": practice, "number": number})
    if row is None:
        raise StoreError(
            f"the DRE of FSE {number} of practice {practice} is not in the store", code="unknown"
        )
    return tx.vault.open(_label(practice, number), row.body)


def _group_key(row: Record) -> tuple[str, str, str]:
    return row.practice, row.practitioner, row.destination


def _group(key: tuple[str, str, str], members: Sequence[Record]) -> WaitingGroup:
    deadline = date.fromisoformat(min(row.deadline for row in members))
    return WaitingGroup(*key, DRE, tuple(row.number for row in members), deadline)


def _label(practice: str, number: int) -> str:
    return f"DRE {practice}/{number}"
