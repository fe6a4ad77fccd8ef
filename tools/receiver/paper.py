"""The counter for paper: a sheet of care arrives at the caisse, is keyed in, decided and paid a week later.

Paper proves no rights: only the caisse's own file counts, a temporary number is good, and the caisse itself
computes the amounts. With third-party payment the professional is paid (types P and C of the return, 081
is 02), without it the insured person is. The twin of an invoice that came by mail is filed, never paid again.

    {"practitioner": "991001017", "number": 12, "nir": "…", "birth_date": "1980-03-01", "date": "2026-11-20",
     "acts": [{"code": "G", "quantity": 1, "charged_cents": 3000}], "third_party": "amo", "pathway": "T",
     "nature": "maladie", "ald": false, "complementary": "99999999"}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from card.layout.nir import NirError, nir_key
from gateway.billing.engine import Price, price
from gateway.billing.outcome import PricedLine
from gateway.billing.request import Beneficiary, CareRequest, Practitioner
from gateway.billing.tables import Tables
from gateway.clock import Clock
from gateway.errors import InputError
from gateway.lots.fse import ActLine, FseView
from gateway.lots.organism import Organism
from tools.receiver.adjudication import birthday
from tools.receiver.claims import Claims, Clerk
from tools.receiver.insured import Insured, InsuredBase, insurer_number
from tools.receiver.insurers import InsurerBase
from tools.receiver.ledger import Ledger

# INVENTED(paper-numbers): a paper sheet without a number gets one above 900 000 000 at the counter.
OWN_NUMBERS = 900_000_000
_MOST = 999_999_999
_PAPER_MODE = 5
_FIELDS = frozenset(
    {
        "practitioner", "number", "nir", "birth_date", "date", "acts", "third_party", "pathway", "nature",
        "ald", "complementary",
    }
)  # fmt: skip
_NATURE_CODES = {"maternite": "30", "at": "41"}
_NUMBER = re.compile(r"[1-478][0-9]{4}[0-9AB][0-9]{7}")


@dataclass(frozen=True)
class PaperSheet:
    """What stands on the paper. `number` 0: none; `nir`: 13 characters, permanent or temporary (7, 8)."""

    practitioner: str
    number: int
    nir: str = field(repr=False)
    birth_date: date = field(repr=False)
    care: CareRequest
    ald: bool = False
    complementary: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PaperSheet:
        """Read the keyed form; InputError names the field that is wrong."""
        if unknown := set(data) - _FIELDS:
            raise InputError(
                f"{sorted(unknown)[0]}: unknown field; a paper sheet has {', '.join(sorted(_FIELDS))}"
            )
        practitioner, number = str(data.get("practitioner", "")), data.get("number", 0)
        if not re.fullmatch(r"[0-9]{9}", practitioner):
            raise InputError("practitioner: give the nine digits of the billing number")
        if type(number) is not int or not 0 <= number < OWN_NUMBERS:
            raise InputError(f"number: the number printed on the sheet, below {OWN_NUMBERS}, or 0 for none")
        if not isinstance(data.get("ald", False), bool):
            raise InputError("ald: true or false")
        born = _day(data, "birth_date")
        request = CareRequest.from_json(
            {
                "date": str(data.get("date", "")),
                "practitioner": {"specialty": "01", "convention": "1"},
                "beneficiary": {"birth_date": born.isoformat()},
                "acts": data.get("acts", []),
                **{name: data[name] for name in ("pathway", "nature", "third_party") if name in data},
            }
        )
        return cls(
            practitioner, number, _nir(str(data.get("nir", ""))), born, request, data.get("ald", False),
            insurer_number(str(data.get("complementary", ""))),
        )  # fmt: skip


def _day(data: Mapping[str, Any], name: str) -> date:
    try:
        return date.fromisoformat(str(data.get(name, "")))
    except ValueError:
        raise InputError(f"{name}: give a date such as 1980-03-01") from None


def _nir(text: str) -> str:
    """Thirteen characters, with or without the key, which must be right then."""
    plain = "".join(text.split()).upper()
    number, key = plain[:13], plain[13:]
    try:
        if not _NUMBER.fullmatch(number) or (key and f"{nir_key(number):02d}" != key):
            raise InputError("nir: thirteen characters and the right key; read the sheet again")
    except NirError:
        raise InputError("nir: thirteen characters and the right key; read the sheet again") from None
    return number


@dataclass(frozen=True)
class Keyed:
    """What became of a sheet: its number and decision. `twin`: it came by mail before, nothing is paid."""

    number: int
    decision: str
    code: str
    amo_cents: int
    amc_cents: int
    twin: bool = False


class PaperCounter:
    """Keys in paper. One thread at a time, as everything that writes the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        clerk: Clerk,
        insured: InsuredBase,
        insurers: InsurerBase,
        practitioners: Mapping[str, Sequence[Practitioner]],
        tables: Tables,
        clock: Clock,
    ) -> None:
        self._ledger, self._clerk, self._insured, self._insurers = ledger, clerk, insured, insurers
        self._practitioners, self._tables, self._clock = practitioners, tables, clock

    def receive(self, sheet: PaperSheet) -> Keyed:
        """One sheet, durable when this returns; InputError when it cannot even be keyed in."""
        now = self._clock.now()
        if sheet.care.date > now.date():
            raise InputError("date: the care is still to come; read the sheet again")
        if sheet.practitioner not in self._practitioners:
            raise InputError("practitioner: no professional has this billing number; send the sheet back")
        with self._ledger.transaction():
            if sheet.number and (twin := self._twin(sheet)) is not None:
                return twin
            number = sheet.number or self._next_number(sheet.practitioner)
            view = self._view(replace(sheet, number=number))
            claims = self._clerk.paper_claims(view, now.timestamp())
            lot = self._ledger.paper_lot(view.billing_number, view.destination.number, now)
            self._keep(lot, claims)
        [claim] = claims.caisse
        share = sum(one.amc_paid for one in claims.insurers)
        return Keyed(number, claim.decision, claim.code, view.amo_cents, share or claim.amc_paid)

    def read(self, sheet: PaperSheet) -> FseView:
        """The sheet as the caisse reads it, with the amounts that it computes."""
        return self._view(sheet)

    def _twin(self, sheet: PaperSheet) -> Keyed | None:
        """The invoice that this paper goes with, when it came by mail or over this counter before."""
        rows = self._ledger.rows(
            "SELECT decision, code, amo_paid, amc_paid FROM claim"
            " WHERE practitioner = ? AND number = ? AND first",
            sheet.practitioner, sheet.number,
        )  # fmt: skip
        if not rows:
            return None
        self._ledger.write(
            "INSERT OR IGNORE INTO paper_twin (practitioner, number, received_at) VALUES (?, ?, ?)",
            sheet.practitioner, sheet.number, self._clock.now().timestamp(),
        )  # fmt: skip
        decision, code, amo, amc = rows[0]
        return Keyed(sheet.number, decision, code, amo, amc, twin=True)

    def _next_number(self, practitioner: str) -> int:
        [(last,)] = self._ledger.rows(
            "SELECT coalesce(max(number), ?) FROM claim WHERE practitioner = ? AND number > ?",
            OWN_NUMBERS, practitioner, OWN_NUMBERS,
        )  # fmt: skip
        if last >= _MOST:
            raise InputError("number: this practitioner has no number left; give one")
        return int(last) + 1

    def _keep(self, lot: int, claims: Claims) -> None:
        self._ledger.caisses.keep(lot, claims.caisse)
        self._ledger.insurers.keep(lot, claims.insurers)
        self._ledger.write("UPDATE lot SET invoices = invoices + 1 WHERE id = ?", lot)

    # The sheet as the caisse reads it

    def _view(self, sheet: PaperSheet) -> FseView:
        """The sheet with the amounts that the caisse computes; one that cannot be priced asks for nothing."""
        born = f"{sheet.birth_date:%y%m%d}"
        person = self._insured.find(sheet.nir, born)
        computed = self._priced(sheet, person)
        regime, organism = (person.organism if person and person.organism else "01-349").split("-")
        lines = tuple(_lines(sheet, computed))
        local = computed is not None and computed.nature_code == "13"
        return FseView(
            number=sheet.number, mode=_PAPER_MODE, elaborated=None, billing_number=sheet.practitioner,
            national_id="", nir=sheet.nir, nir_key=f"{nir_key(sheet.nir):02d}", own_nir="", own_key="",
            rank="000", birth_date=born, birth_rank="1", regime=regime, caisse=organism, centre="",
            destination=Organism(regime, "999", organism), care_date=f"{sheet.care.date:%y%m%d}",
            nature="13" if local else _NATURE_CODES.get(sheet.care.nature, "10"),
            exemption="0" if computed is None else computed.exemption_code, pathway=sheet.care.pathway,
            third_party=sheet.care.third_party, contract_type="01" if sheet.complementary else "",
            complementary_number=sheet.complementary, vitale_serial="", cps_serial="", lines=lines,
            base_cents=sum(one.base_cents for one in lines), amo_cents=sum(one.amo_cents for one in lines),
            amc_cents=sum(one.amc_cents for one in lines),
            charged_cents=sum(one.charged_cents for one in lines),
        )  # fmt: skip

    def _priced(self, sheet: PaperSheet, person: Insured | None) -> Price | None:
        """The price by the first situation of the practitioner under which these acts have one."""
        for request in self._requests(sheet, person):
            try:
                return price(request, self._tables)
            except InputError:
                continue
        return None

    def _requests(self, sheet: PaperSheet, person: Insured | None) -> Iterator[CareRequest]:
        on = sheet.care.date
        held = frozenset() if person is None else person.held_on(on)
        contract = self._insurers.find(sheet.complementary, sheet.nir, f"{sheet.birth_date:%y%m%d}")
        beneficiary = Beneficiary(
            birth_date=birthday(f"{sheet.birth_date:%y%m%d}", on),
            regime=person.organism[:2] if person and person.organism else "01",
            alsace_moselle=person is not None and person.alsace_moselle,
            ald=sheet.ald and "ald" in held,
            css="css" in held,
            css_contribution="css" in held and person is not None and person.css_contribution,
            css_insurer="css" in held and person is not None and bool(person.css_insurer),
            ame="ame" in held,
            aspa="aspa" in held,
            pregnancy_month=6 if sheet.care.nature == "maternite" else None,
            complementary=None if contract is None or "css" in held else contract.name,
        )
        for situation in self._practitioners.get(sheet.practitioner, ()):
            yield replace(sheet.care, practitioner=situation, beneficiary=beneficiary)


def _lines(sheet: PaperSheet, computed: Price | None) -> Iterator[ActLine]:
    """The acts with what the caisse computes; with nothing where it has no price."""
    if computed is not None:
        yield from (_line(sheet, one) for one in computed.lines)
        return
    for act in sheet.care.acts:
        charged = act.charged_cents or 0
        yield _line(
            sheet,
            PricedLine(act.code, act.quantity, act.coefficient, 0, 0, 0, 0, 0, charged, 0, charged, "0"),
        )


def _line(sheet: PaperSheet, line: PricedLine) -> ActLine:
    return ActLine(
        code=line.code, date=f"{sheet.care.date:%y%m%d}", quantity=line.quantity,
        coefficient=line.coefficient, unit_cents=line.unit_cents, base_cents=line.base_cents, rate=line.rate,
        amo_cents=line.amo_cents, amc_cents=line.amc_cents, charged_cents=line.charged_cents,
        exemption=line.exemption_code, specialty="", letters=line.letters, activity=line.activity,
        modifiers=line.modifiers, association=line.association,
    )  # fmt: skip
