"""The dated tables: every amount, rate, right and rule that a price rests on. Data, checked when loaded.

A row holds in its zones from `since` to `until` (both days included) and names its source; a row that does
not say so is refused, and so are two rows that answer the same question on the same day. Changing the law is
adding a row.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

from gateway.billing.reading import file_rows
from gateway.billing.rows import (
    ActRow,
    AssociationRow,
    ContractRow,
    ConventionRow,
    DeductionRow,
    HeavyRow,
    ModifierRow,
    OrganismRow,
    OutRow,
    PathwayRow,
    RateRow,
    RegimeRow,
    RightRow,
    RoutingRow,
    Row,
    UpliftRow,
    WithdrawalRow,
)
from gateway.errors import InputError

DIRECTORY = Path(__file__).with_name("tables")
_R = TypeVar("_R", bound=Row)


class DayTables:
    """The rows in force on one day in one zone, ready for look-up by key."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._kept: dict[type[Row], dict[Any, Any]] = defaultdict(dict)
        acts: dict[str, list[ActRow]] = defaultdict(list)
        for row in rows:
            if isinstance(row, ActRow):
                for code in row.codes:
                    acts[code].append(row)
            else:
                self._kept[type(row)].update(dict.fromkeys(row.answers(), row))
        self._found: dict[tuple[str, str, str], Mapping[str, ActRow]] = {}
        self.acts: Mapping[str, tuple[ActRow, ...]] = {code: tuple(found) for code, found in acts.items()}
        self.rates: Mapping[tuple[str, str], RateRow] = self._kept[RateRow]
        self.right: Mapping[str, RightRow] = self._kept[RightRow]
        self.rights: tuple[RightRow, ...] = tuple(self.right.values())
        self.pathways: Mapping[str, PathwayRow] = self._kept[PathwayRow]
        self.out: Mapping[str, OutRow] = self._kept[OutRow]
        self.contracts: Mapping[str, ContractRow] = self._kept[ContractRow]
        self.conventions: Mapping[str, ConventionRow] = self._kept[ConventionRow]
        self.modifiers: Mapping[str, ModifierRow] = self._kept[ModifierRow]
        self.associations: Mapping[int, AssociationRow] = self._kept[AssociationRow]
        self.uplifts: Mapping[str, UpliftRow] = self._kept[UpliftRow]
        self.withdrawals: Mapping[str, WithdrawalRow] = self._kept[WithdrawalRow]
        self.deductions: Mapping[str, DeductionRow] = self._kept[DeductionRow]
        self.regimes: Mapping[str, RegimeRow] = self._kept[RegimeRow]
        self.routing: Mapping[tuple[str, str, str], RoutingRow] = self._kept[RoutingRow]
        self.organisms: Mapping[tuple[str, str], OrganismRow] = self._kept[OrganismRow]
        heavy: Mapping[str, HeavyRow] = self._kept[HeavyRow]
        self.heavy: HeavyRow | None = heavy.get("heavy")

    def act(self, code: str, specialty: str, activity: str = "1") -> Mapping[str, ActRow]:
        """The rows of an act for this specialty and CCAM activity, by tariff (any, opposable, free)."""
        found = self._found.get((code, specialty, activity))
        if found is None:
            found = {
                row.tariff: row
                for row in self.acts.get(code, ())
                if row.activity == activity and specialty in row.specialties
            }
            if found:  # what is not there is not kept: anybody can ask for anything
                self._found[code, specialty, activity] = found
        return found


class Tables:
    """Every row that a price may rest on."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = tuple(rows)
        self.acts = self.of_kind(ActRow)
        self._starts = _starts(self.rows)
        self._days: dict[tuple[int, str], DayTables] = {}
        _refuse_overlaps(self.rows)

    @classmethod
    def load(cls, directory: Path = DIRECTORY) -> Tables:
        """Read every TOML file of the directory; raises InputError naming file and row."""
        files = {path.name: _read(path) for path in sorted(directory.glob("*.toml"))}
        groups = _groups(files)
        rows = [row for name, data in files.items() for row in file_rows(name, data, groups)]
        if not rows:
            raise InputError(
                f"{directory.name}: no table rows were found; give a directory of .toml table files."
            )
        return cls(rows)

    def with_rows(self, rows: Iterable[Row]) -> Tables:
        """These tables and more rows; raises InputError when two rows then answer one question."""
        return Tables((*self.rows, *rows))

    def of_kind(self, kind: type[_R]) -> tuple[_R, ...]:
        """Every row of one kind, whatever the day."""
        return tuple(row for row in self.rows if isinstance(row, kind))

    def on(self, day: date, zone: str) -> DayTables:
        """The rows in force on this day in this zone, kept for all days between two changes of the law."""
        key = (bisect_right(self._starts, day), zone)
        found = self._days.get(key)
        if found is None:
            found = self._days[key] = DayTables(row for row in self.rows if row.holds(day, zone))
        return found

    def rows_of(self, code: str) -> tuple[ActRow, ...]:
        """Every row of an act, whatever the day: to say why an act cannot be billed."""
        return tuple(row for row in self.acts if code in row.codes)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name}: not a readable table file ({error}); correct the file.") from error


def _groups(files: Mapping[str, Mapping[str, Any]]) -> Mapping[str, list[str]]:
    """The named lists of specialties of all files; one name has one meaning."""
    groups: dict[str, list[str]] = {}
    for name, data in files.items():
        for group, codes in data.get("groups", {}).items():
            if group in groups:
                raise InputError(f"{name}: the group {group} is in two files; keep one of them.")
            groups[group] = codes
    return groups


def _starts(rows: Iterable[Row]) -> list[date]:
    """The days on which something changes."""
    days = {row.since for row in rows}
    days |= {row.until + timedelta(days=1) for row in rows if row.until is not None and row.until < date.max}
    return sorted(days)


def _refuse_overlaps(rows: Iterable[Row]) -> None:
    """Two rows that answer one question on one day would make a price a matter of chance."""
    seen: dict[tuple[type[Row], Hashable], list[Row]] = defaultdict(list)
    for row in rows:
        for key in row.answers():
            for other in seen[type(row), key]:
                if _overlap(row, other):
                    raise InputError(
                        f"{type(row).__name__} {key}: two rows are in force together from "
                        f"{max(row.since, other.since)}; close the older one with until."
                    )
            seen[type(row), key].append(row)


def _overlap(one: Row, two: Row) -> bool:
    first, second = (one, two) if one.since <= two.since else (two, one)
    return bool(set(one.zones) & set(two.zones)) and (first.until is None or second.since <= first.until)
