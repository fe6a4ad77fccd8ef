"""What the caisse decides about one invoice: its own base of rights, and its own computation of the price.

Two rules of the public texts: a secured FSE with third-party payment is paid on the rights written in the
card, a difference with the base is only signalled (billing facts 1.3); an FSE without third-party payment
yields a line to the professional only when it is refused (1.1, step 7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from gateway.billing.engine import Price, price
from gateway.billing.request import Act, Beneficiary, CareRequest, Practitioner
from gateway.billing.tables import Tables
from gateway.errors import InputError
from gateway.lots.fse import ActLine, FseView
from tools.receiver import codes
from tools.receiver.insured import InsuredBase

PAID, REJECTED, NOTHING = "P", "R", "N"
SECURED_MODES = frozenset({3, 4})
_EXEMPTION_ON_FILE = {"4": ("ald",), "5": ("css", "ame"), "9": ("aspa",)}
_NATURES = {"30": "maternite", "41": "at"}
_LOCAL_SCHEME = "13"


@dataclass(frozen=True)
class Decision:
    """P paid, R rejected (`code`), N accepted with nothing to return. `remarks`: codes only signalled."""

    outcome: str
    amo_paid: int = 0
    amc_paid: int = 0
    code: str = ""
    remarks: tuple[str, ...] = ()


class Adjudicator:
    """Decides on invoices whose signatures were verified. Stateless: any thread may call it."""

    def __init__(
        self, insured: InsuredBase, practitioners: Mapping[str, Sequence[Practitioner]], tables: Tables
    ) -> None:
        self._insured, self._practitioners, self._tables = insured, practitioners, tables

    def decide(self, view: FseView) -> Decision:
        """One decision. Whether the number was paid before is the ledger's question, not this one's."""
        differences = tuple(self._rights(view))
        asked = view.third_party != "none"
        if code := self._tariff(view):
            return Decision(REJECTED, code=code)
        if differences and not (asked and view.mode in SECURED_MODES):
            return Decision(REJECTED, code=differences[0])
        if not asked:
            return Decision(NOTHING)
        amc = view.amc_cents if view.third_party == "full" else 0
        return Decision(PAID, view.amo_cents, amc, remarks=differences)

    def _rights(self, view: FseView) -> Iterator[str]:
        """Differences between the invoice and the base, worst first."""
        person = self._insured.find(view.nir, view.birth_date)
        if person is None:
            yield codes.UNKNOWN_INSURED
            return
        if not person.has_rights(day(view.care_date)):
            yield codes.RIGHTS_CLOSED
        claimed = _EXEMPTION_ON_FILE.get(view.exemption, ())
        if claimed and not person.exemptions.intersection(claimed):
            yield codes.EXEMPTION_NOT_ON_FILE
        if view.nature == "30" and "maternity" not in person.exemptions:
            yield codes.EXEMPTION_NOT_ON_FILE
        if view.nature == _LOCAL_SCHEME and not person.alsace_moselle:
            yield codes.NATURE_INCOMPATIBLE

    def _tariff(self, view: FseView) -> str:
        """The code of a wrong amount, or "" when one reading of the invoice gives the amounts it asks."""
        if not all(map(_adds_up, view.lines)):
            return codes.OTHER_AMOUNT
        situations = self._practitioners.get(view.billing_number, ())
        found = ""
        for request in (request for situation in situations for request in _readings(view, situation)):
            try:
                computed = price(request, self._tables)
            except InputError:
                found = codes.UNKNOWN_ACT
                continue
            if _same_amounts(view, computed):
                return ""
            found = codes.OTHER_AMOUNT
        return found


def day(text: str) -> date:
    """A recent date of an invoice, AAMMJJ."""
    return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))


def birthday(text: str, care: date) -> date:
    """A birth date, AAMMJJ: the last such day that is not after the care."""
    year = 2000 + int(text[:2])
    century = 100 if (year, int(text[2:4]), int(text[4:6])) > (care.year, care.month, care.day) else 0
    return date(year - century, int(text[2:4]), int(text[4:6]))


def _adds_up(line: ActLine) -> bool:
    """AMO is the rate of the base, rounded half up to the cent on each line (billing facts 6.6)."""
    share = Decimal(line.base_cents * line.rate) / 100
    return line.amo_cents == int(share.quantize(Decimal(1), ROUND_HALF_UP))


def _same_amounts(view: FseView, computed: Price) -> bool:
    return (view.base_cents, view.amo_cents, view.amc_cents) == (
        computed.base_cents,
        computed.amo_cents,
        computed.amc_cents,
    )


def _readings(view: FseView, practitioner: Practitioner) -> Iterator[CareRequest]:
    """What may have been asked: exemption 5 does not say which of two schemes (CSS or AME) it was."""
    contract = "tm100" if view.contract_type.strip() or view.amc_cents else None
    care = day(view.care_date)
    schemes = _EXEMPTION_ON_FILE.get(view.exemption, ("",))
    for scheme in schemes:
        yield CareRequest(
            date=care,
            practitioner=practitioner,
            beneficiary=Beneficiary(
                birth_date=birthday(view.birth_date, care),
                regime=view.regime,
                alsace_moselle=view.nature == _LOCAL_SCHEME,
                ald=scheme == "ald",
                css=scheme == "css",
                ame=scheme == "ame",
                aspa=scheme == "aspa",
                pregnancy_month=6 if view.nature == "30" else None,
                complementary=contract if scheme != "css" else None,
            ),
            acts=tuple(Act(ln.code, ln.quantity, ln.coefficient, ln.charged_cents) for ln in view.lines),
            pathway="S1" if view.pathway == "S" else view.pathway or "T",
            nature=_NATURES.get(view.nature, "maladie"),
            third_party=view.third_party,
        )
