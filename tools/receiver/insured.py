"""The caisse's own files: the people it insures and the professionals it knows.

Both are built from the shipped card profiles, so that every card of the bench is known to the caisse, and
then changed by an overrides file (TOML), so that card and base can differ on purpose:

    [[insured]]
    nir = "…"                  # 13 characters, or 15 with its key
    birth_date = 1980-01-31    # one beneficiary; without it, everybody on this card
    known = false              # absent from the base
    exemptions = ["ald"]       # what is on file: ald, maternity, css, ame, aspa; with its days, either open:
    exemptions = [{ kind = "maternity", start = 2026-03-01, end = 2026-11-30 }]
    css_insurer = "99999999"   # the insurer that runs the solidarity cover; "" for the caisse itself
    css_contribution = true    # the solidarity cover is paid for, a little
    rights = [[2020-01-01, 2030-12-31]]
    alsace_moselle = true
    organism = "02-349"        # régime and organism that insures them now: another one does not know them
    notes = ["no-doctor"]      # paid-before, deceased, new-number, no-doctor, no-accident
    doctor = "991001017"       # billing number of the médecin traitant, declared on
    doctor_since = 2026-03-01
    iban = "FR76…"             # the account of the insured person, "" for none
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gateway.billing.exemption import Exemption, in_force
from gateway.errors import InputError
from tools.receiver.config import read_rows
from tools.receiver.iban import read_iban

EXEMPTIONS = ("ald", "maternity", "css", "ame", "aspa")
NOTES = ("paid-before", "deceased", "new-number", "no-doctor", "no-accident")
_KEYS = {
    "nir", "birth_date", "known", "exemptions", "rights", "alsace_moselle", "organism", "notes", "doctor",
    "doctor_since", "css_insurer", "css_contribution", "iban",
}  # fmt: skip
_BILLING = re.compile(r"\d{9}|")
_INSURER_DIGITS = 10
_ORGANISM = re.compile(r"\d{2}-\d{3}")

Period = tuple[date, date]
"""First and last day, both included."""


@dataclass(frozen=True)
class Insured:
    """One beneficiary as the caisse knows them. `birth_date` is AAMMJJ, as an invoice writes it.

    `exemptions`: words of EXEMPTIONS; those with days in `dated` hold only then, the others always.
    `organism`: régime and organism that insures them, such as "01-349"; "" stands for whoever asks.
    `notes`: what else the file says, words of NOTES. `doctor`: billing number of the médecin traitant, from
    `doctor_since` on, "" when the file names none. `css_insurer`: ten digits of the insurer that runs the
    solidarity cover, "" for the caisse. `iban`: the account of the insured person, "" for none.
    """

    nir: str = field(repr=False)
    birth_date: str = field(repr=False)
    rights: tuple[Period, ...] = ()
    exemptions: frozenset[str] = frozenset()
    alsace_moselle: bool = False
    name: str = field(default="", repr=False)
    first_name: str = field(default="", repr=False)
    organism: str = ""
    notes: frozenset[str] = frozenset()
    dated: tuple[Exemption, ...] = ()
    doctor: str = ""
    doctor_since: date | None = None
    css_insurer: str = ""
    css_contribution: bool = False
    iban: str = field(default="", repr=False)

    def held_on(self, on: date) -> frozenset[str]:
        """The exemptions that hold on this day."""
        with_days = {one.kind for one in self.dated}
        return (self.exemptions - with_days) | (in_force(self.dated, on) & self.exemptions)

    def doctor_on(self, on: date) -> str:
        """The médecin traitant on this day, "" for none."""
        return self.doctor if self.doctor_since is None or self.doctor_since <= on else ""

    def has_rights(self, on: date) -> bool:
        """Whether a period of rights holds on this day."""
        return any(start <= on <= end for start, end in self.rights)


class InsuredBase:
    """Everybody insured, by NIR of the insured person and birth date of the beneficiary."""

    def __init__(self, people: Iterable[Insured]) -> None:
        self._people: dict[str, list[Insured]] = {}
        for person in people:
            self._people.setdefault(person.nir, []).append(person)

    def find(self, nir: str, birth_date: str, organism: str = "") -> Insured | None:
        """The beneficiary as this organism's base has them; None when it does not know them.

        `organism`: régime and organism ("01-349"); "" asks all of them.
        """
        for person in self._people.get(nir, ()):
            if person.birth_date == birth_date and (
                "" in (organism, person.organism) or organism == person.organism
            ):
                return person
        return None

    def of_family(self, nir: str) -> tuple[Insured, ...]:
        """Everybody insured under this NIR (13 characters)."""
        return tuple(self._people.get(nir, ()))

    def declare_doctor(self, nir: str, doctor: str, since: date) -> None:
        """From this day on the family under this NIR has this médecin traitant (billing number)."""
        family = self._people.get(nir, [])
        self._people[nir] = [replace(one, doctor=doctor, doctor_since=since) for one in family]

    @property
    def organisms(self) -> frozenset[str]:
        """Régime and organism ("01-349") of everybody insured."""
        return frozenset(one.organism for group in self._people.values() for one in group if one.organism)

    def __len__(self) -> int:
        return sum(map(len, self._people.values()))

    def overridden(self, path: Path) -> InsuredBase:
        """This base with the changes of an overrides file; InputError names the entry and key at fault."""
        people = [person for group in self._people.values() for person in group]
        for index, row in enumerate(read_rows(path, "overrides", "insured"), 1):
            people = overridden_people(people, row, f"overrides {path.name}, entry {index}")
        return InsuredBase(people)


def overridden_people(people: Sequence[Insured], row: Mapping[str, Any], where: str) -> list[Insured]:
    """These people after one entry; InputError says `where` and which key is at fault."""
    try:
        return _override(people, row, where)
    except TypeError:
        raise InputError(f"{where}: a value is of the wrong kind; see the top of insured.py") from None


def _override(people: Sequence[Insured], row: Mapping[str, Any], where: str) -> list[Insured]:
    if unknown := set(row) - _KEYS:
        raise InputError(f"{where}: unknown key {sorted(unknown)[0]!r}; use {', '.join(sorted(_KEYS))}")
    if set(row.get("notes", ())) - set(NOTES):
        raise InputError(f"{where}: notes are {', '.join(NOTES)}")
    chosen = chosen_people(people, row)
    if not chosen:
        raise InputError(
            f"{where}: nobody in the base has this nir and birth_date; copy them from the profile"
        )
    others = [person for person in people if person not in chosen]
    return (
        others if row.get("known") is False else others + [_changed(person, row, where) for person in chosen]
    )


def insurer_number(text: str) -> str:
    """The ten digits of an insurer from the eight or ten of a card; "" for none."""
    return text.strip().rjust(_INSURER_DIGITS, "0") if text.strip("0 ") else ""


class _Person(Protocol):
    @property
    def nir(self) -> str: ...

    @property
    def birth_date(self) -> str: ...


P = TypeVar("P", bound=_Person)


def chosen_people(people: Iterable[P], row: Mapping[str, Any]) -> list[P]:
    """Those that an entry of an overrides file names by `nir` and, if given, `birth_date`."""
    birth = row.get("birth_date")
    wanted = f"{birth:%y%m%d}" if isinstance(birth, date) else None
    nir = str(row.get("nir", ""))[:13]
    return [person for person in people if person.nir == nir and wanted in (None, person.birth_date)]


def read_periods(value: Any, where: str) -> tuple[Period, ...]:
    """Pairs of dates of an overrides file; InputError says where they are not."""
    periods = tuple(tuple(period) for period in value)
    if not all(len(p) == 2 and all(isinstance(day, date) for day in p) for p in periods):
        raise InputError(f"{where} are pairs of dates, first and last day")
    return periods


def _changed(person: Insured, row: Mapping[str, Any], where: str) -> Insured:
    changes: dict[str, Any] = {}
    if "exemptions" in row:
        found = [_exemption(one, where) for one in row["exemptions"]]
        changes["exemptions"] = frozenset(one.kind for one in found)
        changes["dated"] = tuple(one for one in found if one.start or one.end)
    if "notes" in row:
        changes["notes"] = frozenset(row["notes"])
    if "alsace_moselle" in row:
        changes["alsace_moselle"] = bool(row["alsace_moselle"])
    if "rights" in row:
        changes["rights"] = read_periods(row["rights"], f"{where}: rights")
    if "organism" in row:
        if not _ORGANISM.fullmatch(str(row["organism"])):
            raise InputError(f"{where}: an organism is written like 01-349")
        changes["organism"] = str(row["organism"])
    if "doctor" in row:
        if not _BILLING.fullmatch(str(row["doctor"])):
            raise InputError(f"{where}: a doctor is a billing number of nine digits")
        changes |= {"doctor": str(row["doctor"]), "doctor_since": row.get("doctor_since")}
    if "css_insurer" in row:
        changes["css_insurer"] = insurer_number(str(row["css_insurer"]))
    if "css_contribution" in row:
        changes["css_contribution"] = bool(row["css_contribution"])
    if "iban" in row:
        changes["iban"] = read_iban(str(row["iban"])) if row["iban"] else ""
    return replace(person, **changes)


def _exemption(value: Any, where: str) -> Exemption:
    """A word, or a table with its days."""
    given = value if isinstance(value, Mapping) else {"kind": value}
    if given.get("kind") not in EXEMPTIONS or set(given) - {"kind", "start", "end"}:
        raise InputError(f"{where}: exemptions are {', '.join(EXEMPTIONS)}, alone or with start and end")
    days = [given.get(name) for name in ("start", "end")]
    if any(one is not None and type(one) is not date for one in days):
        raise InputError(f"{where}: start and end of an exemption are dates, such as 2026-03-01")
    return Exemption(given["kind"], *days)
