"""Strict reading of a billing file: every counter and total is worked out again and compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any

from gateway.lots.fse import Fse
from gateway.lots.invoice import SIZE, STRUCTURE, kinds_of
from gateway.lots.lot import MAX_FILE_RECORDS, MAX_LOT_RECORDS, invoices_digest, lot_totals
from gateway.lots.refusal import LotRefusal
from gateway.records import b2, security
from gateway.records.fields import Record, RecordError, read_date

_SIGNED_TAIL = re.compile(rb"7L((?:7S)+)((?:7C)+)")
_OWN_COUNTERS = ("records", "third_party")
"""Of record 6 two counters are public and what they count is not: other software counts other things."""
_CODES = {"invoices": "4003", "third_party": "4003", "lines": "4004", "records": "4004"}


@dataclass(frozen=True, slots=True)
class ReadLot:
    """One lot as read. Nothing in it is trusted before `verify_lot`.

    `first_records`: for each invoice, the number in the file of its first record. `signature`,
    `certificate`, `national_id`, `compostage` are empty in a lot of the degraded family. `digest`: what
    the signature of the lot is over.
    """

    billing_number: str
    national_id: str = field(repr=False)
    name: str = field(repr=False)
    organism: str
    lot_number: int
    lot_date: date
    family: str
    compostage: str
    fses: tuple[Fse, ...]
    first_records: tuple[int, ...]
    signature: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    digest: bytes


@dataclass(frozen=True, slots=True)
class BillingFile:
    """A file as read. `sender`, `destination`: 14 digits. `digest`: SHA-256 of its bytes, for the ARL."""

    sender: str
    destination: str
    file_id: str
    created: date
    lots: tuple[ReadLot, ...]
    digest: bytes


def parse_file(data: bytes) -> BillingFile:
    """Read 000 … 999; LotRefusal says which record, invoice and position is wrong."""
    count = _check_frame(data)
    start = _decode(b2.FileStart, data, 0)
    cursor = _Cursor(data, start)
    lots = []
    while not cursor.at_end:
        lots.append(_read_lot(cursor))
    _check_file_end(data, count, len(lots))
    return BillingFile(
        sender=start["sender"],
        destination=start["destination"],
        file_id=start["file_id"],
        created=_date(start["created"], 0, 56),
        lots=tuple(lots),
        digest=sha256(data).digest(),
    )


class _Cursor:
    """Walks over the records between 000 and 999. `at` counts records from 0; record numbers are at + 1."""

    def __init__(self, data: bytes, start: dict[str, Any]) -> None:
        self.data, self.start = data, start
        self.kinds = kinds_of(data)
        self.at, self.end = 1, len(data) // SIZE - 1

    @property
    def at_end(self) -> bool:
        return self.at == self.end

    def take(self, count: int) -> bytes:
        """The next records."""
        taken = self.data[self.at * SIZE : (self.at + count) * SIZE]
        self.at += count
        return taken

    def take_first_byte(self, kind: bytes) -> bytes:
        """One record by its type, whatever its position 11."""
        if self.at >= self.end or self.kinds[2 * self.at : 2 * self.at + 1] != kind:
            raise self.out_of_place()
        return self.take(1)

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """What the kinds of the next records look like."""
        return pattern.match(self.kinds, 2 * self.at, 2 * self.end)

    def out_of_place(self) -> LotRefusal:
        """The refusal of the record at the cursor."""
        return LotRefusal("2002", f"record {self.at + 1} is unknown or out of its place", record=self.at + 1)


def _check_frame(data: bytes) -> int:
    """Whole records, from 000 to 999, within the limit; their number."""
    count = len(data) // SIZE
    if len(data) % SIZE or not count:
        raise LotRefusal("2001", "a file is not made of whole 128-byte records", record=count + 1)
    if count > MAX_FILE_RECORDS:
        limit = MAX_FILE_RECORDS
        raise LotRefusal("4007", f"a file has {count} records, {limit} are allowed", record=limit + 1)
    if count < 2 or not data.startswith(b"000") or data[-SIZE : -SIZE + 3] != b"999":
        raise LotRefusal("2002", "a file begins with record 000 and ends with record 999", record=count)
    return count


def _check_file_end(data: bytes, count: int, lots: int) -> None:
    end = _decode(b2.FileEnd, data, count - 1)
    if data[3:55] != data[-SIZE + 3 : -SIZE + 55]:
        raise LotRefusal("4009", "record 999 does not repeat positions 4 to 55 of record 000", record=count)
    if end["records"] != count:
        raise LotRefusal(
            "4001", f"record 999 counts {end['records']} records, there are {count}", record=count
        )
    if end["lots"] != lots or not lots:
        raise LotRefusal("4002", f"record 999 counts {end['lots']} lots, there are {lots}", record=count)


def _decode(kind: type[Record], data: bytes, index: int) -> dict[str, Any]:
    """One record of the file, decoded; LotRefusal with its number."""
    try:
        return kind.decode(data[index * SIZE : (index + 1) * SIZE])
    except RecordError as error:
        raise LotRefusal("2003", str(error), record=index + 1, position=error.position) from None


def _date(value: str, index: int, position: int) -> date:
    try:
        return read_date(value)
    except RecordError as error:
        raise LotRefusal("2003", str(error), record=index + 1, position=position) from None


def _read_lot(cursor: _Cursor) -> ReadLot:
    first = cursor.at
    start_record = cursor.take_first_byte(b"1")
    start = _decode(b2.LotStart, cursor.data, first)
    fses, first_records = _read_invoices(cursor)
    seals = _read_seals(cursor)
    end_record = cursor.take_first_byte(b"6")
    end = _decode(b2.LotEnd, cursor.data, cursor.at - 1)
    if cursor.at - first > MAX_LOT_RECORDS:
        raise LotRefusal("4010", f"a lot has more than {MAX_LOT_RECORDS} records", record=first + 1)
    _check_members(cursor, start, fses, first_records)
    _check_lot_end(start, end, fses, cursor.at)
    _check_seals(seals, start, fses, cursor.at)
    signed = b"".join((cursor.data[:SIZE], start_record, seals.header, end_record))
    return ReadLot(
        billing_number=start["ps"],
        national_id=seals.national_id,
        name=start["name"],
        organism=start["organism"],
        lot_number=start["lot"],
        lot_date=_date(start["created"], first, 72),
        family=fses[0].invoice.mode.family,
        compostage=seals.compostage,
        fses=tuple(fses),
        first_records=tuple(first_records),
        signature=seals.signature,
        certificate=seals.certificate,
        digest=sha256(signed).digest(),
    )


def _read_invoices(cursor: _Cursor) -> tuple[list[Fse], list[int]]:
    fses: list[Fse] = []
    firsts: list[int] = []
    while (match := cursor.match(STRUCTURE)) is not None:
        firsts.append(cursor.at + 1)
        fses.append(Fse.parse(cursor.take(len(match.group()) // 2), firsts[-1]))
    if not fses:
        raise cursor.out_of_place()
    return fses, firsts


@dataclass(frozen=True, slots=True)
class _Seals:
    """7L and what its pieces hold; all empty in a degraded lot."""

    header: bytes = b""
    ps: str = ""
    national_id: str = ""
    compostage: str = ""
    invoices: str = ""
    signature: bytes = b""
    certificate: bytes = b""


def _read_seals(cursor: _Cursor) -> _Seals:
    match = cursor.match(_SIGNED_TAIL)
    if match is None:
        return _Seals()
    values = _decode(security.LotSecurity, cursor.data, cursor.at)
    header, first = cursor.take(1), cursor.at
    try:
        signature = security.join(cursor.take(len(match[1]) // 2), "S")
        certificate = security.join(cursor.take(len(match[2]) // 2), "C")
    except RecordError as error:
        raise LotRefusal("2005", str(error), record=first + 1, position=error.position) from None
    return _Seals(header, **values, signature=signature, certificate=certificate)


def _check_members(cursor: _Cursor, start: dict[str, Any], fses: list[Fse], firsts: list[int]) -> None:
    """One professional, one destination, one family, each number once."""
    seen: set[int] = set()
    sender, family = cursor.start["sender"], fses[0].invoice.mode.family
    if start["ps"].rjust(14, "0") != sender:
        raise LotRefusal(
            "4008", "the professional of the lot is not the sender of the file", record=2, position=2
        )
    for fse, first in zip(fses, firsts, strict=True):
        invoice = fse.invoice
        if fse.number in seen:
            raise LotRefusal(
                "3001", f"invoice {fse.number} stands twice in the lot", record=first, invoice=fse.number
            )
        seen.add(fse.number)
        if (invoice.billing_number, invoice.mode.family) != (start["ps"], family) or (
            invoice.destination.number,
            invoice.destination.organism,
        ) != (cursor.start["destination"], start["organism"]):
            raise LotRefusal(
                "4008", f"invoice {fse.number} does not belong to this lot", record=first, invoice=fse.number
            )


def _check_lot_end(start: dict[str, Any], end: dict[str, Any], fses: list[Fse], record: int) -> None:
    if (start["ps"], start["lot"]) != (end["ps"], end["lot"]):
        raise LotRefusal("4008", "record 6 ends another lot than record 1 begins", record=record)
    is_ours = fses[0].invoice.mode.header
    for name, value in lot_totals(fses).items():
        if end[name] != value and (is_ours or name not in _OWN_COUNTERS):
            raise LotRefusal(
                _CODES.get(name, "4006"),
                f"record 6 says {end[name]} for {name}, the invoices make {value}",
                record=record,
                position=b2.LotEnd.at(name).start + 1,
            )


def _check_seals(seals: _Seals, start: dict[str, Any], fses: list[Fse], record: int) -> None:
    """7L is there where the professional signs, and names the signer of every invoice and all of them."""
    if bool(seals.header) != fses[0].invoice.mode.cps:
        raise LotRefusal("2002", "the security records of the lot are not those of its mode", record=record)
    if not seals.header:
        return
    if seals.ps != start["ps"]:
        raise LotRefusal("4008", "record 7L belongs to another lot", record=record, position=2)
    if any(fse.invoice.national_id != seals.national_id for fse in fses):
        raise LotRefusal("4008", "an invoice has another signer than its lot", record=record, position=12)
    if invoices_digest(fse.records for fse in fses) != seals.invoices:
        raise LotRefusal("5001", "the lot was signed over other invoices", record=record, position=43)
