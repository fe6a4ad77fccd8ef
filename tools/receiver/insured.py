"""The caisse's own files: the people it insures and the professionals it knows.

Both are built from the shipped card profiles, so that every card of the bench is known to the caisse, and
then changed by an overrides file (TOML), so that card and base can differ on purpose:

    [[insured]]
    nir = "…"                  # 13 characters, or 15 with its key
    birth_date = 1980-01-31    # one beneficiary; without it, everybody on this card
    known = false              # absent from the base
    exemptions = []            # what is on file: ald, maternity, css, ame, aspa
    rights = [[2020-01-01, 2030-12-31]]
    alsace_moselle = true
    organism = "02-349"        # régime and organism that insures them now: another one does not know them
    notes = ["no-doctor"]      # paid-before, deceased, new-number, no-doctor, no-accident
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gateway.errors import InputError
from tools.receiver.config import read_rows

EXEMPTIONS = ("ald", "maternity", "css", "ame", "aspa")
NOTES = ("paid-before", "deceased", "new-number", "no-doctor", "no-accident")
_KEYS = {"nir", "birth_date", "known", "exemptions", "rights", "alsace_moselle", "organism", "notes"}
_ORGANISM = re.compile(r"\d{2}-\d{3}")

Period = tuple[date, date]
"""First and last day, both included."""


@dataclass(frozen=True)
class Insured:
    """One beneficiary as the caisse knows them. `birth_date` is AAMMJJ, as an invoice writes it.

    `organism`: régime and organism that insures them, such as "01-349"; "" stands for whoever asks.
    `notes`: what else the file says, words of NOTES.
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
    if set(row.get("exemptions", ())) - set(EXEMPTIONS):
        raise InputError(f"{where}: exemptions are {', '.join(EXEMPTIONS)}")
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
        changes["exemptions"] = frozenset(row["exemptions"])
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
    return replace(person, **changes)
