"""Building lots and files: 000, then 1 … 6, then 999, with counters and totals that are true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from gateway.errors import InputError
from gateway.lots.fse import Fse
from gateway.lots.modes import MODES
from gateway.lots.numbering import LotNumbers, check_numbers
from gateway.lots.organism import Destination
from gateway.records import b2, security
from gateway.records.fields import plain, write_date

MAX_LOT_RECORDS = 950
MAX_FILE_RECORDS = 999
MAX_LOT_CENTS = 999_999_999
"""What a total of record 6 can say: nine digits."""
LOT_RECORDS = 23
"""Records of a lot beside its invoices: 1, 7L, three 7S, up to seventeen 7C (a 1.4 KB certificate), 6."""

FAMILIES = frozenset(mode.family for mode in MODES.values())
_SIGNED_FAMILIES = frozenset(mode.family for mode in MODES.values() if mode.cps)


@dataclass(frozen=True, slots=True)
class LotHeader:
    """One practitioner, one destination, one family of modes, and the numbers reserved for the lot.

    `billing_number` 9 digits, `national_id` as in the CPS certificate, `created` the moment of building
    (UTC). `family`: see `modes`. `test` marks the flow type T in 000.
    """

    billing_number: str
    national_id: str = field(repr=False)
    name: str = field(repr=False)
    destination: Destination
    numbers: LotNumbers
    created: datetime
    family: str = "signed"
    test: bool = True

    # INVENTED(sender-number): the norm says fourteen digits, here zeros and the billing number.
    @property
    def sender(self) -> str:
        """B2 000, 6-19."""
        return self.billing_number.rjust(14, "0")


@dataclass(frozen=True, slots=True)
class LotDraft:
    """A lot ready to be signed. `digest`: SHA-256 (32 bytes) over 000, 1, 7L and 6.

    7L holds the digest of the digests of all invoices in order, so that the signature covers every byte
    of the file but the ones a reader works out again (999, and the signature itself).
    """

    header: LotHeader
    fses: tuple[Fse, ...]
    digest: bytes
    start: bytes = field(repr=False)
    tail: bytes = field(repr=False)

    def signed(self, signature: bytes = b"", certificate: bytes = b"") -> Lot:
        """The lot with the CPS signature (256 bytes) and the signature certificate (DER)."""
        needed = self.header.family in _SIGNED_FAMILIES
        if bool(signature) != needed or bool(certificate) != needed:
            need = "needs" if needed else "takes no"
            raise InputError(f"a lot of family {self.header.family} {need} signature and certificate")
        seals = security.split(signature, "S") + security.split(certificate, "C")
        invoices = b"".join(fse.records for fse in self.fses)
        body = b"".join((self.start, invoices, self.tail[:-128], seals, self.tail[-128:]))
        _check_size(len(body) // 128 - 1)
        file = body + _file_end(self.header, len(body) // 128 + 1)
        return Lot(self.header, self.fses, self.digest, file)


@dataclass(frozen=True, slots=True)
class Lot:
    """A signed lot, alone in its file: `file` is 000 … 999, exactly as it will be sent."""

    header: LotHeader
    fses: tuple[Fse, ...]
    digest: bytes
    file: bytes = field(repr=False)

    @property
    def count(self) -> int:
        """Number of invoices."""
        return len(self.fses)


def cut(fses: Iterable[Fse], most: int = MAX_LOT_RECORDS) -> tuple[tuple[Fse, ...], ...]:
    """Share out invoices of one destination and family, in order, over lots within the limits.

    The limits: 950 records, and totals that record 6 can hold (nine digits of cents; the charge is the
    greatest of them). `most`: how many invoices a lot may hold, when the practice wants smaller lots.
    """
    lots: list[list[Fse]] = []
    room = money = 0
    for fse in fses:
        if fse.count > room or fse.invoice.charged > money or len(lots[-1]) >= most:
            lots.append([])
            room, money = MAX_LOT_RECORDS - LOT_RECORDS, MAX_LOT_CENTS
        lots[-1].append(fse)
        room -= fse.count
        money -= fse.invoice.charged
    return tuple(tuple(lot) for lot in lots)


def build_lot(header: LotHeader, fses: Sequence[Fse]) -> LotDraft:
    """Check that the invoices belong together, count them and add them up; InputError names the odd one."""
    check_numbers(header.numbers)
    _check_together(header, fses)
    start = _file_start(header) + _lot_start(header)
    tail = _lot_security(header, fses) + _lot_end(header, fses)
    _check_size(1 + len(tail) // 128 + sum(fse.count for fse in fses))
    return LotDraft(header, tuple(fses), sha256(start + tail).digest(), start, tail)


def invoices_digest(invoices: Iterable[bytes]) -> str:
    """7L 43-106: SHA-256 of the SHA-256 of each invoice's records (seals included), in order; capital hex."""
    whole = sha256(b"".join(sha256(records).digest() for records in invoices))
    return whole.hexdigest().upper()


def _check_together(header: LotHeader, fses: Sequence[Fse]) -> None:
    if not fses:
        raise InputError("a lot has at least one invoice")
    if header.family not in FAMILIES:
        raise InputError(
            f"family of modes {header.family!r} does not exist; choose one of {sorted(FAMILIES)}"
        )
    seen: set[int] = set()
    for fse in fses:
        _check_member(header, fse)
        if fse.number in seen:
            raise InputError(f"invoice {fse.number} stands twice in the lot")
        seen.add(fse.number)


def _check_member(header: LotHeader, fse: Fse) -> None:
    invoice = fse.invoice
    pairs = {
        "professional": (invoice.billing_number, header.billing_number),
        "destination": (invoice.destination, header.destination),
        "family of modes": (invoice.mode.family, header.family),
    }
    if invoice.mode.cps:
        pairs["signer"] = (invoice.national_id, header.national_id)
    for what, (own, common) in pairs.items():
        if own != common:
            raise InputError(f"invoice {fse.number} has another {what} than its lot: put it into another lot")


def _check_size(lot_records: int) -> None:
    if lot_records > MAX_LOT_RECORDS:
        raise InputError(
            f"a lot of {lot_records} records passes the limit of {MAX_LOT_RECORDS}: cut it in two"
        )


def _file_start(header: LotHeader) -> bytes:
    return b2.FileStart.encode(
        **_ends(header),
        created=write_date(header.created),
        flow_type="T" if header.test else "R",
        message="VITALE GATEWAY",
    )


def _file_end(header: LotHeader, records: int) -> bytes:
    return b2.FileEnd.encode(**_ends(header), records=records, lots=1)


def _ends(header: LotHeader) -> dict[str, str]:
    """What 000 and 999 have in common."""
    return {
        "sender": header.sender,
        "sender_program": "VITGTW",
        "destination_type": header.destination.destination_type,
        "destination": header.destination.number,
        "file_id": header.numbers.file_id,
    }


def _lot_start(header: LotHeader) -> bytes:
    return b2.LotStart.encode(
        ps=header.billing_number,
        organism=header.destination.organism,
        lot=header.numbers.lot_number,
        name=plain(header.name, 40),
        created=write_date(header.numbers.lot_date),
    )


def _lot_security(header: LotHeader, fses: Sequence[Fse]) -> bytes:
    """7L, only where the professional signs."""
    if header.family not in _SIGNED_FAMILIES:
        return b""
    return security.LotSecurity.encode(
        ps=header.billing_number,
        national_id=header.national_id,
        compostage=header.numbers.compostage,
        invoices=invoices_digest(fse.records for fse in fses),
    )


def _lot_end(header: LotHeader, fses: Sequence[Fse]) -> bytes:
    return b2.LotEnd.encode(ps=header.billing_number, lot=header.numbers.lot_number, **lot_totals(fses))


def lot_totals(fses: Sequence[Fse]) -> dict[str, int]:
    """The counters and totals of record 6, by field name."""
    invoices = [fse.invoice for fse in fses]
    return {
        "invoices": len(fses),
        "lines": sum(invoice.lines for invoice in invoices),
        "records": sum(fse.count for fse in fses),
        "third_party": sum(invoice.mode.header and invoice.third_party > 0 for invoice in invoices),
        "charged": sum(invoice.charged for invoice in invoices),
        "amo": sum(invoice.amo for invoice in invoices),
        "amc": sum(invoice.amc for invoice in invoices),
    }
