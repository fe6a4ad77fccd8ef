"""What care costs and who pays, in exact cents: the order of computation; the figures are in the tables.

1 tariff of the act · 2 excess · 3 base · 4 rate: best of scheme and rights, or the out-of-pathway rate ·
5 AMO · 6 complementary · 7 patient · 8 sums, never rounded again. Flat deductions of the insured (2 EUR a
consultation …) are not on a sheet: the caisse takes them later.
"""

# INVENTED(rounding): official rule files are not public, each act line is rounded half-up to the cent once.
# INVENTED(exemption-codes): one-digit codes as one public client shows them, the full list is not public.

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from gateway.billing.request import MAX_CENTS, Act, CareRequest, check
from gateway.billing.tables import ActRow, ContractRow, DayTables, OutRow, RightRow, Tables
from gateway.errors import InputError


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One act line in cents; `rate` is the whole percentage of the base paid by AMO."""

    code: str
    quantity: int
    coefficient: Decimal
    unit_cents: int
    base_cents: int
    rate: int
    amo_cents: int
    amc_cents: int
    charged_cents: int
    excess_cents: int
    patient_cents: int
    exemption_code: str


@dataclass(frozen=True, slots=True)
class Price:
    """A priced sheet in cents: sums of its lines, the nature of insurance, and why.

    `patient_cents` is paid at the desk; what finally stays with the patient is `remaining_cents`.
    `third_party` is what is really done: a right may oblige to more than was asked.
    """

    base_cents: int
    amo_cents: int
    amc_cents: int
    patient_cents: int
    excess_cents: int
    charged_cents: int
    lines: tuple[PricedLine, ...]
    why: tuple[str, ...]
    nature_code: str
    exemption_code: str
    third_party: str = "none"

    @property
    def remaining_cents(self) -> int:
        """The charge less both shares: what no payer gives back (flat deductions apart)."""
        return self.charged_cents - self.amo_cents - self.amc_cents

    def to_json(self) -> dict[str, Any]:
        """The JSON form of the price."""
        return {
            "base_cents": self.base_cents,
            "amo_cents": self.amo_cents,
            "amc_cents": self.amc_cents,
            "patient_cents": self.patient_cents,
            "excess_cents": self.excess_cents,
            "lines": [{**asdict(line), "coefficient": str(line.coefficient)} for line in self.lines],
            "why": list(self.why),
        }


def price(request: CareRequest, tables: Tables) -> Price:
    """Price one sheet; raises InputError naming the field that cannot be priced."""
    check(request)
    case = _Case(request, tables)
    rows = [case.act_row(act, index) for index, act in enumerate(request.acts)]
    lines = tuple(case.line(act, row) for act, row in zip(request.acts, rows, strict=True))
    case.refuse_forbidden_excess(rows, lines)
    charged = sum(line.charged_cents for line in lines)
    patient = sum(line.patient_cents for line in lines)
    case.explain_patient(charged, patient)
    return Price(
        base_cents=sum(line.base_cents for line in lines),
        amo_cents=sum(line.amo_cents for line in lines),
        amc_cents=sum(line.amc_cents for line in lines),
        patient_cents=patient,
        excess_cents=sum(line.excess_cents for line in lines),
        charged_cents=charged,
        lines=lines,
        why=tuple(case.why),
        nature_code=case.nature_code,
        exemption_code=next((line.exemption_code for line in lines if line.exemption_code != "0"), "0"),
        third_party=case.third_party,
    )


def share(cents: int, percent: int) -> int:
    """A whole percentage of an amount, rounded half-up to the cent."""
    return (cents * percent * 2 + 100) // 200


def age_on(day: date, birth: date) -> int:
    """Completed years."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def _euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d} EUR"


def _is_maternity(request: CareRequest, right: RightRow) -> bool:
    """From the month of the row on; a declared maternity without a month is taken at its word."""
    month = request.beneficiary.pregnancy_month
    return request.nature == "maternite" if month is None else month >= (right.from_month or 1)


_HOLDS: Mapping[str, Callable[[CareRequest, RightRow], bool]] = {
    "at": lambda request, right: request.nature == "at",
    "maternity": _is_maternity,
    "ald": lambda request, right: request.beneficiary.ald,
    "css": lambda request, right: request.beneficiary.css,
    "ame": lambda request, right: request.beneficiary.ame,
    "aspa": lambda request, right: request.beneficiary.aspa,
}
_THIRD_PARTY_ORDER = ("none", "amo", "full")
_SCHEME_NAMES = {"general": "general scheme", "alsace_moselle": "local scheme of Alsace-Moselle"}


class _Case:
    """One request against the rows of its day: what is the same for all its lines is found once."""

    def __init__(self, request: CareRequest, tables: Tables) -> None:
        self.request, self._tables = request, tables
        self.day: DayTables = tables.on(request.date, request.practitioner.zone)
        self.rights = tuple(right for right in self.day.rights if _HOLDS[right.when](request, right))
        self.scheme = "alsace_moselle" if request.beneficiary.alsace_moselle else "general"
        self.tariff = self._tariff()
        self.third_party = self._third_party()
        self.nature_code = self._nature_code()
        self.contract = self._contract()
        self.is_out = self._is_out()
        self.why: list[str] = []

    def _tariff(self) -> str:
        practitioner = self.request.practitioner
        row = self.day.conventions.get(practitioner.convention)
        if row is None:
            raise InputError(
                f"practitioner.convention: {practitioner.convention!r} has no tariff on {self.request.date}; "
                "use 1 (conventionné), 2 or 3 (free fees) or 9 (établissement)."
            )
        return "opposable" if practitioner.optam else row.tariff

    def _third_party(self) -> str:
        asked = [self.request.third_party, *(right.third_party for right in self.rights)]
        return max(asked, key=_THIRD_PARTY_ORDER.index)

    def _nature_code(self) -> str:
        """B2 type 2, positions 77-78: 41 accident, 30 maternity, 13 local scheme, 10 illness."""
        named = next((right.nature_code for right in self.rights if right.nature_code), "")
        return named or ("13" if self.scheme == "alsace_moselle" else "10")

    def _contract(self) -> ContractRow | None:
        name = self.request.beneficiary.complementary
        if name is None:
            name = next((right.contract for right in self.rights if right.contract), "")
            return self.day.contracts.get(name)
        if name not in self.day.contracts:
            raise InputError(
                f"beneficiary.complementary: no contract {name!r} on {self.request.date}; "
                f"use null or one of {', '.join(sorted(self.day.contracts))}."
            )
        return self.day.contracts[name]

    def _is_out(self) -> bool:
        letter = self.request.pathway
        row = self.day.pathways.get(letter)
        if row is None:
            raise InputError(
                f"pathway: {letter!r} means nothing on {self.request.date}; check letter and date."
            )
        return row.effect == "out" and not any(right.shields for right in self.rights)

    # -- the tariff of one act

    def act_row(self, act: Act, index: int) -> ActRow:
        """The row that prices this act; every condition it sets holds. Raises InputError."""
        row = self._find_row(act)
        if row is None:
            raise InputError(f"acts[{index}].code: {self._why_not(act.code)}")
        if act.coefficient != 1 and not row.scaled:
            raise InputError(f"acts[{index}].coefficient: {act.code} takes no coefficient; give 1.")
        if row.below_age is not None and age_on(self.request.date, self._birth) >= row.below_age:
            raise InputError(
                f"acts[{index}].code: {act.code} is for a patient under {row.below_age}; remove it."
            )
        if row.with_ and not any(other.code in row.with_ for other in self.request.acts):
            raise InputError(
                f"acts[{index}].code: {act.code} goes with one of {', '.join(row.with_)}; add it."
            )
        if row.pathways and self.request.pathway not in row.pathways:
            raise InputError(
                f"acts[{index}].code: {act.code} needs pathway {' or '.join(row.pathways)} on "
                f"{self.request.date}; remove it or correct the pathway."
            )
        return row

    @property
    def _birth(self) -> date:
        return self.request.beneficiary.birth_date

    def _find_row(self, act: Act) -> ActRow | None:
        """The tariff `any`, or the opposable one unless more than it is charged at free fees."""
        acts, specialty = self.day.acts, self.request.practitioner.specialty
        row = acts.get((act.code, "any", specialty)) or acts.get((act.code, "opposable", specialty))
        free = acts.get((act.code, "free", specialty)) if self.tariff == "free" else None
        if free is None or row is None or act.charged_cents is None:
            return row or free
        return free if act.charged_cents > _tariff_cents(act, row) else row

    def _why_not(self, code: str) -> str:
        rows, request = self._tables.rows_of(code), self.request
        practitioner = request.practitioner
        if not rows:
            return f"{code} is not an act of the tables; check the code."
        if not any(practitioner.specialty in row.specialties for row in rows):
            return f"{code} is not billed by specialty {practitioner.specialty}; check the code."
        if not any(practitioner.zone in row.zones for row in rows):
            return f"{code} has no tariff in zone {practitioner.zone}; add a dated row to the tables."
        first = min(row.since for row in rows)
        return f"{code} is not valid on {request.date} (first tariff: {first}); check code and date."

    # -- the shares of one line

    def line(self, act: Act, row: ActRow) -> PricedLine:
        """Shares of one act line; always amo + amc + what remains = charged, none negative."""
        tariff = _tariff_cents(act, row)
        if tariff > MAX_CENTS:
            raise InputError(f"acts: {act.code} comes to {_euros(tariff)}, too much for one line; split it.")
        charged = tariff if act.charged_cents is None else act.charged_cents
        base = min(tariff, charged)
        excess = charged - base
        self._explain_base(act, row, base, excess)
        rate, normal, exemption = self._rate(act.code, row.family)
        amo = share(base, rate)
        self.why.append(f"{act.code}: AMO pays {rate} % of {_euros(base)} = {_euros(amo)}.")
        amc = self._complementary(act.code, base - share(base, normal), excess)
        spared = (amo if self.third_party != "none" else 0) + (amc if self.third_party == "full" else 0)
        return PricedLine(
            act.code, act.quantity, act.coefficient, row.cents, base, rate,
            amo, amc, charged, excess, charged - spared, exemption,
        )  # fmt: skip

    def _rate(self, code: str, family: str) -> tuple[int, int, str]:
        """(rate paid, rate that the ticket modérateur is counted from, exemption code)."""
        general = self.day.rates.get((family, "general"))
        if general is None:
            raise InputError(
                f"date: no rate for {family} acts on {self.request.date}; add a dated row to the tables."
            )
        out = self.day.out.get(family) if self.is_out else None
        if out is not None and age_on(self.request.date, self._birth) >= out.from_age:
            return self._out_rate(code, out, general.percent)
        scheme = self.day.rates.get((family, self.scheme), general)
        percent, exemption = scheme.percent, "0"
        reason = f"{family} acts, {_SCHEME_NAMES[scheme.scheme]}: {scheme.source}"
        for right in self.rights:
            if right.percent > percent:
                percent, exemption, reason = (
                    right.percent,
                    right.exemption_code,
                    f"{right.label}: {right.source}",
                )
        self.why.append(f"{code}: rate {percent} % ({reason}).")
        return percent, percent, exemption

    def _out_rate(self, code: str, out: OutRow, normal: int) -> tuple[int, int, str]:
        """Out of pathway: only the patient pays the increase, so the TM is counted from the normal rate."""
        self.why.append(
            f"{code}: rate {out.percent} % instead of {normal} %, pathway {self.request.pathway} "
            f"is out of the coordinated pathway ({out.source})."
        )
        return out.percent, max(normal, out.percent), "0"

    def _complementary(self, code: str, copayment: int, excess: int) -> int:
        contract = self.contract
        if contract is None:
            return 0
        cents = share(copayment, contract.copayment_percent) + share(excess, contract.excess_percent)
        of_excess = f" and {contract.excess_percent} % of the excess" if excess else ""
        self.why.append(
            f"{code}: {contract.name} pays {contract.copayment_percent} % of the ticket modérateur "
            f"{_euros(copayment)}{of_excess} = {_euros(cents)}."
        )
        return cents

    def _explain_base(self, act: Act, row: ActRow, base: int, excess: int) -> None:
        times = f" x {act.quantity}" if act.quantity != 1 else ""
        scale = f" x {act.coefficient}" if act.coefficient != 1 else ""
        self.why.append(
            f"{act.code}: base {_euros(base)}, {row.label} at {_euros(row.cents)}{scale}{times} "
            f"since {row.since} ({row.source})."
        )
        if excess:
            self.why.append(
                f"{act.code}: excess {_euros(excess)} above the base, never paid by AMO{self._remark()}."
            )

    def _remark(self) -> str:
        if any(right.when in ("css", "ame") for right in self.rights):
            return "; with CSS or AME it is lawful only for a particular demand of the patient"
        return (
            ""
            if self.tariff == "free" or self.request.practitioner.optam
            else "; sector 1: particular demand only"
        )

    def refuse_forbidden_excess(self, rows: list[ActRow], lines: tuple[PricedLine, ...]) -> None:
        """Some majorations are not billed beside a free tariff with excess. Raises InputError."""
        if self.tariff != "free" or not any(line.excess_cents for line in lines):
            return
        for index, row in enumerate(rows):
            if row.no_excess:
                raise InputError(
                    f"acts[{index}].code: {lines[index].code} is not billed together with an excess; "
                    "remove it or charge the tariff."
                )

    def explain_patient(self, charged: int, patient: int) -> None:
        """The last line: what is paid at the desk, and who asked for the third-party payment."""
        done, asked = self.third_party, self.request.third_party
        by = (
            next((right.label for right in self.rights if right.third_party == done), "")
            if done != asked
            else ""
        )
        how = f"third-party payment {done}" + (f", due by law: {by}" if by else "")
        self.why.append(f"Patient pays {_euros(patient)} of {_euros(charged)} at the desk ({how}).")


def _tariff_cents(act: Act, row: ActRow) -> int:
    """Tariff x coefficient x quantity, half-up to the cent."""
    if act.coefficient == 1:
        return row.cents * act.quantity
    hundredths = int(act.coefficient * 100)
    return (row.cents * act.quantity * hundredths * 2 + 100) // 200
