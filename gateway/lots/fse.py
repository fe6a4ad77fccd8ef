"""A FSE as bytes: the draft that cards sign, and the invoice with its seals."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING

from gateway.errors import InputError
from gateway.lots.invoice import THIRD_PARTY_DIGITS, Invoice, check_signatures, read_invoice
from gateway.lots.modes import mode_of
from gateway.lots.numbering import check_invoice_number
from gateway.lots.organism import Destination, Organism
from gateway.lots.parties import InsuredIds, PractitionerIds
from gateway.lots.view import THIRD_PARTIES, ActLine, FseView, view_of
from gateway.records import b2, security
from gateway.records.fields import write_date, write_moment

if TYPE_CHECKING:
    from gateway.billing.engine import Price, PricedLine
    from gateway.billing.request import CareRequest

__all__ = ["ActLine", "Fse", "FseDraft", "FseView", "encode_fse"]


@dataclass(frozen=True, slots=True)
class Fse:
    """A sealed invoice. `records`: all of it, security records included, 128 bytes each.

    `invoice` holds what the records say (numbers, amounts, seals), read and checked when the FSE was made.
    """

    records: bytes = field(repr=False)
    invoice: Invoice = field(compare=False)

    @classmethod
    def parse(cls, data: bytes, first_record: int = 1) -> Fse:
        """Strict reading of one invoice; LotRefusal says what is wrong and where."""
        return cls(data, read_invoice(data, first_record))

    def to_bytes(self) -> bytes:
        """The records one after the other."""
        return self.records

    @property
    def number(self) -> int:
        """The invoice number."""
        return self.invoice.number

    @property
    def mode(self) -> int:
        """The code of the securing mode."""
        return self.invoice.mode.code

    @property
    def destination(self) -> Destination:
        """Who this invoice goes to."""
        return self.invoice.destination

    @property
    def digest(self) -> bytes:
        """SHA-256 of records 2 to 7H: what both cards signed."""
        return self.invoice.digest

    @property
    def count(self) -> int:
        """The number of records."""
        return len(self.records) // 128

    def view(self) -> FseView:
        """Everything decoded."""
        return view_of(self.records, self.invoice)


@dataclass(frozen=True, slots=True)
class FseDraft:
    """An invoice ready to be signed: records 2 to 5 and 7H, and the SHA-256 digest of them (32 bytes)."""

    number: int
    mode: int
    records: bytes = field(repr=False)
    digest: bytes

    def sealed(
        self, vitale_seal: bytes = b"", vitale_certificate: bytes = b"", cps_signature: bytes = b""
    ) -> Fse:
        """The invoice with the signatures its mode asks for; InputError when one is missing or in excess."""
        check_signatures(mode_of(self.mode), self.number, vitale_seal, vitale_certificate, cps_signature)
        pieces = (
            security.split(vitale_seal, "V"),
            security.split(cps_signature, "P"),
            security.split(vitale_certificate, "K"),
        )
        return Fse.parse(self.records + b"".join(pieces))


@dataclass(frozen=True, slots=True)
class Rectified:
    """The refused invoice that a new one takes the place of (SSV 1110, fields 5 and 6).

    `may_ask_share`: False when its complementary share is paid already.
    """

    number: int
    elaborated: datetime
    may_ask_share: bool = True


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Everything that `encode_fse` was given, handed from record to record."""

    number: int
    elaborated: datetime
    practitioner: PractitionerIds
    insured: InsuredIds
    request: CareRequest
    price: Price
    mode: int
    vitale_serial: str
    cps_serial: str
    accident: date | None
    rectified: Rectified | None

    @property
    def base(self) -> dict[str, str | int]:
        """Positions 2 to 38, the same in every record of the invoice."""
        return {
            "ps": self.practitioner.billing_number,
            "nir": self.insured.nir,
            "nir_key": self.insured.nir_key,
            "rank": self.insured.rank,
            "invoice": self.number,
        }

    @property
    def destination(self) -> Organism:
        """The organism for the insured person."""
        insured = self.insured
        return Organism.of_insured(insured.regime, insured.caisse, insured.centre, self.request.date)


def encode_fse(
    number: int,
    elaborated: datetime,
    practitioner: PractitionerIds,
    insured: InsuredIds,
    request: CareRequest,
    price: Price,
    *,
    mode: int = 3,
    vitale_serial: str = "",
    cps_serial: str = "",
    accident: date | None = None,
    rectified: Rectified | None = None,
) -> FseDraft:
    """Write one invoice; InputError names the record, field and position of a value that does not fit.

    `elaborated`: aware, UTC. `vitale_serial`: 20 hex digits, "" without Vitale. `accident`: date of a work
    accident, only with nature "at".
    """
    check_invoice_number(number)
    sheet = _Sheet(
        number, elaborated, practitioner, insured, request, price, mode, vitale_serial, cps_serial, accident,
        rectified,
    )  # fmt: skip
    _check_sheet(sheet)
    base = sheet.base
    acts = [_act(base, sheet, line) for line in price.lines]
    header = mode_of(mode).header
    tail = _security_start(sheet) if header else b""
    end = _end(base, price, "" if header else price.third_party)
    records = b"".join((_start(base, sheet), _pathway(base, sheet), *acts, end, tail))
    return FseDraft(number, mode, records, sha256(records).digest())


def _check_sheet(sheet: _Sheet) -> None:
    mode = mode_of(sheet.mode)
    if not sheet.price.lines:
        raise InputError(f"invoice {sheet.number} has no act: give at least one")
    if bool(sheet.vitale_serial) != mode.vitale:
        need = "needs" if mode.vitale else "takes no"
        raise InputError(f"invoice {sheet.number}: mode {mode.code} ({mode.name}) {need} Vitale serial")


def _start(base: dict[str, str | int], sheet: _Sheet) -> bytes:
    insured, care_date = sheet.insured, write_date(sheet.request.date)
    return b2.InvoiceStart.encode(
        **base,
        regime=insured.regime,
        caisse=insured.caisse,
        centre=insured.centre,
        proof_nature=insured.proof_nature,
        proof_date=write_date(insured.proof_date),
        organism=sheet.destination.organism,
        nature=sheet.price.nature_code,
        exemption=sheet.price.exemption_code,
        date=care_date,
        accident=_accident(sheet.accident),
        birth_date=write_date(insured.birth_date),
        birth_rank=insured.birth_rank,
        start=care_date,
        end=care_date,
        contract_type=insured.contract_type,
        complementary=insured.complementary_number,
    )


def _accident(day: date | None) -> str:
    """B2 86-94: the date of the accident and three zeros."""
    return "" if day is None else write_date(day) + "000"


def _pathway(base: dict[str, str | int], sheet: _Sheet) -> bytes:
    """2S has one letter: S1 and S2 are both written S there, and in full in 7H."""
    return b2.InvoicePathway.encode(
        **base,
        own_nir=sheet.insured.own_nir,
        own_key=sheet.insured.own_key,
        pathway=sheet.request.pathway[:1],
    )


def _act(base: dict[str, str | int], sheet: _Sheet, line: PricedLine) -> bytes:
    """Record 4, and after it the code that its letters stand for: 4M (CCAM), 4B (NABM) or 4F (LPP, CIP).

    A day in an establishment is a record 3.
    """
    if line.stay:
        return _stay(base, sheet, line)
    return _fee(base, sheet, line) + (_detail(base, sheet, line) if line.letters else b"")


def _detail(base: dict[str, str | int], sheet: _Sheet, line: PricedLine) -> bytes:
    if line.code[0].isalpha():
        association = "" if line.association is None else str(line.association)
        return b2.FeeCcam.encode(
            **base, code=line.code, activity=line.activity, phase="0", modifiers=line.modifiers,
            association=association,
        )  # fmt: skip
    if len(line.code) == _NABM:
        day = write_date(sheet.request.date)
        return b2.FeeBiology.encode(**base, date_1=day, quantity_1=line.quantity, code_1=line.code)
    return b2.FeeProduct.encode(
        **base, code=line.code, quantity=line.quantity, tariff=line.unit_cents, tariff_total=line.base_cents,
        charged=line.charged_cents,
    )  # fmt: skip


_NABM = 4
"""A biology code has four digits, a device seven, a medicine thirteen."""


def _stay(base: dict[str, str | int], sheet: _Sheet, line: PricedLine) -> bytes:
    """The days of a stay; `date` is that of the sheet, the stay itself is not dated apart."""
    day = write_date(sheet.request.date)
    return b2.HospitalLine.encode(
        **base, start=day, end=day, act=line.b2_act, quantity=line.quantity, exemption=line.exemption_code,
        coefficient=_hundredths(line.coefficient), unit=line.unit_cents, base=line.base_cents,
        rate=line.rate, amo=line.amo_cents, charged=line.charged_cents, amc=line.amc_cents,
    )  # fmt: skip


def _fee(base: dict[str, str | int], sheet: _Sheet, line: PricedLine) -> bytes:
    return b2.FeeLine.encode(
        **base,
        exemption=line.exemption_code,
        specialty=sheet.practitioner.specialty,
        date=write_date(sheet.request.date),
        act=line.b2_act,
        quantity=line.quantity,
        coefficient=_hundredths(line.coefficient),
        count=line.quantity,
        unit=line.unit_cents,
        base=line.base_cents,
        rate=line.rate,
        amo=line.amo_cents,
        charged=line.charged_cents,
        amc=line.amc_cents,
    )


def _hundredths(coefficient: Decimal) -> int:
    scaled = coefficient * 100
    whole = int(scaled)
    if scaled != whole:
        raise InputError("record 4, field coefficient (position 83): at most two decimals")
    return whole


def _end(base: dict[str, str | int], price: Price, third_party: str) -> bytes:
    """Record 5 from the lines themselves, so that it can only say what they add up to.

    `third_party` is written where no 7H record says it.
    """
    fees = [line for line in price.lines if not line.stay]
    stays = [line for line in price.lines if line.stay]
    return b2.InvoiceEnd.encode(
        **base,
        lines=len(price.lines),
        hospital=sum(line.base_cents for line in stays),
        hospital_amo=sum(line.amo_cents for line in stays),
        fees=sum(line.base_cents for line in fees),
        fees_amo=sum(line.amo_cents for line in fees),
        insured_share=price.base_cents - price.amo_cents,
        hospital_amc=sum(line.amc_cents for line in stays),
        fees_amc=sum(line.amc_cents for line in fees),
        charged=sum(line.charged_cents for line in price.lines),
        third_party=THIRD_PARTY_DIGITS.get(third_party, ""),
    )


def _security_start(sheet: _Sheet) -> bytes:
    return security.SecurityStart.encode(
        ps=sheet.practitioner.billing_number,
        national_id=sheet.practitioner.national_id,
        invoice=sheet.number,
        mode=sheet.mode,
        elaborated=write_moment(sheet.elaborated),
        vitale_serial=sheet.vitale_serial,
        cps_serial=sheet.cps_serial,
        third_party=THIRD_PARTIES.index(sheet.price.third_party),
        pathway=sheet.request.pathway,
        centre=sheet.destination.centre,
        organism=sheet.destination.organism,
        **_rectified(sheet.rectified),
    )


def _rectified(rectified: Rectified | None) -> dict[str, str]:
    if rectified is None:
        return {}
    day = write_date(rectified.elaborated)
    return {"rectifies": f"{check_invoice_number(rectified.number):09d}", "rectified_date": day}
