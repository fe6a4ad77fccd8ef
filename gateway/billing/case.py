"""One request against the rows of its day: what is the same for all its lines is found once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.billing.amounts import age_on
from gateway.billing.request import CareRequest, shown
from gateway.billing.rows import ActRow, ContractRow, OutRow, RightRow
from gateway.billing.tables import DayTables, Tables
from gateway.errors import InputError

SCHEME_NAMES = {"general": "general scheme", "alsace_moselle": "local scheme of Alsace-Moselle"}
_THIRD_PARTY_ORDER = ("none", "amo", "full")


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
    "prevention": lambda request, right: False,  # a right of some acts, not of the person
}


class Case:
    """The facts of one request that do not depend on the act; `why` collects the reasons, in order."""

    def __init__(self, request: CareRequest, tables: Tables) -> None:
        self.request, self.tables = request, tables
        self.day: DayTables = tables.on(request.date, request.practitioner.zone)
        self.rights = tuple(right for right in self.day.rights if _HOLDS[right.when](request, right))
        self.scheme = "alsace_moselle" if request.beneficiary.alsace_moselle else "general"
        self.age = age_on(request.date, request.beneficiary.birth_date)
        self.tariff = self._tariff()
        self.nature_code = self._nature_code()
        self.contracts = self._contracts()
        self.is_out = self._is_out()
        self.why: list[str] = []
        self._check_regime()

    def rights_of(self, row: ActRow) -> tuple[RightRow, ...]:
        """The person's rights, and that of the act when it is one of prevention."""
        if not row.prevention:
            return self.rights
        return (*self.rights, *(right for right in self.day.rights if right.when == "prevention"))

    def out_row(self, row: ActRow) -> OutRow | None:
        """The row for leaving the pathway with this act, None when the rule does not touch it."""
        found = self.day.out.get(row.family) if self.is_out else None
        return found if found is not None and self.age >= found.from_age else None

    def third_party(self, rows: list[ActRow]) -> str:
        """What is really done: as asked, or more where a right or an act obliges to it."""
        asked = [self.request.third_party, *(right.third_party for right in self.rights)]
        if any(row.spared_below_age is not None and self.age < row.spared_below_age for row in rows):
            asked.append("amo")
        return max(asked, key=_THIRD_PARTY_ORDER.index)

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
