"""Strict reading of the records of one invoice: order, common numbers, totals, seals.

The order is 2 (2S 2C 2B), then acts 4 (4M 4B 4F) or 3 (3F 3H), then 5, then 7H 7V 7P 7K as the mode asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from gateway.errors import InputError
from gateway.lots.modes import DRE, Mode, mode_of
from gateway.lots.organism import Complementary, Destination, Organism
from gateway.lots.refusal import LotRefusal
from gateway.records import b2, security
from gateway.records.fields import Record, RecordError, read_moment

SIZE = 128
STRUCTURE = re.compile(
    rb"2 (?:2S)?(?:2C)?(?:2B)?(?:4 (?:4[MBF])*|3 (?:3[FH])*)+5 (?:7H(?:7V)*(?:7P)*(?:7K)*)?", re.DOTALL
)
"""Over the kinds of records: two bytes each, positions 1 and 11."""

_CLASSES: dict[bytes, type[Record]] = {
    b"2 ": b2.InvoiceStart, b"2S": b2.InvoicePathway, b"2C": b2.InvoicePlace, b"2B": b2.InvoiceCivility,
    b"3 ": b2.HospitalLine, b"3F": b2.HospitalDevice, b"3H": b2.HospitalMedicine,
    b"4 ": b2.FeeLine, b"4M": b2.FeeCcam, b"4B": b2.FeeBiology,
    b"4F": b2.FeeProduct, b"5 ": b2.InvoiceEnd,
}  # fmt: skip
MAX_THIRD_PARTY = 2
_Amounts = tuple[int, int, int, int]
_AMOUNTS = ("base", "amo", "charged", "amc")
_FEES = tuple(b2.FeeLine.at(name) for name in _AMOUNTS)
_HOSPITAL = tuple(b2.HospitalLine.at(name) for name in _AMOUNTS)


@dataclass(frozen=True, slots=True)
class Invoice:
    """What the records of one invoice say once they are known to be consistent (not yet verified).

    Amounts in cents. `digest`: SHA-256 of records 2 to 7H, what the cards sign. `rectifies`: the number of
    the refused invoice that this one takes the place of, 0 for none.
    """

    number: int
    mode: Mode
    billing_number: str
    national_id: str = field(repr=False)
    destination: Destination
    elaborated: datetime | None
    vitale_serial: str
    cps_serial: str
    third_party: int
    rectifies: int
    lines: int
    base: int
    amo: int
    amc: int
    charged: int
    digest: bytes
    seal: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    certificate: bytes = field(repr=False)


def kinds_of(records: bytes) -> bytes:
    """Two bytes for each record: its type (position 1) and its sub-record letter (position 11)."""
    kinds = bytearray(len(records) // SIZE * 2)
    kinds[0::2], kinds[1::2] = records[0::SIZE], records[10::SIZE]
    return bytes(kinds)


def read_invoice(records: bytes, first_record: int = 1) -> Invoice:
    """Read one whole invoice. `first_record`: its first record's number in the file, for refusals."""
    kinds = _check_shape(records, first_record)
    number = _check_business(records, kinds, first_record)
    parts = _Parts(records, kinds)
    totals = _check_totals(parts, number, first_record)
    try:
        invoice = _assemble(parts, number, totals)
    except RecordError as error:
        record = first_record + len(parts.business) // SIZE
        raise LotRefusal("2005", str(error), record=record, invoice=number, position=error.position) from None
    except InputError as error:
        raise LotRefusal("2003", str(error), record=first_record, invoice=number) from None
    _check_demand(invoice, first_record + len(parts.business) // SIZE - 1)
    return invoice


def _check_demand(invoice: Invoice, record: int) -> None:
    """A DRE has the complementary amounts only (billing facts 10, item 9)."""
    if invoice.mode.family != DRE or (not invoice.amo and invoice.amc):
        return
    sentence = (
        f"invoice {invoice.number}: a demand to an insurer asks the complementary share and nothing else"
    )
    position = b2.InvoiceEnd.at("fees_amo" if invoice.amo else "fees_amc").start + 1
    raise LotRefusal("4012", sentence, record=record, invoice=invoice.number, position=position)


class _Parts:
    """The slices of one invoice: records 2 to 5, 7H, and the pieces of each kind."""

    def __init__(self, records: bytes, kinds: bytes) -> None:
        end = (kinds.index(b"5 ") // 2 + 1) * SIZE
        self.business = records[:end]
        self.header = records[end : end + SIZE]
        self.kinds = kinds
        seal = end + len(self.header)
        signature = seal + kinds.count(b"7V") * SIZE
        certificate = signature + kinds.count(b"7P") * SIZE
        self.canonical = records[:seal]
        self.seal = records[seal:signature]
        self.signature = records[signature:certificate]
        self.certificate = records[certificate:]


def _check_shape(records: bytes, first: int) -> bytes:
    if not records or len(records) % SIZE:
        raise LotRefusal("2001", "an invoice is not made of whole 128-byte records", record=first)
    kinds = kinds_of(records)
    match = STRUCTURE.match(kinds)
    if match is None or match.end() != len(kinds):
        at = match.end() // 2 if match else 0
        raise LotRefusal(
            "2002", f"record {first + at} is unknown or out of its place in an invoice", record=first + at
        )
    return kinds


def _check_business(records: bytes, kinds: bytes, first: int) -> int:
    """Each record 2 to 5 is readable, and all carry the numbers of the first one; the invoice number."""
    start, invoice = records[1:10], 0
    person = records[11:38]
    for i in range(kinds.index(b"5 ") // 2 + 1):
        record = records[i * SIZE : (i + 1) * SIZE]
        try:
            _CLASSES[kinds[2 * i : 2 * i + 2]].check(record)
        except RecordError as error:
            raise LotRefusal(
                "2003", str(error), record=first + i, invoice=invoice, position=error.position
            ) from None
        invoice = invoice or int(record[29:38])
        if record[1:10] != start or record[11:38] != person:
            raise LotRefusal(
                "2004", "records of one invoice carry different numbers", record=first + i, invoice=invoice
            )
    if not invoice:
        raise LotRefusal("2003", "an invoice number is never 0", record=first, position=30)
    return invoice


def _check_totals(parts: _Parts, number: int, first: int) -> _Amounts:
    """Record 5 against the act lines; the totals (base, AMO, charged, AMC) of the invoice."""
    fees = _sums(parts, b"4 ", _FEES)
    hospital = _sums(parts, b"3 ", _HOSPITAL) if b"3 " in parts.kinds else (0, 0, 0, 0)
    end = b2.InvoiceEnd.decode(parts.business[-SIZE:])
    both: _Amounts = (
        fees[0] + hospital[0],
        fees[1] + hospital[1],
        fees[2] + hospital[2],
        fees[3] + hospital[3],
    )
    expected = {
        "lines": parts.kinds.count(b"4 ") + parts.kinds.count(b"3 "),
        "fees": fees[0],
        "fees_amo": fees[1],
        "fees_amc": fees[3],
        "hospital": hospital[0],
        "hospital_amo": hospital[1],
        "hospital_amc": hospital[3],
        "insured_share": both[0] - both[1],
        "charged": both[2],
    }
    for name, value in expected.items():
        if end[name] != value:
            _refuse_total(name, number, first + len(parts.business) // SIZE - 1)
    return both


def _refuse_total(name: str, number: int, record: int) -> None:
    field_name = name.replace("_", " ")
    raise LotRefusal(
        "4004" if name == "lines" else "4005",
        f"invoice {number}: {field_name} of record 5 is not what the act lines add up to",
        record=record,
        invoice=number,
        position=b2.InvoiceEnd.at(name).start + 1,
    )


def _sums(parts: _Parts, kind: bytes, slices: tuple[slice, ...]) -> _Amounts:
    base = amo = charged = amc = 0
    records, kinds = parts.business, parts.kinds
    for i in range(len(records) // SIZE):
        if kinds[2 * i : 2 * i + 2] == kind:
            record = records[i * SIZE : (i + 1) * SIZE]
            base += int(record[slices[0]])
            amo += int(record[slices[1]])
            charged += int(record[slices[2]])
            amc += int(record[slices[3]])
    return base, amo, charged, amc


def _assemble(parts: _Parts, number: int, totals: _Amounts) -> Invoice:
    start = parts.business[:SIZE]
    head = _header(parts, number)
    mode = mode_of(head["mode"])
    seal, certificate = security.join(parts.seal, "V"), security.join(parts.certificate, "K")
    signature = security.join(parts.signature, "P")
    check_signatures(mode, number, seal, certificate, signature)
    return Invoice(
        number=number,
        mode=mode,
        billing_number=start[1:10].decode("ascii"),
        national_id=head["national_id"],
        destination=_insurer(start, head) if mode.family == DRE else _destination(start, head),
        elaborated=read_moment(head["elaborated"]) if mode.header else None,
        vitale_serial=head["vitale_serial"],
        cps_serial=head["cps_serial"],
        third_party=head["third_party"],
        rectifies=int(head["rectifies"] or 0),
        lines=parts.kinds.count(b"4 ") + parts.kinds.count(b"3 "),
        base=totals[0],
        amo=totals[1],
        charged=totals[2],
        amc=totals[3],
        digest=sha256(parts.canonical).digest(),
        seal=seal,
        signature=signature,
        certificate=certificate,
    )


_NO_HEADER = {
    "mode": 5, "national_id": "", "elaborated": "", "vitale_serial": "", "cps_serial": "", "rectifies": "",
}  # fmt: skip
THIRD_PARTY_DIGITS = {"none": "0", "amo": "", "full": "2"}
"""Record 5, position 128, of an invoice without 7H."""
_READ_DIGIT = {digit: place for place, digit in enumerate(THIRD_PARTY_DIGITS.values())}


def _header(parts: _Parts, number: int) -> dict[str, Any]:
    if not parts.header:
        digit = b2.InvoiceEnd.decode(parts.business[-SIZE:])["third_party"]
        if digit not in _READ_DIGIT:
            raise RecordError("record 5, field third_party (position 128): expected blank, 0 or 2", 128)
        return {**_NO_HEADER, "third_party": _READ_DIGIT[digit]}
    head = security.SecurityStart.decode(parts.header)
    if head["invoice"] != number or head["ps"].encode() != parts.business[1:10]:
        raise RecordError("record 7H carries other numbers than its invoice", 30)
    if not mode_of(head["mode"]).header:
        raise RecordError("record 7H names a mode that has no security records", 39)
    if head["rectifies"] and not head["rectifies"].isdigit():
        raise RecordError("record 7H, field rectifies (position 107): expected nine digits or blanks", 107)
    if head["third_party"] > MAX_THIRD_PARTY:
        raise RecordError("record 7H, field third_party (position 98): expected 0, 1 or 2", 98)
    return head


def check_signatures(mode: Mode, number: int, seal: bytes, certificate: bytes, signature: bytes) -> None:
    """Exactly the signatures of the mode are there; RecordError names what is missing or in excess."""
    present = {
        "Vitale seal": seal,
        "Vitale certificate": certificate,
        "signature of the professional": signature,
    }
    wanted = {
        "Vitale seal": mode.vitale,
        "Vitale certificate": mode.vitale,
        "signature of the professional": mode.cps,
    }
    for what, value in present.items():
        if bool(value) != wanted[what]:
            need = "needs" if wanted[what] else "takes no"
            raise RecordError(f"invoice {number}: mode {mode.code} ({mode.name}) {need} {what}", 1)


_REGIME, _CAISSE = b2.InvoiceStart.at("regime"), b2.InvoiceStart.at("caisse")
_CENTRE, _ORGANISM = b2.InvoiceStart.at("centre"), b2.InvoiceStart.at("organism")


_COMPLEMENTARY = b2.InvoiceStart.at("complementary")


def _insurer(start: bytes, head: dict[str, Any]) -> Complementary:
    """The insurer of record 2, the same as in 7H."""
    try:
        insurer = Complementary(start.decode("ascii")[_COMPLEMENTARY])
    except InputError:
        raise RecordError("record 2 of a demand names no complementary insurer", 119) from None
    if head["organism"] != insurer.organism:
        raise RecordError("record 7H names another insurer than record 2", 104)
    return insurer


def _destination(start: bytes, head: dict[str, Any]) -> Organism:
    """The destination signed in 7H, the same as in record 2; worked out from record 2 when there is no 7H."""
    text = start.decode("ascii")
    if "organism" not in head:
        return Organism.of_insured(text[_REGIME], text[_CAISSE], text[_CENTRE])
    if head["organism"] != text[_ORGANISM]:
        raise RecordError("record 7H names another organism than record 2", 104)
    return Organism(text[_REGIME], str(head["centre"]), text[_ORGANISM])
