"""An invoice decoded: what a receiver needs to judge and price it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from gateway.lots.invoice import SIZE, Invoice, kinds_of
from gateway.lots.organism import Destination
from gateway.records import b2, security

THIRD_PARTIES = ("none", "amo", "full")
"""7H position 98: 0, 1, 2."""


@dataclass(frozen=True, slots=True)
class ActLine:
    """One act as billed; amounts in cents, date AAMMJJ.

    `code`: the letters of record 4 or 3, or the code of the 4M, 4B or 4F record that follows it; then
    `letters` are those of record 4. `activity`, `modifiers` and `association` come from 4M.
    """

    code: str
    date: str
    quantity: int
    coefficient: Decimal
    unit_cents: int
    base_cents: int
    rate: int
    amo_cents: int
    amc_cents: int
    charged_cents: int
    exemption: str
    specialty: str
    letters: str = ""
    activity: str = "1"
    modifiers: str = ""
    association: int | None = None

    @property
    def b2_act(self) -> str:
        """The letters of record 4 or 3."""
        return self.letters or self.code


@dataclass(frozen=True, slots=True)
class FseView:
    """What an invoice says, decoded, for the receiver's adjudication. Dates are AAMMJJ, amounts cents.

    `pathway` is the letter as it was billed (S1 and S2 included), "" when there is no 2S record.
    `rectifies`: the refused invoice that this one takes the place of, 0 for none.
    `third_party`: none, amo or full. `elaborated`, `national_id` and the serials need a 7H record.
    """

    number: int
    mode: int
    elaborated: datetime | None
    billing_number: str
    national_id: str = field(repr=False)
    nir: str = field(repr=False)
    nir_key: str = field(repr=False)
    own_nir: str = field(repr=False)
    own_key: str = field(repr=False)
    rank: str
    birth_date: str = field(repr=False)
    birth_rank: str
    regime: str
    caisse: str
    centre: str
    destination: Destination
    care_date: str
    nature: str
    exemption: str
    pathway: str
    third_party: str
    contract_type: str
    complementary_number: str
    vitale_serial: str
    cps_serial: str
    lines: tuple[ActLine, ...]
    base_cents: int
    amo_cents: int
    amc_cents: int
    charged_cents: int
    rectifies: int = 0


def view_of(records: bytes, invoice: Invoice) -> FseView:
    """Decode the records of an invoice that `read_invoice` has accepted."""
    start = b2.InvoiceStart.decode(records[:SIZE])
    beside = _beside(records)
    return FseView(
        number=invoice.number,
        mode=invoice.mode.code,
        elaborated=invoice.elaborated,
        billing_number=invoice.billing_number,
        national_id=invoice.national_id,
        nir=start["nir"],
        nir_key=start["nir_key"],
        own_nir=_or_none(beside["own_nir"]),
        own_key=_or_none(beside["own_nir"]) and beside["own_key"],
        rank=start["rank"],
        birth_date=start["birth_date"],
        birth_rank=start["birth_rank"],
        regime=start["regime"],
        caisse=start["caisse"],
        centre=start["centre"],
        destination=invoice.destination,
        care_date=start["date"],
        nature=start["nature"],
        exemption=start["exemption"],
        pathway=beside["pathway"],
        third_party=THIRD_PARTIES[invoice.third_party],
        contract_type=start["contract_type"],
        complementary_number=_or_none(start["complementary"]),
        vitale_serial=invoice.vitale_serial,
        cps_serial=invoice.cps_serial,
        lines=_lines(records),
        base_cents=invoice.base,
        amo_cents=invoice.amo,
        amc_cents=invoice.amc,
        charged_cents=invoice.charged,
        rectifies=invoice.rectifies,
    )


def _or_none(value: str) -> str:
    """A code of zeros only is no code."""
    return value if value.strip("0") else ""


def _beside(records: bytes) -> dict[str, Any]:
    """The values of 2S, and the pathway of 7H where there is one (it knows S1 from S2)."""
    values: dict[str, Any] = {"own_nir": "", "own_key": "", "pathway": ""}
    for kind, record in _walk(records):
        if kind == b"2S":
            values.update(b2.InvoicePathway.decode(record))
        elif kind == b"7H":
            values["pathway"] = security.SecurityStart.decode(record)["pathway"]
    return values


def _walk(records: bytes) -> list[tuple[bytes, bytes]]:
    kinds = kinds_of(records)
    count = len(records) // SIZE
    return [(kinds[2 * i : 2 * i + 2], records[i * SIZE : (i + 1) * SIZE]) for i in range(count)]


def _lines(records: bytes) -> tuple[ActLine, ...]:
    lines: list[dict[str, Any]] = []
    for kind, record in _walk(records):
        if kind == b"4 ":
            lines.append(b2.FeeLine.decode(record))
        elif kind == b"3 ":
            values = b2.HospitalLine.decode(record)
            lines.append(values | {"date": values["start"], "specialty": ""})
        elif kind in _DETAILS:
            lines[-1] = _detail_of(_DETAILS[kind].decode(record)) | lines[-1]
    return tuple(_act_line(values) for values in lines)


_DETAILS = {b"4M": b2.FeeCcam, b"4B": b2.FeeBiology, b"4F": b2.FeeProduct}


def _detail_of(values: dict[str, Any]) -> dict[str, Any]:
    """The code of a record beside an act; a 4B that groups several codes names none."""
    if "code_1" in values:
        return {} if values["code_2"] else {"detail": values["code_1"]}
    kept: dict[str, Any] = {
        name: values[name] for name in ("activity", "modifiers", "association") if name in values
    }
    return {"detail": values["code"], **kept}


def _act_line(values: dict[str, Any]) -> ActLine:
    association = values.get("association", "")
    return ActLine(
        code=values.get("detail") or values["act"],
        date=values["date"],
        quantity=values["quantity"],
        coefficient=Decimal(values["coefficient"]) / 100,
        unit_cents=values["unit"],
        base_cents=values["base"],
        rate=values["rate"],
        amo_cents=values["amo"],
        amc_cents=values["amc"],
        charged_cents=values["charged"],
        exemption=values["exemption"],
        specialty=values["specialty"],
        letters=values["act"] if values.get("detail") else "",
        activity=values.get("activity") or "1",
        modifiers=values.get("modifiers", ""),
        association=int(association) if association.isdigit() else None,
    )
