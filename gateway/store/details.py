"""One practice's own view, item by item: what programs ask for. Nothing of another practice is ever in it."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from gateway.audit import AuditEntry, AuditRecord
from gateway.errors import StoreError
from gateway.store.database import Transaction
from gateway.store.outbox import lot_row
from gateway.store.rows import Change, FseRow, LotRow, PaymentLine, ReceiptLine
from gateway.store.schema import audit, change, fse, lot, moment, payment, receipt, share
from gateway.store.statements import Record
from gateway.store.views import FSE, fse_row

_FSE = FSE.where((fse.c.practice == sa.bindparam("b_practice")) & (fse.c.number == sa.bindparam("b_number")))
_LOT = sa.select(lot).where(
    (lot.c.practice == sa.bindparam("b_practice")) & (lot.c.id == sa.bindparam("b_id"))
)
_FSE_OF_LOT = (
    sa.select(fse.c.number)
    .join(lot, fse.c.lot_seq == lot.c.seq)
    .where((lot.c.practice == sa.bindparam("b_practice")) & (lot.c.id == sa.bindparam("b_id")))
    .order_by(fse.c.number)
)
_RECEIPTS = (
    sa.select(receipt)
    .join(lot, receipt.c.lot_seq == lot.c.seq)
    .where((lot.c.practice == sa.bindparam("b_practice")) & (lot.c.id == sa.bindparam("b_id")))
    .order_by(receipt.c.id)
)
_PAYMENTS = (
    sa.select(payment)
    .where((payment.c.practice == sa.bindparam("b_practice")) & payment.c.fse_id.is_not(None))
    .order_by(payment.c.at.desc(), payment.c.id.desc())
    .limit(sa.bindparam("b_limit"))
    .offset(sa.bindparam("b_offset"))
)
_PAYMENTS_OF = (
    sa.select(payment)
    .join(fse, payment.c.fse_id == fse.c.id)
    .where((fse.c.practice == sa.bindparam("b_practice")) & (fse.c.number == sa.bindparam("b_number")))
    .order_by(payment.c.id)
)
_LAST_CHANGE = sa.select(sa.func.max(change.c.id).label("last"))
_asked = fse.alias("asked")
_CHANGES = (
    sa.select(
        change,
        fse.c.number.label("fse_number"),
        _asked.c.number.label("dre_number"),
        lot.c.id.label("lot_id"),
    )
    .join_from(change, fse, (change.c.kind == "fse") & (fse.c.id == change.c.ref), isouter=True)
    .join(share, (change.c.kind == "dre") & (share.c.id == change.c.ref), isouter=True)
    .join(_asked, _asked.c.id == share.c.fse_id, isouter=True)
    .join(lot, (change.c.kind == "lot") & (lot.c.seq == change.c.ref), isouter=True)
    .where((change.c.practice == sa.bindparam("b_practice")) & (change.c.id > sa.bindparam("b_after")))
    .order_by(change.c.id)
    .limit(sa.bindparam("b_limit"))
)
_OWN = sa.or_(
    sa.func.substr(audit.c.ref, 1, sa.func.length(sa.bindparam("b_prefix"))) == sa.bindparam("b_prefix"),
    audit.c.ref.in_(sa.select(lot.c.id).where(lot.c.practice == sa.bindparam("b_practice"))),
)
_CHAIN = (
    sa.select(audit)
    .where((audit.c.practice == sa.bindparam("b_practice")) & (audit.c.seq > sa.bindparam("b_after")))
    .order_by(audit.c.seq)
    .limit(sa.bindparam("b_limit"))
)
_EARLIER = (
    sa.select(audit)
    .where((audit.c.practice == "") & (audit.c.seq > sa.bindparam("b_after")) & _OWN)
    .order_by(audit.c.seq)
    .limit(sa.bindparam("b_limit"))
)
_CHAIN_BEGINS = sa.select(sa.func.min(audit.c.seq).label("first")).where(
    audit.c.practice == sa.bindparam("b_practice")
)


def one_fse(tx: Transaction, practice: str, number: int) -> FseRow:
    """One FSE; StoreError (code unknown) when this practice has none of that number."""
    row = tx.first(_FSE, {"b_practice": practice, "b_number": number})
    if row is None:
        raise StoreError(f"FSE {number} is not in the store: look at the list of FSE", code="unknown")
    return fse_row(row)


def one_lot(tx: Transaction, practice: str, lot_id: str) -> LotRow:
    """One lot; StoreError (code unknown) when this practice has none of that id. The id is not repeated."""
    row = tx.first(_LOT, {"b_practice": practice, "b_id": lot_id})
    if row is None:
        raise StoreError("no lot has this id: look at the list of lots", code="unknown")
    return lot_row(row)


def fse_of_lot(tx: Transaction, practice: str, lot_id: str) -> list[int]:
    """The numbers of the FSE in one lot."""
    return [row.number for row in tx.rows(_FSE_OF_LOT, {"b_practice": practice, "b_id": lot_id})]


def receipts(tx: Transaction, practice: str, lot_id: str) -> list[ReceiptLine]:
    """The ARL of one lot, oldest first."""
    return [_receipt(row) for row in tx.rows(_RECEIPTS, {"b_practice": practice, "b_id": lot_id})]


def payments(tx: Transaction, practice: str, limit: int, offset: int) -> list[PaymentLine]:
    """What payment returns said of this practice's FSE, newest first."""
    values = {"b_practice": practice, "b_limit": limit, "b_offset": offset}
    return [payment_line(row) for row in tx.rows(_PAYMENTS, values)]


def payments_of(tx: Transaction, practice: str, number: int) -> list[PaymentLine]:
    """What payment returns said of one FSE, oldest first."""
    return [payment_line(row) for row in tx.rows(_PAYMENTS_OF, {"b_practice": practice, "b_number": number})]


def last_change(tx: Transaction) -> int:
    """The place of the newest change of state, 0 before the first."""
    row = tx.first(_LAST_CHANGE)
    return 0 if row is None or row.last is None else int(row.last)


def changes_after(tx: Transaction, practice: str, after: int, limit: int) -> list[Change]:
    """This practice's changes of state behind that place, oldest first."""
    values = {"b_practice": practice, "b_after": after, "b_limit": limit}
    return [_change(row) for row in tx.rows(_CHANGES, values)]


def audit_of(tx: Transaction, practice: str, after: int, limit: int) -> list[AuditRecord]:
    """The trail of this practice behind record `after`: its FSE, its lots, its desk; oldest first.

    What a release with one chain for all told of it stands in the gateway's own chain, under lower numbers.
    """
    values: dict[str, object] = {"b_practice": practice, "b_after": after, "b_limit": limit}
    begins = tx.first(_CHAIN_BEGINS, {"b_practice": practice})
    rows: list[Record] = []
    if begins is None or begins.first is None or after < begins.first - 1:
        rows = tx.rows(_EARLIER, {**values, "b_prefix": f"{practice}/"})
    rows += tx.rows(_CHAIN, {**values, "b_limit": limit - len(rows)})
    return [
        AuditRecord(
            row.seq,
            AuditEntry(row.at, row.who, row.what, row.ref, row.detail),
            bytes(row.digest),
            row.practice,
        )
        for row in rows
    ]


def _receipt(row: Record) -> ReceiptLine:
    return ReceiptLine(moment(row.at), bool(row.positive), row.error_class, row.code, row.outcome, row.reason)


def payment_line(row: Record) -> PaymentLine:
    """A row of a payment return as the value that leaves the store."""
    return PaymentLine(
        at=moment(row.at),
        number=row.number,
        lot_number=row.lot_number,
        lot_date=date.fromisoformat(row.lot_date) if row.lot_date else None,
        paid=bool(row.paid),
        deferred=bool(row.deferred),
        amo_cents=row.amo_cents,
        amc_cents=row.amc_cents,
        code=row.code,
        text=row.text,
        outcome=row.outcome,
    )


def _change(row: Record) -> Change:
    return Change(
        row.id,
        moment(row.at),
        row.kind,
        str(row.fse_number or row.dre_number or row.lot_id),
        row.before,
        row.after,
        row.reason,
    )
