"""What the caisse decides about one invoice: its own base of rights, and its own computation of the price.

Two rules of the public texts: a secured FSE with third-party payment is paid on the rights written in the
card, a difference with the base is only signalled (billing facts 1.3); an FSE without third-party payment
yields a line to the professional only when it is refused (1.1, step 7). The complementary share is the
insurer's business (shares.py); the caisse pays it itself only for the solidarity covers that it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from gateway.billing.engine import Price, price
from gateway.billing.request import Act, Beneficiary, CareRequest, Practitioner
from gateway.billing.tables import Tables
from gateway.errors import InputError
from gateway.lots.fse import ActLine, FseView
from tools.receiver import codes
from tools.receiver.insured import Insured, InsuredBase
from tools.receiver.insurers import InsurerBase, insurer_number

PAID, REJECTED, NOTHING = "P", "R", "N"
AWAITED = "D"
SECURED_MODES = frozenset({3, 4})
_SOLIDARITY = ("css", "ame")
_EXEMPTION_ON_FILE = {"4": ("ald",), "5": _SOLIDARITY, "9": ("aspa",)}
_NATURES = {"30": "maternite", "41": "at"}
_REFUSING_NOTES = {"paid-before": codes.ALREADY_PAID, "deceased": codes.CARE_AFTER_DEATH}
_OF_THE_DOCTOR = ("T", "R")
"""Pathways that claim a médecin traitant: seen by him, or sent by him."""
_NO_PHYSICIANS = frozenset({"19", "21", "24", "26", "27", "28", "29", "30", "50", "53", "54"})
"""Dentist, midwife, nurse, physiotherapist, other auxiliaries, laboratory, pharmacist."""
_LOCAL_SCHEME = "13"
_WHOLE = 100
_SOLIDARITY_CODE = "5"


@dataclass(frozen=True)
class Decision:
    """P paid, R rejected (`code`, at act `line`, 0 for all), N accepted with nothing to return.

    `remarks`: codes only signalled. `amc_state`: what the caisse says of a complementary share by third-party
    payment: P paid with its own, D the insurer answers, R nobody does (`amc_code`), "" there is none.
    `local`: rate and cents of each act line that the local scheme of Alsace-Moselle adds.
    """

    outcome: str
    amo_paid: int = 0
    amc_paid: int = 0
    code: str = ""
    remarks: tuple[str, ...] = ()
    line: int = 0
    amc_state: str = ""
    amc_code: str = ""
    local: tuple[tuple[int, int], ...] = ()


class Adjudicator:
    """Decides on invoices whose signatures were verified. Stateless: any thread may call it."""

    def __init__(
        self,
        insured: InsuredBase,
        practitioners: Mapping[str, Sequence[Practitioner]],
        tables: Tables,
        insurers: InsurerBase | None = None,
        barred: Mapping[str, str] | None = None,
    ) -> None:
        self._insured, self._practitioners, self._tables = insured, practitioners, tables
        self._insurers, self._barred = insurers or InsurerBase(), barred or {}

    def with_tables(self, tables: Tables) -> Adjudicator:
        """The same caisse under other dated tables."""
        other = copy(self)
        other._tables = tables
        return other

    def decide(self, view: FseView) -> Decision:
        """One decision. Whether the number was paid before is the ledger's question, not this one's."""
        if refused := self._refused(view):
            return Decision(REJECTED, code=refused)
        differences = tuple(self._rights(view))
        asked = view.third_party != "none"
        code, line = self._tariff(view)
        if code:
            return Decision(REJECTED, code=code, line=line)
        if differences and not (asked and view.mode in SECURED_MODES):
            return Decision(REJECTED, code=differences[0])
        if not asked:
            return Decision(NOTHING)
        amc, state, amc_code = self._complementary(view)
        return Decision(
            PAID, view.amo_cents, amc, "", differences, 0, state, amc_code, self._local_part(view)
        )

    def _refused(self, view: FseView) -> str:
        """The code of what no card guarantees: who practises, what is noted of the person; "" for none."""
        if barred := self._barred.get(view.billing_number, ""):
            return barred
        person = self._insured.find(view.nir, view.birth_date)
        notes = frozenset() if person is None else person.notes
        return next((code for note, code in _REFUSING_NOTES.items() if note in notes), "")

    def _rights(self, view: FseView) -> Iterator[str]:
        """Differences between the invoice and the organism's own base, worst first."""
        person = self._insured.find(view.nir, view.birth_date, _organism(view))
        if person is None:
            yield codes.UNKNOWN_INSURED
            return
        if not person.has_rights(day(view.care_date)):
            yield codes.RIGHTS_CLOSED
        held = person.held_on(day(view.care_date))
        claimed = _EXEMPTION_ON_FILE.get(view.exemption, ())
        if claimed and not held.intersection(claimed):
            yield codes.EXEMPTION_NOT_ON_FILE
        if view.nature == "30" and "maternity" not in held:
            yield codes.EXEMPTION_NOT_ON_FILE
        if view.exemption == _SOLIDARITY_CODE and self._solidarity_insurer(view) and not view.amc_cents:
            yield codes.SOLIDARITY_BY_INSURER
        if view.nature == _LOCAL_SCHEME and not person.alsace_moselle:
            yield codes.NATURE_INCOMPATIBLE
        yield from _noted(person, view)
        yield from self._doctor(person, view)

    def _doctor(self, person: Insured, view: FseView) -> Iterator[str]:
        """Who claims the pathway of the médecin traitant, against what is declared on the day of the care."""
        declared, pathway = person.doctor_on(day(view.care_date)), view.pathway or "T"
        if pathway not in _OF_THE_DOCTOR:
            return
        if not declared:
            if "no-doctor" in person.notes:
                yield codes.NO_ATTENDING_DOCTOR
        elif pathway == "T" and view.billing_number != declared and self._is_physician(view.billing_number):
            yield codes.OTHER_ATTENDING_DOCTOR

    def _is_physician(self, billing_number: str) -> bool:
        situations = self._practitioners.get(billing_number, ())
        return any(one.specialty not in _NO_PHYSICIANS for one in situations)

    def _tariff(self, view: FseView) -> tuple[str, int]:
        """Code and act line of a wrong amount; ("", 0) when one reading gives the amounts it asks."""
        for at, line in enumerate(view.lines, 1):
            if not _adds_up(line):
                return codes.OTHER_AMOUNT, at
        found = ("", 0)
        for request in self._readings(view):
            try:
                computed = price(request, self._tables)
            except InputError:
                found = (codes.UNKNOWN_ACT, 1 if len(view.lines) == 1 else 0)
                continue
            if self._same_amounts(view, computed):
                return "", 0
            found = (codes.OTHER_AMOUNT, _first_difference(view, computed))
        return found

    def _readings(self, view: FseView) -> Iterator[CareRequest]:
        for situation in self._practitioners.get(view.billing_number, ()):
            yield from readings(view, situation)

    def _complementary(self, view: FseView) -> tuple[int, str, str]:
        """Cents that the caisse pays of the complementary share, what it says of it, and a code."""
        if view.third_party != "full" or not view.amc_cents:
            return 0, "", ""
        if self._runs_complementary(view):
            return view.amc_cents, PAID, ""
        insurer = insurer_number(view.complementary_number)
        if not insurer:
            return 0, AWAITED, ""
        contract = self._insurers.find(insurer, view.nir, view.birth_date)
        by_dre = contract is not None and contract.is_asked_by_dre(view.third_party, view.mode)
        if contract is None or not (contract.linked or by_dre):
            return 0, REJECTED, codes.NOT_LINKED
        return 0, AWAITED, ""

    def _runs_complementary(self, view: FseView) -> bool:
        """Whether the caisse itself pays that share: a solidarity cover on file, without another insurer."""
        if view.complementary_number:
            return False
        person = self._insured.find(view.nir, view.birth_date, _organism(view))
        held = frozenset() if person is None else person.held_on(day(view.care_date))
        return not held.isdisjoint(_SOLIDARITY) and not self._solidarity_insurer(view)

    def _solidarity_insurer(self, view: FseView) -> str:
        """The insurer that runs this person's solidarity cover, "" when the caisse does, or nobody."""
        person = self._insured.find(view.nir, view.birth_date, _organism(view))
        if person is None or "css" not in person.held_on(day(view.care_date)):
            return ""
        return person.css_insurer

    def _same_amounts(self, view: FseView, computed: Price) -> bool:
        """The complementary share is compared only where the caisse pays it."""
        if (view.base_cents, view.amo_cents) != (computed.base_cents, computed.amo_cents):
            return False
        return view.amc_cents == computed.amc_cents or not self._runs_complementary(view)

    def _local_part(self, view: FseView) -> tuple[tuple[int, int], ...]:
        """What the local scheme adds to the general one, line by line."""
        if view.nature != _LOCAL_SCHEME:
            return ()
        for request in self._readings(view):
            general = replace(request, beneficiary=replace(request.beneficiary, alsace_moselle=False))
            try:
                lines = price(general, self._tables).lines
            except InputError:
                continue
            return tuple(
                (mine.rate - other.rate, mine.amo_cents - other.amo_cents)
                for mine, other in zip(view.lines, lines, strict=True)
            )
        return ()


def _noted(person: Insured, view: FseView) -> Iterator[str]:
    if "new-number" in person.notes:
        yield codes.NUMBER_REPLACED
    if "no-accident" in person.notes and view.nature == "41":
        yield codes.UNKNOWN_ACCIDENT


def _organism(view: FseView) -> str:
    return f"{view.regime}-{view.destination.organism}"


def day(text: str) -> date:
    """A recent date of an invoice, AAMMJJ."""
    return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))


def birthday(text: str, care: date) -> date:
    """A birth date, AAMMJJ: the last such day that is not after the care."""
    year = 2000 + int(text[:2])
    century = 100 if (year, int(text[2:4]), int(text[4:6])) > (care.year, care.month, care.day) else 0
    return date(year - century, int(text[2:4]), int(text[4:6]))


def copayment(line: ActLine) -> int:
    """The ticket modérateur of an act line in cents: the base less the rate of it, rounded as AMO is.

    At 100 % it is what AMO left out: the flat-rate participation of a heavy act, or nothing.
    """
    if line.rate == _WHOLE:
        return line.base_cents - line.amo_cents
    share = Decimal(line.base_cents * line.rate) / 100
    return line.base_cents - int(share.quantize(Decimal(1), ROUND_HALF_UP))


def _adds_up(line: ActLine) -> bool:
    """AMO is the rate of the base, rounded half up to the cent on each line (billing facts 6.6)."""
    return line.amo_cents == line.base_cents - copayment(line)


def _first_difference(view: FseView, computed: Price) -> int:
    for at, (mine, other) in enumerate(zip(view.lines, computed.lines, strict=True), 1):
        if (mine.base_cents, mine.amo_cents) != (other.base_cents, other.amo_cents):
            return at
    return 0


def readings(view: FseView, practitioner: Practitioner, contract: str | None = None) -> Iterator[CareRequest]:
    """What may have been asked: exemption 5 does not say which of two schemes (CSS or AME) it was.

    `contract`: the name of the complementary contract; without it, one that pays the ticket modérateur.
    """
    if contract is None and (view.contract_type.strip() or view.amc_cents):
        contract = "tm100"
    care = day(view.care_date)
    for held in _schemes(view):
        yield CareRequest(
            date=care,
            practitioner=practitioner,
            beneficiary=Beneficiary(
                birth_date=birthday(view.birth_date, care),
                regime=view.regime,
                alsace_moselle=view.nature == _LOCAL_SCHEME,
                ald="ald" in held,
                css="css" in held,
                ame="ame" in held,
                aspa="aspa" in held,
                pregnancy_month=6 if view.nature == "30" else None,
                complementary=contract if "css" not in held else None,
            ),
            acts=tuple(map(_act, view.lines)),
            pathway="S1" if view.pathway == "S" else view.pathway or "T",
            nature=_NATURES.get(view.nature, "maladie"),
            third_party=view.third_party,
        )


def _schemes(view: FseView) -> Iterator[frozenset[str]]:
    """The schemes that the exemptions of the invoice and of its lines may stand for."""
    written = {view.exemption, *(line.exemption for line in view.lines)}
    held = {name for code in written for name in _EXEMPTION_ON_FILE.get(code, ())}
    either = [name for name in _EXEMPTION_ON_FILE[_SOLIDARITY_CODE] if name in held]
    for scheme in either or ("",):
        yield frozenset((held - {*either}) | {scheme})


def _act(line: ActLine) -> Act:
    """The act as it was asked: the coefficient of a coded act is in the tables, not in the request."""
    coefficient = Decimal(1) if line.letters else line.coefficient
    return Act(
        line.code, line.quantity, coefficient, line.charged_cents, line.activity, line.modifiers,
        line.association,
    )  # fmt: skip
