"""One request against the rows of its day: what is the same for all its lines is found once."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.billing.amounts import age_on
from gateway.billing.exemption import in_force
from gateway.billing.json_object import shown
from gateway.billing.request import Beneficiary, CareRequest
from gateway.billing.rows import ActRow, ContractRow, OutRow, RightRow
from gateway.billing.tables import DayTables, Tables
from gateway.errors import InputError

SCHEME_NAMES = {"general": "general scheme", "alsace_moselle": "local scheme of Alsace-Moselle"}
_THIRD_PARTY_ORDER = ("none", "amo", "full")
_FLAGS = ("ald", "css", "acs", "ame", "aspa", "foreign")


def _said(request: CareRequest) -> frozenset[str]:
    """The rights that the request says: flags, and exemptions that hold on the day."""
    person = request.beneficiary
    said = {flag for flag in _FLAGS if getattr(person, flag)}
    if person.exemptions:
        said |= in_force(person.exemptions, request.date)
    if "css" in said:
        said = said - {"css"} | {_css(person)}
    if request.nature == "at":
        said.add("at")
    return frozenset(said)


def _css(person: Beneficiary) -> str:
    """Which kind of solidarity cover: run by an insurer, by the caisse with a contribution, or free."""
    return "css_insurer" if person.css_insurer else "css_contribution" if person.css_contribution else "css"


class Case:
    """The facts of one request that do not depend on the act; `why` collects the reasons, in order."""

    def __init__(self, request: CareRequest, tables: Tables) -> None:
        self.request, self.tables = request, tables
        self.day: DayTables = tables.on(request.date, request.practitioner.zone)
        self.why: list[str] = []
        self.rights = self._rights(_said(request))
        self.scheme = "alsace_moselle" if request.beneficiary.alsace_moselle else "general"
        self.age = age_on(request.date, request.beneficiary.birth_date)
        self.tariff = self._tariff()
        self.nature_code = self._nature_code()
        self.contracts = self._contracts()
        self.is_out = self._is_out()
        self._check_regime()

    def rights_of(self, row: ActRow) -> tuple[RightRow, ...]:
        """The person's rights, and the one that the act brings."""
        brought = self._brought(row)
        return self.rights if brought is None else (*self.rights, brought)

    def out_row(self, row: ActRow) -> OutRow | None:
        """The row for leaving the pathway with this act, None when the rule does not touch it."""
        found = self.day.out.get(row.family) if self.is_out else None
        if found is None or self.age < found.from_age:
            return None
        brought = self._brought(row)
        return None if brought is not None and brought.shields else found

    def third_party(self, rows: Sequence[ActRow]) -> tuple[str, str]:
        """What is really done, and who obliges to it: as asked (""), or more by a right or an act."""
        done, by = self.request.third_party, ""
        owed = [(right.third_party, right.label) for row in rows for right in self.rights_of(row)]
        if any(row.spared_below_age is not None and self.age < row.spared_below_age for row in rows):
            owed.append(("amo", "care of a minor"))
        for kind, label in owed:
            if _THIRD_PARTY_ORDER.index(kind) > _THIRD_PARTY_ORDER.index(done):
                done, by = kind, label
        return done, by

    def _brought(self, row: ActRow) -> RightRow | None:
        return self.day.right.get(row.brings) if row.brings else None

    def _rights(self, said: frozenset[str]) -> tuple[RightRow, ...]:
        """The rows of the rights in force. What has ended is said, never counted."""
        for one in self.request.beneficiary.exemptions:
            if words := one.why_not(self.request.date):
                named = self.day.right.get(one.kind)
                label = one.kind if named is None else named.label
                self.why.append(f"{label}: {words}, not counted on {self.request.date}.")
        for kind in sorted(said):
            if kind not in self.day.right:
                raise InputError(self._no_right(kind))
        return tuple(
            right
            for right in self.day.rights
            if right.when in said or (right.when == "maternity" and self._is_maternity(right))
        )

    def _is_maternity(self, right: RightRow) -> bool:
        """From the month of the row on; a declared maternity without a month is taken at its word."""
        month = self.request.beneficiary.pregnancy_month
        return self.request.nature == "maternite" if month is None else month >= (right.from_month or 1)

    def _no_right(self, kind: str) -> str:
        """The sentence for a right that does not exist on the day."""
        on, rows = self.request.date, [row for row in self.tables.of_kind(RightRow) if row.when == kind]
        place = "nature" if kind == "at" else f"beneficiary.{kind}"
        ended = [row for row in rows if row.until is not None and row.until < on]
        if not ended:
            first = min((row.since for row in rows), default=None)
            return f"{place}: no such right on {on} (first day: {first}); check it and the date."
        last = max(ended, key=lambda row: row.since)
        return f"{place}: the {last.label} ended on {last.until}; say what holds on {on}."

    def _tariff(self) -> str:
        practitioner, on = self.request.practitioner, self.request.date
        row = self.day.conventions.get(practitioner.convention)
        if row is None:
            raise InputError(
                f"practitioner.convention: {shown(practitioner.convention)} has no tariff on {on}; "
                "use 1 (conventionné), 2 or 3 (free fees) or 9 (établissement)."
            )
        return "opposable" if practitioner.optam else row.tariff

    def _nature_code(self) -> str:
        """B2 type 2, positions 77-78: 41 accident, 30 maternity, 13 local scheme, 10 illness."""
        named = next((right.nature_code for right in self.rights if right.nature_code), "")
        return named or ("13" if self.scheme == "alsace_moselle" else "10")

    def _contracts(self) -> tuple[ContractRow, ...]:
        """The contract that was named, and those that a right brings; the one that pays most will pay."""
        name, known = self.request.beneficiary.complementary, self.day.contracts
        if name is not None and name not in known:
            raise InputError(
                f"beneficiary.complementary: no contract {shown(name)} on {self.request.date}; "
                f"use null or one of {', '.join(sorted(known))}."
            )
        names = [name, *(right.contract for right in self.rights)]
        return tuple(known[one] for one in dict.fromkeys(names) if one and one in known)

    def _is_out(self) -> bool:
        letter = self.request.pathway
        row = self.day.pathways.get(letter)
        if row is None:
            raise InputError(
                f"pathway: {letter!r} means nothing on {self.request.date}; check letter and date."
            )
        return row.effect == "out" and not any(right.shields for right in self.rights)

    def _check_regime(self) -> None:
        code = self.request.beneficiary.regime
        if self.day.regimes and code not in self.day.regimes:
            raise InputError(
                f"beneficiary.regime: {shown(code)} is not a régime on {self.request.date}; "
                "give its two digits, 01 for the general scheme."
            )
