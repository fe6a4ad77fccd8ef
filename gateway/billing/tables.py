"""The dated tables: acts, rates, rights, pathway effects, contracts, conventions. Data, checked when loaded.

A row holds in its zones from `since` to `until` (both days included) and names its source; a row that does
not say so is refused, and so are two rows that answer the same question on the same day.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from gateway.billing.request import ZONES
from gateway.errors import InputError

DIRECTORY = Path(__file__).with_name("tables")
_KEPT_DAYS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What every row says: where and when it holds, and who says so."""

    zones: tuple[str, ...]
    since: date
    source: str
    until: date | None = None

    def holds(self, day: date, zone: str) -> bool:
        """True when the row is in force on this day in this zone."""
        return self.since <= day and (self.until is None or day <= self.until) and zone in self.zones

    def answers(self) -> Iterable[Hashable]:
        """The questions this row answers; two rows in force together never share one."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ActRow(Row):
    """The tariff of one or several acts, in cents, and the conditions to bill them."""

    codes: tuple[str, ...]
    label: str
    family: str
    specialties: tuple[str, ...]
    tariff: str
    cents: int
    scaled: bool = False
    no_excess: bool = False
    below_age: int | None = None
    with_: tuple[str, ...] = ()
    pathways: tuple[str, ...] = ()

    def answers(self) -> Iterable[Hashable]:
        """One per code, tariff and specialty."""
        return ((code, self.tariff, specialty) for code in self.codes for specialty in self.specialties)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow(Row):
    """The share of the base that AMO pays for a family of acts in a scheme."""

    family: str
    scheme: str
    percent: int

    def answers(self) -> Iterable[Hashable]:
        """Family and scheme."""
        return ((self.family, self.scheme),)


@dataclass(frozen=True, slots=True, kw_only=True)
class RightRow(Row):
    """A right that lifts the rate, spares the patient an advance, or names the nature of insurance."""

    when: str
    label: str
    percent: int
    exemption_code: str
    third_party: str
    shields: bool
    nature_code: str = ""
    contract: str = ""
    from_month: int | None = None

    def answers(self) -> Iterable[Hashable]:
        """The condition."""
        return (self.when,)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathwayRow(Row):
    """What a pathway letter means: `in` or `out`."""

    letters: tuple[str, ...]
    effect: str

    def answers(self) -> Iterable[Hashable]:
        """The letters."""
        return self.letters


@dataclass(frozen=True, slots=True, kw_only=True)
class OutRow(Row):
    """The rate outside the pathway, and the age from which it applies."""

    families: tuple[str, ...]
    percent: int
    from_age: int

    def answers(self) -> Iterable[Hashable]:
        """The families."""
        return self.families


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRow(Row):
    """What a complementary contract pays of the ticket modérateur and of the excess."""

    name: str
    label: str
    copayment_percent: int
    excess_percent: int

    def answers(self) -> Iterable[Hashable]:
        """The name."""
        return (self.name,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConventionRow(Row):
    """Which tariff a convention code has: `opposable` or `free`."""

    codes: tuple[str, ...]
    tariff: str

    def answers(self) -> Iterable[Hashable]:
        """The codes."""
        return self.codes


_R = TypeVar("_R", bound=Row)


class DayTables:
    """The rows in force on one day in one zone, ready for look-up by key."""

    __slots__ = ("acts", "contracts", "conventions", "out", "pathways", "rates", "rights")

    def __init__(self, rows: Iterable[Row]) -> None:
        kept: dict[type[Row], dict[Any, Any]] = defaultdict(dict)
        for row in rows:
            kept[type(row)].update(dict.fromkeys(row.answers(), row))
        self.acts: Mapping[tuple[str, str, str], ActRow] = kept[ActRow]
        self.rates: Mapping[tuple[str, str], RateRow] = kept[RateRow]
        self.rights: tuple[RightRow, ...] = tuple(kept[RightRow].values())
        self.pathways: Mapping[str, PathwayRow] = kept[PathwayRow]
        self.out: Mapping[str, OutRow] = kept[OutRow]
        self.contracts: Mapping[str, ContractRow] = kept[ContractRow]
        self.conventions: Mapping[str, ConventionRow] = kept[ConventionRow]


class Tables:
    """Every row that a price may rest on."""

    KINDS: ClassVar[Mapping[str, type[Row]]] = {
        "act": ActRow,
        "rate": RateRow,
        "right": RightRow,
        "pathway": PathwayRow,
        "out_of_pathway": OutRow,
        "contract": ContractRow,
        "convention": ConventionRow,
    }

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = tuple(rows)
        self.acts = tuple(row for row in self._rows if isinstance(row, ActRow))
        self._days: dict[tuple[date, str], DayTables] = {}
        _refuse_overlaps(self._rows)

    @classmethod
    def load(cls, directory: Path = DIRECTORY) -> Tables:
        """Read every TOML file of the directory; raises InputError naming file and row."""
        rows: list[Row] = []
        for path in sorted(directory.glob("*.toml")):
            try:
                data = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise InputError(
                    f"{path.name}: not a readable table file ({error}); correct the file."
                ) from error
            rows.extend(cls._file_rows(path.name, data))
        if not rows:
            raise InputError(
                f"{directory.name}: no table rows were found; give a directory of .toml table files."
            )
        return cls(rows)

    @classmethod
    def _file_rows(cls, name: str, data: Mapping[str, Any]) -> Iterable[Row]:
        groups = data.get("groups", {})
        for kind, items in data.items():
            if kind == "groups":
                continue
            if kind not in cls.KINDS or not isinstance(items, list):
                raise InputError(f"{name}: [[{kind}]] is not a kind of table; use {', '.join(cls.KINDS)}.")
            for index, item in enumerate(items, 1):
                yield _read_row(cls.KINDS[kind], item, f"{name}, {kind} row {index}", groups)

    def on(self, day: date, zone: str) -> DayTables:
        """The rows in force on this day in this zone (kept, so that a second question costs nothing)."""
        found = self._days.get((day, zone))
        if found is None:
            if len(self._days) >= _KEPT_DAYS:
                self._days.clear()
            found = self._days[day, zone] = DayTables(row for row in self._rows if row.holds(day, zone))
        return found

    def rows_of(self, code: str) -> tuple[ActRow, ...]:
        """Every row of an act, whatever the day: to say why an act cannot be billed."""
        return tuple(row for row in self.acts if code in row.codes)


def _read_row(kind: type[_R], data: object, place: str, groups: Mapping[str, list[str]]) -> _R:
    if not isinstance(data, Mapping):
        raise InputError(f"{place}: a row is a table of values; correct the file.")
    given = {("with_" if name == "with" else name): value for name, value in data.items()}
    if "specialties" in given:
        given["specialties"] = [code for name in given["specialties"] for code in groups.get(name, [name])]
    known = {field.name: field for field in fields(kind)}
    for name in given:
        if name not in known:
            raise InputError(
                f"{place}: {name} is not a field of this kind of row; remove it or correct its name."
            )
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name in given:
            values[name] = _value(given[name], str(field.type), f"{place}: {name.rstrip('_')}")
        elif field.default is MISSING:
            raise InputError(
                f"{place}: {name.rstrip('_')} is missing; a row without it is not used, complete it."
            )
    return _checked(kind(**values), place)


_TYPES: Mapping[str, type] = {"str": str, "int": int, "bool": bool, "date": date}


def _value(value: object, kind: str, place: str) -> object:
    """One value of the annotated kind (`tuple[str, ...]` is written as a list)."""
    if kind.startswith("tuple"):
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise InputError(f"{place} must be a list of texts that is not empty; correct it.")
    wanted = _TYPES[kind.removesuffix(" | None")]
    if type(value) is not wanted or value == "":
        raise InputError(f"{place} must be a {wanted.__name__} that is not empty; correct it.")
    return value


def _checked(row: _R, place: str) -> _R:
    if row.until is not None and row.until < row.since:
        raise InputError(f"{place}: until is before since; correct one of the two dates.")
    for zone in row.zones:
        if zone not in ZONES:
            raise InputError(f"{place}: zone {zone!r} is not known; use {', '.join(ZONES)}.")
    for name, bottom, top in _RANGES:
        value = getattr(row, name, None)
        if value is not None and not bottom <= value <= top:
            raise InputError(f"{place}: {name} {value} is not between {bottom} and {top}; correct it.")
    for name, allowed in _CHOICES.items():
        value = getattr(row, name, None)
        if value is not None and value not in allowed:
            raise InputError(f"{place}: {name} {value!r} is not known; use one of {', '.join(allowed)}.")
    return row


_RANGES = (
    ("percent", 0, 100),
    ("copayment_percent", 0, 100),
    ("excess_percent", 0, 100),
    ("cents", 0, 9_999_999),
    ("from_month", 1, 9),
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "tariff": ("any", "opposable", "free"),
    "effect": ("in", "out"),
    "scheme": ("general", "alsace_moselle"),
    "third_party": ("none", "amo", "full"),
    "when": ("at", "maternity", "ald", "css", "ame", "aspa"),
}


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
