"""FSE in the store: kept once, byte for byte, encrypted at rest, and grouped for their lots."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from itertools import groupby

import sqlalchemy as sa

from gateway.errors import StoreError
from gateway.lots.modes import family_of
from gateway.store import changes, flows, numbers
from gateway.store.database import Transaction
from gateway.store.rows import StoredFse, WaitingGroup
from gateway.store.schema import UNSENT, fse, fse_body, stamp
from gateway.store.statements import Record
from gateway.store.states import FseState

_Key = tuple[str, str, str, str]

_KEEP = fse.insert()
_KEEP_BODY = fse_body.insert()
_SAME = sa.select(fse.c.body_digest).where(
    (fse.c.practice == sa.bindparam("practice")) & (fse.c.number == sa.bindparam("number"))
)
_WAITING = (
    sa.select(fse.c.practice, fse.c.practitioner, fse.c.destination, fse.c.mode, fse.c.number, fse.c.deadline)
    .where(fse.c.state == FseState.SIGNED)
    .order_by(fse.c.deadline, fse.c.id)
    .limit(sa.bindparam("b_limit"))
)
_WAITING_OF = _WAITING.where((fse.c.practice == sa.bindparam("b_practice")) & UNSENT)  # by its index
_BODY = (
    sa.select(fse_body.c.body)
    .join(fse, fse_body.c.fse_id == fse.c.id)
    .where((fse.c.practice == sa.bindparam("practice")) & (fse.c.number == sa.bindparam("number")))
)


def keep(tx: Transaction, sheet: StoredFse) -> None:
    """Keep one FSE under its reserved number, or recognise that it is kept already."""
    digest = hashlib.sha256(sheet.body).digest()
    if _is_kept(tx, sheet, digest):
        return
    if not numbers.is_reserved(tx, sheet.practice, sheet.number):
        raise StoreError(f"FSE number {sheet.number} was not reserved: reserve it first", code="number")
    fse_id = tx.insert(_KEEP, _row(sheet, digest, tx.at))
    tx.run(
        _KEEP_BODY,
        {"fse_id": fse_id, "body": tx.vault.close(_label(sheet.practice, sheet.number), sheet.body)},
    )
    changes.born(tx, "fse", sheet.practice, fse_id, _first_state(sheet))
    flows.keep_beside(tx, sheet, fse_id)
    ref = f"{sheet.practice}/{sheet.number}"
    tx.audit("FSE kept", ref, who=sheet.practitioner, practice=sheet.practice)


def waiting(tx: Transaction, practice: str | None, limit: int) -> list[WaitingGroup]:
    """The `limit` most urgent FSE without a lot, grouped; the most urgent group first."""
    if practice is None:
        rows = tx.rows(_WAITING, {"b_limit": limit})
    else:
        rows = tx.rows(_WAITING_OF, {"b_limit": limit, "b_practice": practice})
    by_group = sorted(rows, key=_group_key)
    groups = [_group(key, list(members)) for key, members in groupby(by_group, key=_group_key)]
    return sorted(groups, key=lambda group: group.deadline)


def bodies(tx: Transaction, practice: str, wanted: Sequence[int]) -> list[bytes]:
    """The bytes of these FSE in the order asked."""
    return [_body(tx, practice, number) for number in wanted]


def _body(tx: Transaction, practice: str, number: int) -> bytes:
    row = tx.first(_BODY, {"practice": practice, "number": number})
    if row is None:
        raise StoreError(f"FSE {number} of practice {practice} is not in the store", code="unknown")
    return tx.vault.open(_label(practice, number), row.body)


def _is_kept(tx: Transaction, sheet: StoredFse, digest: bytes) -> bool:
    kept = tx.first(_SAME, {"practice": sheet.practice, "number": sheet.number})
    if kept is not None and kept.body_digest != digest:
        sentence = f"FSE number {sheet.number} is already used by another sheet: reserve a new number"
        raise StoreError(sentence, code="number")
    return kept is not None


def _row(sheet: StoredFse, digest: bytes, at: str) -> dict[str, object]:
    return {
        "practice": sheet.practice,
        "number": sheet.number,
        "practitioner": sheet.practitioner,
        "destination": sheet.destination,
        "mode": sheet.mode,
        "third_party": sheet.third_party,
        "elaborated": stamp(sheet.elaborated),
        "deadline": sheet.deadline.isoformat(),
        "base_cents": sheet.base_cents,
        "amo_cents": sheet.amo_cents,
        "amc_cents": sheet.amc_cents,
        "patient_cents": sheet.patient_cents,
        "excess_cents": sheet.excess_cents,
        "label": sheet.label,
        "body_digest": digest,
        "state": _first_state(sheet),
        "changed_at": at,
        "reason": "",
    }


def _first_state(sheet: StoredFse) -> FseState:
    return FseState.AWAITING_CPS if sheet.waits else FseState.SIGNED


def _group_key(row: Record) -> _Key:
    return row.practice, row.practitioner, row.destination, family_of(row.mode)


def _group(key: _Key, members: Sequence[Record]) -> WaitingGroup:
    deadline = date.fromisoformat(min(row.deadline for row in members))
    return WaitingGroup(*key, numbers=tuple(row.number for row in members), deadline=deadline)


def _label(practice: str, number: int) -> str:
    return f"FSE {practice}/{number}"
