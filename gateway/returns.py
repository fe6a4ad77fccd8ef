"""What comes back from the receiver: opens a mail and reads the ARL or the NOEMIE return inside."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.certificates import keys_of
from gateway.delivery import Opened, Opener
from gateway.errors import InputError
from gateway.lots.refusal import LotRefusal
from gateway.lots.sealing import Opened as OpenedMail
from gateway.lots.sealing import open_sealed
from gateway.pki import Purpose
from gateway.practice import Practice
from gateway.records.arl import parse_arl
from gateway.records.noemie_file import NoemieReturn, parse_noemie
from gateway.records.noemie_file import Payment as NoemiePayment
from gateway.store.rows import Payment

_OF_INSURERS = ("A", "C", "D")


def opener(practice: Practice) -> Opener:
    """The opener for a practice's mailbox: decrypts, verifies the receiver's signature, reads the file."""

    def open_return(raw: bytes) -> Opened:
        mail = _open(practice, raw)
        description = mail.envelope.description
        if description.startswith("SESAM/ARL/"):
            return Opened(mail.payload, receipts=(parse_arl(mail.payload),))
        if description.startswith("NOEMIE/"):
            return Opened(mail.payload, payments=_payments(parse_noemie(mail.payload)))
        raise InputError(
            f"a message of kind {description!r} is neither an ARL nor a NOEMIE return: look at it by hand"
        )

    return open_return


def _open(practice: Practice, raw: bytes) -> OpenedMail:
    """With the key it was made for: old and new ones overlap while the receiver learns of the new one."""
    keys = keys_of(practice)
    for count, key in enumerate(keys, 1):
        try:
            return open_sealed(
                raw,
                key=key,
                policy=practice.policy,
                trust=practice.trust,
                purpose=Purpose.RECEIVER_SIGNATURE,
                when=practice.clock.now(),
            )
        except LotRefusal:
            if count == len(keys):
                raise
    raise AssertionError("a practice has a key")


def _payments(answer: NoemieReturn) -> Sequence[Payment]:
    return tuple(_payment(entry) for entry in answer.payments)


def _payment(entry: NoemiePayment) -> Payment:
    """An insurer (types A, C, D) answers for its own share; a caisse that refuses that share pays its own."""
    complementary = entry.invoice_type in _OF_INSURERS
    share = entry.amc if complementary else entry.amo
    reject = next((one for one in entry.rejects if complementary or one.share == "O"), None)
    said = reject or next(iter(entry.rejects), None)
    return Payment(
        number=entry.invoice,
        lot_number=entry.lot_number,
        lot_date=entry.lot_date,
        deferred=share is not None and share.state == "D",
        paid=reject is None and (share is None or share.state != "R"),
        complementary=complementary,
        amo_cents=entry.amo.paid_cents,
        amc_cents=entry.amc.paid_cents if entry.amc else 0,
        code=said.code if said else "",
        text=said.text if said else "",
    )
