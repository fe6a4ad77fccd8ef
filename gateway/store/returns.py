"""What comes back: receipts (ARL) and payment returns (NOEMIE), posted once, kept as proof, never lost.

Each returned file is kept once, under the digest of its bytes. A receipt moves a lot only when it
names the lot's numbers and the digest of our own stored bytes; everything else is kept UNMATCHED
and waits for a person. Payments are posted and never cause a resend.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.redact import redact
from gateway.store import changes, shares
from gateway.store.database import Transaction
from gateway.store.rows import Outcome, Payment, PaymentOutcome, ReceiptOutcome
from gateway.store.schema import fse, lot, lot_body, message, payment, receipt
from gateway.store.statements import Record
from gateway.store.states import FINAL_LOT, FseState, LotState

if TYPE_CHECKING:
    from gateway.records.arl import Arl

UNREADABLE = "unreadable"

_KNOWN = sa.select(message.c.digest).where(
    (message.c.digest == sa.bindparam("digest")) & (message.c.practice == sa.bindparam("practice"))
)
_KEEP = message.insert()
_LOT_OF = (
    sa.select(lot)
    .where(
        (lot.c.practice == sa.bindparam("practice"))
        & (lot.c.compostage == sa.bindparam("compostage"))
        & (lot.c.file_id == sa.bindparam("file_id"))
        & (lot.c.lot_number == sa.bindparam("lot_number"))
        & (lot.c.lot_date == sa.bindparam("lot_date"))
    )
    .with_for_update()
)
_LOT_IN_MAIL = (
    sa.select(lot, lot_body.c.message)
    .join(lot_body, lot_body.c.lot_seq == lot.c.seq)
    .where((lot.c.practice == sa.bindparam("practice")) & (lot.c.compostage == sa.bindparam("compostage")))
    .with_for_update(of=lot)
)
_EARLIER = sa.select(receipt.c.id, receipt.c.outcome).where(
    (receipt.c.message_digest == sa.bindparam("message_digest"))
    & (receipt.c.compostage == sa.bindparam("compostage"))
    & (receipt.c.lot_number == sa.bindparam("lot_number"))
    & (receipt.c.lot_date == sa.bindparam("lot_date"))
)
_RECEIPT = receipt.insert()
_RECEIPT_AGAIN = sa.update(receipt).where(receipt.c.id == sa.bindparam("b_id"))
_FSE_OF = (
    sa.select(
        fse.c.id,
        fse.c.practice,
        fse.c.number,
        fse.c.state,
        fse.c.paid_amc_cents,
        lot.c.lot_number,
        lot.c.lot_date,
    )
    .join_from(fse, lot, fse.c.lot_seq == lot.c.seq, isouter=True)
    .where((fse.c.practice == sa.bindparam("practice")) & (fse.c.number == sa.bindparam("number")))
    .with_for_update(of=fse)
)
_LINE = sa.select(payment.c.id, payment.c.outcome).where(
    (payment.c.message_digest == sa.bindparam("message_digest")) & (payment.c.line == sa.bindparam("line"))
)
_PAYMENT = payment.insert()
_PAYMENT_AGAIN = sa.update(payment).where(payment.c.id == sa.bindparam("b_id"))

_SHARE = sa.update(fse).where(fse.c.id == sa.bindparam("b_id"))

_NO_SHARE = (FseState.CANCELLED, FseState.RECTIFIED)
_WAITS = frozenset({Outcome.UNMATCHED, Outcome.CONTRADICTED})
_TO_ACCEPTED = (FseState.IN_LOT, FseState.SENT, FseState.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Return:
    """A returned file as verified, its key in the mailbox, and the practice whose mailbox it came to."""

    raw: bytes = field(repr=False)
    key: str
    practice: str


def keep_message(tx: Transaction, back: Return, kind: str, reason: str = "") -> tuple[bytes, bool]:
    """Keep a returned file once for its practice. What it is known by, and whether it was new."""
    plain = hashlib.sha256(back.raw).digest()
    if tx.first(_KNOWN, {"digest": plain, "practice": back.practice}) is not None:
        return plain, False  # kept by a release that knew one practice only
    name = identity_of(plain, back.practice)
    if tx.first(_KNOWN, {"digest": name, "practice": back.practice}) is not None:
        return name, False
    row = {
        "digest": name,
        "practice": back.practice,
        "key": back.key,
        "at": tx.at,
        "kind": kind,
        "reason": redact(reason),
        "body": tx.vault.close(f"message {name.hex()}", back.raw),
    }
    tx.run(_KEEP, row)
    tx.audit(f"message kept: {kind}", name.hex()[:16], reason, practice=back.practice)
    return name, True


def identity_of(digest: bytes, practice: str) -> bytes:
    """What a message with this SHA-256 is known by: two practices may get the same bytes, each its own."""
    return hashlib.sha256(digest + practice.encode()).digest()


def post_receipt(tx: Transaction, arl: Arl, back: Return) -> ReceiptOutcome:
    """Post one ARL: the lot and its FSE move, or the ARL waits for a person with the reason."""
    digest, _ = keep_message(tx, back, "arl")
    identity = {
        "message_digest": digest,
        "compostage": arl.compostage,
        "lot_number": arl.lot_number,
        "lot_date": arl.lot_date.isoformat(),
    }
    earlier = tx.first(_EARLIER, identity)
    row = _lot_named(tx, arl, back.practice)
    outcome = _judge(row, arl)
    if earlier is not None and outcome.outcome in _WAITS:
        return outcome
    if earlier is None or earlier.outcome in _WAITS:
        verdict = {"lot_seq": row.seq if row else None, "outcome": outcome.outcome, "reason": outcome.reason}
        _write_receipt(tx, arl, identity, earlier, verdict)
        if earlier is None and outcome.outcome in _WAITS:
            what = f"receipt {outcome.outcome}"
            tx.audit(what, arl.compostage, outcome.reason, practice=back.practice)
    if row is not None and outcome.outcome is Outcome.POSTED:
        _move_lot(tx, row, arl)
    return outcome


def _judge(row: Record | None, arl: Arl) -> ReceiptOutcome:
    if row is None:
        return ReceiptOutcome(Outcome.UNMATCHED, None, None, "no lot of ours has these numbers")
    if not hmac.compare_digest(_named_digest(row, arl), arl.digest):
        reason = "the digest in this receipt is not the digest of the bytes we sent"
        return ReceiptOutcome(Outcome.UNMATCHED, None, None, reason)
    state = LotState(row.state)
    after = LotState.ACKNOWLEDGED if arl.positive else LotState.REJECTED
    if state is after:
        return ReceiptOutcome(Outcome.REPEATED, row.id, state)
    if state in FINAL_LOT:
        reason = f"the lot is already {state} and this receipt says {after}"
        return ReceiptOutcome(Outcome.CONTRADICTED, row.id, state, reason)
    return ReceiptOutcome(Outcome.POSTED, row.id, after)


def _is_of_mail(arl: Arl) -> bool:
    """Class E: the mail could not be opened; the ARL names the mail and knows nothing of the file."""
    return arl.error_class == "E" and not arl.positive


def _lot_named(tx: Transaction, arl: Arl, practice: str) -> Record | None:
    if _is_of_mail(arl):
        return tx.first(_LOT_IN_MAIL, {"practice": practice, "compostage": arl.compostage})
    named = {"compostage": arl.compostage, "file_id": arl.file_id, "lot_number": arl.lot_number}
    return tx.first(_LOT_OF, {"practice": practice, "lot_date": arl.lot_date.isoformat(), **named})


def _named_digest(row: Record, arl: Arl) -> bytes:
    """The digest that an ARL about this lot must name: that of the mail in class E, else that of the file."""
    return hashlib.sha256(row.message).digest() if _is_of_mail(arl) else bytes(row.digest)


def _write_receipt(
    tx: Transaction, arl: Arl, identity: dict[str, Any], earlier: Record | None, verdict: dict[str, Any]
) -> None:
    if earlier is not None:
        tx.run(_RECEIPT_AGAIN, {"b_id": earlier.id, **verdict})
        return
    said = {
        "at": tx.at,
        "file_id": arl.file_id,
        "digest": arl.digest,
        "positive": arl.positive,
        "error_class": arl.error_class,
        "code": arl.error_code,
    }
    tx.run(_RECEIPT, {**identity, **said, **verdict})


def _move_lot(tx: Transaction, row: Record, arl: Arl) -> None:
    if arl.positive:
        changes.lot_becomes(tx, row, LotState.ACKNOWLEDGED, "", next_attempt_at=None)
        changes.fse_of_lot_become(tx, row, _TO_ACCEPTED, "")
        return
    said = f"rejected by the receiver: class {arl.error_class}, code {arl.error_code}{_first_words(arl)}"
    reason = redact(said)
    changes.lot_becomes(tx, row, LotState.REJECTED, reason, next_attempt_at=None)
    changes.fse_of_lot_become(tx, row, (FseState.IN_LOT, FseState.SENT, FseState.REJECTED), reason)


def _first_words(arl: Arl) -> str:
    """The first reason of a negative ARL and its place; a receiver writes no personal data there."""
    if not arl.rejects:
        return ""
    first = arl.rejects[0]
    places = {"invoice": first.invoice, "record": first.record, "position": first.position}
    where = ", ".join(f"{name} {value}" for name, value in places.items() if value)
    return f" ({where}): {first.text}" if where else f": {first.text}"


def post_payments(tx: Transaction, payments: Sequence[Payment], back: Return) -> list[PaymentOutcome]:
    """Post one payment return, line by line."""
    digest, _ = keep_message(tx, back, "noemie")
    return [_post_line(tx, digest, line, said, back.practice) for line, said in enumerate(payments, 1)]


def _post_line(tx: Transaction, digest: bytes, line: int, said: Payment, practice: str) -> PaymentOutcome:
    identity = {"message_digest": digest, "line": line}
    earlier = tx.first(_LINE, identity)
    if earlier is not None and earlier.outcome not in _WAITS:
        return PaymentOutcome(Outcome.REPEATED, said.number, None)
    row = tx.first(_FSE_OF, {"practice": practice, "number": said.number})
    if row is not None:
        shares.hold(tx, row.id)
    asked = None if row is None else shares.of_fse(tx, row.id)
    outcome = _judge_payment(row, asked, said)
    if earlier is not None and outcome.outcome in _WAITS:
        return outcome
    verdict = {
        "fse_id": row.id if row else None,
        "practice": practice,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
    }
    _write_payment(tx, said, identity, earlier, verdict)
    if earlier is None and outcome.outcome in _WAITS:
        tx.audit(f"payment {outcome.outcome}", str(said.number), outcome.reason, practice=practice)
    if row is not None and outcome.outcome is Outcome.POSTED:
        move = _add_share if said.complementary else _move_fse
        move(tx, row, asked, said)
    return outcome


def _judge_payment(row: Record | None, asked: Record | None, said: Payment) -> PaymentOutcome:
    number = said.number
    if row is None or not _names_our_lots(row, asked, said):
        return PaymentOutcome(Outcome.UNMATCHED, number, None, "no FSE of ours has this number in this lot")
    state = FseState(row.state)
    if said.deferred:
        return PaymentOutcome(Outcome.DEFERRED, number, state, "the payment is deferred")
    if said.complementary:
        return _judge_share(row, asked, said)
    after = FseState.PAID if said.paid else FseState.PAYMENT_REJECTED
    if state is after:
        return PaymentOutcome(Outcome.REPEATED, number, state)
    if state not in _TO_ACCEPTED:
        reason = f"the FSE is {state} and this return says {after}"
        return PaymentOutcome(Outcome.CONTRADICTED, number, state, reason)
    return PaymentOutcome(Outcome.POSTED, number, after)


def _judge_share(row: Record, asked: Record | None, said: Payment) -> PaymentOutcome:
    """The share of an insurer moves no state of the FSE: it is added once, whenever it comes."""
    state = FseState(row.state)
    if said.paid and row.paid_amc_cents:
        return PaymentOutcome(Outcome.REPEATED, said.number, state)
    if asked is not None and asked.state == FseState.PAYMENT_REJECTED and not said.paid:
        return PaymentOutcome(Outcome.REPEATED, said.number, state)
    if asked is not None and asked.state in _NO_SHARE:
        reason = f"the share is {asked.state} and this return answers for it"
        return PaymentOutcome(Outcome.CONTRADICTED, said.number, state, reason)
    if state not in (*_TO_ACCEPTED, FseState.SIGNED, FseState.PAID, FseState.PAYMENT_REJECTED):
        reason = f"the FSE is {state} and this return answers for its complementary share"
        return PaymentOutcome(Outcome.CONTRADICTED, said.number, state, reason)
    return PaymentOutcome(Outcome.POSTED, said.number, state)


def _names_our_lots(row: Record, asked: Record | None, said: Payment) -> bool:
    """The lot of the FSE; an insurer may also name the lot that its DRE came in."""
    by_demand = said.complementary and asked is not None and _names_our_lot(asked, said)
    return by_demand or _names_our_lot(row, said)


def _names_our_lot(row: Record, said: Payment) -> bool:
    same_day = said.lot_date is None or row.lot_date == said.lot_date.isoformat()
    return bool(row.lot_number == said.lot_number and same_day)


def _write_payment(
    tx: Transaction,
    said: Payment,
    identity: dict[str, Any],
    earlier: Record | None,
    verdict: dict[str, Any],
) -> None:
    if earlier is not None:
        tx.run(_PAYMENT_AGAIN, {"b_id": earlier.id, **verdict})
        return
    content = {
        "at": tx.at,
        "number": said.number,
        "lot_number": said.lot_number,
        "lot_date": said.lot_date.isoformat() if said.lot_date else None,
        "paid": said.paid,
        "deferred": said.deferred,
        "amo_cents": said.amo_cents,
        "amc_cents": said.amc_cents,
        "code": said.code,
        "text": redact(said.text),
    }
    tx.run(_PAYMENT, {**identity, **content, **verdict})


def _move_fse(tx: Transaction, row: Record, asked: Record | None, said: Payment) -> None:
    """A payment proves that the FSE was sent and accepted, even when its receipt was lost.

    What an insurer has paid before is kept: only a caisse that pays both shares says an amount here.
    """
    on_the_way = _TO_ACCEPTED[_TO_ACCEPTED.index(FseState(row.state)) + 1 :]
    cents = {"paid_amo_cents": said.amo_cents, "paid_amc_cents": said.amc_cents or row.paid_amc_cents}
    after = FseState.PAID if said.paid else FseState.PAYMENT_REJECTED
    changes.fse_becomes(tx, row, (*on_the_way, after), _reason(said), **cents)
    if asked is not None and asked.state == FseState.RELAYED and (said.code or said.amc_cents):
        shares.post(tx, asked, said, _reason(said))  # the caisse pays it too, or hands nothing on


def _add_share(tx: Transaction, row: Record, asked: Record | None, said: Payment) -> None:
    """What an insurer paid, or why it did not, beside what is known of the FSE."""
    if asked is not None:
        shares.post(tx, asked, said, _reason(said))
    if said.paid:
        tx.run(_SHARE, {"b_id": row.id, "paid_amc_cents": said.amc_cents})
    else:
        tx.run(_SHARE, {"b_id": row.id, "reason": redact(_reason(said))})
    what = f"complementary share {'paid' if said.paid else 'rejected'}"
    tx.audit(what, f"{row.practice}/{row.number}", practice=row.practice)


def _reason(said: Payment) -> str:
    return f"{said.code} {said.text}".strip()
