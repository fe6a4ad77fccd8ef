"""What happens to an FSE beside the straight line: it waits for the CPS, is cancelled, or is rectified.

Also what is kept beside its body: the care act it was made from (for a rectification), its paper twin, and
the places of practice whose CPS was seen here. All of it is closed like the bodies.
"""

from __future__ import annotations

import hashlib
from datetime import date

import sqlalchemy as sa

from gateway.errors import StoreError
from gateway.store import changes, shares
from gateway.store.database import Transaction
from gateway.store.rows import AwaitingFse, StoredFse
from gateway.store.schema import UNWRITTEN, fse, fse_act, fse_body, fse_twin, place, rectification
from gateway.store.statements import Record
from gateway.store.states import FseState

_ONE = sa.select(fse.c.id, fse.c.practice, fse.c.number, fse.c.state, fse.c.mode, fse.c.lot_seq).where(
    (fse.c.practice == sa.bindparam("b_practice")) & (fse.c.number == sa.bindparam("b_number"))
)
_HOLD = (
    sa.select(fse.c.id)
    .where((fse.c.practice == sa.bindparam("b_practice")) & (fse.c.number == sa.bindparam("b_number")))
    .with_for_update()
)
_AWAITING = (
    sa.select(fse.c.number, fse.c.practitioner, fse.c.deadline)
    .where((fse.c.state == FseState.AWAITING_CPS) & (fse.c.practice == sa.bindparam("b_practice")))
    .order_by(fse.c.deadline, fse.c.id)
)
_BODY = sa.update(fse_body).where(fse_body.c.fse_id == sa.bindparam("b_id"))
_ACT, _TWIN, _RECTIFY = fse_act.insert(), fse_twin.insert(), rectification.insert()
_ACT_OF = sa.select(fse_act.c.body).where(fse_act.c.fse_id == sa.bindparam("b_id"))
_TWIN_OF = sa.select(fse_twin.c.body).where(fse_twin.c.fse_id == sa.bindparam("b_id"))
_UNWRITTEN = (
    sa.select(fse.c.number)
    .join_from(fse_twin, fse, fse_twin.c.fse_id == fse.c.id)
    .where(
        UNWRITTEN & (sa.func.coalesce(fse.c.practice, "") == sa.bindparam("b_practice"))
    )  # not by its index
    .where(fse.c.state != FseState.CANCELLED)
    .order_by(fse_twin.c.fse_id)
)
_WRITTEN = sa.update(fse_twin).where(fse_twin.c.fse_id == sa.bindparam("b_id")).values(written=sa.true())
_PLACE = sa.select(place.c.body).where(
    (place.c.practice == sa.bindparam("b_practice")) & (place.c.practitioner == sa.bindparam("b_place"))
)
_KEEP_PLACE = place.insert()
_FORGET_PLACE = sa.delete(place).where(
    (place.c.practice == sa.bindparam("b_practice")) & (place.c.practitioner == sa.bindparam("b_place"))
)
_RECTIFIABLE = (FseState.REJECTED, FseState.PAYMENT_REJECTED)


def one(tx: Transaction, practice: str, number: int) -> Record:
    """The row of one FSE; StoreError (unknown) when there is none."""
    row = tx.first(_ONE, {"b_practice": practice, "b_number": number})
    if row is None:
        raise StoreError(f"FSE {number} is not in the store: look at the list of FSE", code="unknown")
    return row


def held(tx: Transaction, practice: str, number: int) -> Record:
    """The row of one FSE that is about to change: nobody else changes it or its share meanwhile."""
    tx.lock(_HOLD, {"b_practice": practice, "b_number": number})
    row = one(tx, practice, number)
    shares.hold(tx, row.id)
    return row


def keep_beside(tx: Transaction, sheet: StoredFse, fse_id: int) -> None:
    """What is kept with a new FSE: its act, its paper twin, its share, and whom it takes the place of."""
    if sheet.act:
        body = tx.vault.close(_label("act", sheet.practice, sheet.number), sheet.act)
        tx.run(_ACT, {"fse_id": fse_id, "body": body})
    if sheet.twin:
        body = tx.vault.close(_label("twin", sheet.practice, sheet.number), sheet.twin)
        tx.run(_TWIN, {"fse_id": fse_id, "body": body, "written": False})
    if sheet.share is not None:
        shares.keep(tx, (fse_id, sheet.practice, sheet.number), sheet.share)
    if sheet.rectifies:
        _rectified(tx, sheet, fse_id)


def act_of(tx: Transaction, practice: str, number: int) -> bytes:
    """The care act that an FSE was made from; b"" when it was not kept or is forgotten."""
    row = tx.first(_ACT_OF, {"b_id": one(tx, practice, number).id})
    return b"" if row is None else tx.vault.open(_label("act", practice, number), row.body)


# Desynchronised


def awaiting(tx: Transaction, practice: str) -> list[AwaitingFse]:
    """FSE that the Vitale has sealed and no CPS has signed, most urgent first."""
    rows = tx.rows(_AWAITING, {"b_practice": practice})
    return [AwaitingFse(row.number, row.practitioner, date.fromisoformat(row.deadline)) for row in rows]


def sign(tx: Transaction, practice: str, number: int, body: bytes, share: bytes) -> None:
    """The CPS has signed: the whole FSE takes the place of what waited. An FSE is signed once."""
    row = held(tx, practice, number)
    if row.state != FseState.AWAITING_CPS:
        raise StoreError(f"FSE {number} is {row.state}: it does not wait for a signature", code="state")
    closed = tx.vault.close(f"FSE {practice}/{number}", body)
    tx.run(_BODY, {"b_id": row.id, "body": closed})
    if share:
        shares.fill(tx, row.id, practice, number, share)
    digest = hashlib.sha256(body).digest()
    changes.fse_becomes(tx, row, (FseState.SIGNED,), "", body_digest=digest)


# Cancelled, rectified


def cancel(tx: Transaction, practice: str, number: int, reason: str) -> None:
    """Withdraw an FSE that is in no lot yet, with its DRE; its number is never used again."""
    row, share = held(tx, practice, number), None
    if row.state in (FseState.SIGNED, FseState.AWAITING_CPS):
        share = shares.of_fse(tx, row.id)
    elif row.state != FseState.CANCELLED:
        raise StoreError(
            f"FSE {number} is {row.state}: only what is in no lot yet is cancelled; rectify what was refused",
            code="state",
        )
    else:
        raise StoreError(f"FSE {number} is cancelled already", code="state")
    if share is not None and share.state in shares.OPEN:
        raise StoreError(f"the DRE of FSE {number} is in a lot: the FSE is not cancelled", code="state")
    changes.fse_becomes(tx, row, (FseState.CANCELLED,), reason)
    shares.ends(tx, row.id, FseState.CANCELLED, reason)


def check_rectifiable(tx: Transaction, practice: str, number: int) -> bool:
    """Whether the new FSE may ask for a complementary share; StoreError when there must be no new FSE."""
    row = one(tx, practice, number)
    if row.state not in _RECTIFIABLE:
        raise StoreError(
            f"FSE {number} is {row.state}: only an FSE that was refused is rectified", code="state"
        )
    share = shares.of_fse(tx, row.id)
    if share is not None and share.state in shares.OPEN:
        raise StoreError(
            f"the DRE of FSE {number} is on its way: wait for its insurer's answer, then rectify",
            code="share-open",
        )
    return share is None or share.state != FseState.PAID


def _rectified(tx: Transaction, sheet: StoredFse, fse_id: int) -> None:
    """The refused FSE ends as RECTIFIED in the transaction that keeps the new one: one of them is alive."""
    refused = held(tx, sheet.practice, sheet.rectifies)
    may_ask = check_rectifiable(tx, sheet.practice, sheet.rectifies)
    if sheet.share is not None and not may_ask:
        raise StoreError(
            f"the complementary share of FSE {sheet.rectifies} is paid: the new FSE asks for none",
            code="state",
        )
    reason = f"rectified by FSE {sheet.number}"
    changes.fse_becomes(tx, refused, (FseState.RECTIFIED,), reason)
    shares.ends(tx, refused.id, FseState.CANCELLED, reason)
    shares.ends(tx, refused.id, FseState.RECTIFIED, reason)
    tx.run(_RECTIFY, {"fse_id": fse_id, "refused_id": refused.id})


# Paper twins


def twin_of(tx: Transaction, practice: str, number: int) -> str:
    """The paper twin of an FSE; StoreError (unknown) when it has none."""
    row = tx.first(_TWIN_OF, {"b_id": one(tx, practice, number).id})
    if row is None:
        raise StoreError(f"FSE {number} has no paper twin", code="unknown")
    return tx.vault.open(_label("twin", practice, number), row.body).decode()


def twins_unwritten(tx: Transaction, practice: str) -> list[int]:
    """The FSE whose paper twin was not written to its folder yet."""
    return [row.number for row in tx.rows(_UNWRITTEN, {"b_practice": practice})]


def twin_written(tx: Transaction, practice: str, number: int) -> None:
    """The paper twin of this FSE is in its folder."""
    tx.run(_WRITTEN, {"b_id": one(tx, practice, number).id})


# Places of practice


def keep_place(tx: Transaction, practice: str, practitioner: str, body: bytes) -> None:
    """Keep what the CPS says of one place of practice, over what was kept of it before."""
    where = {"b_practice": practice, "b_place": practitioner}
    tx.run(_FORGET_PLACE, where)
    closed = tx.vault.close(_label("place", practice, practitioner), body)
    tx.run(_KEEP_PLACE, {"practice": practice, "practitioner": practitioner, "body": closed, "at": tx.at})
    tx.audit("place of practice kept", f"{practice}/{practitioner}", practice=practice)


def place_of(tx: Transaction, practice: str, practitioner: str) -> bytes:
    """What is kept of one place of practice; b"" when its CPS was never seen here."""
    row = tx.first(_PLACE, {"b_practice": practice, "b_place": practitioner})
    return b"" if row is None else tx.vault.open(_label("place", practice, practitioner), row.body)


def _label(what: str, practice: str, name: int | str) -> str:
    return f"{what} {practice}/{name}"
