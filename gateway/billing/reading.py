"""From the values of a TOML table to a checked row; an InputError names the file and the row that is wrong.

Three short forms: `zones = ["all"]`; `source = "@tag"`, a tag of the file's `[sources]`; for acts, `amounts`
= {zone = cents, …} in place of `zones` and `cents`, and names of `[groups]` among the specialties.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.billing.request import ZONES
from gateway.billing.rows import KINDS, ActRow, ModifierRow, Row
from gateway.errors import InputError

MOST_CENTS = 9_999_999
"""B2 has seven digits for an amount."""

_NOT_ROWS = ("groups", "sources")
_TYPES: Mapping[str, type] = {"str": str, "int": int, "bool": bool, "date": date}
_RANGES = (
    ("percent", 0, 100),
    ("copayment_percent", 0, 100),
    ("excess_percent", 0, 100),
    ("cents", 0, MOST_CENTS),
    ("most_cents", 0, MOST_CENTS),
    ("threshold_cents", 1, MOST_CENTS),
    ("from_month", 1, 9),
    ("points", 1, 9_999),
    ("code", 1, 5),
    ("yearly", 1, 366),
)
BROUGHT = ("prevention", "screening", "teleexpertise", "hospital")
"""Rights of acts, whoever the patient is."""
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "tariff": ("any", "opposable", "free"),
    "effect": ("in", "out"),
    "scheme": ("general", "alsace_moselle"),
    "third_party": ("none", "amo", "full"),
    "when": (
        "at",
        "maternity",
        "ald",
        "css",
        "css_contribution",
        "css_insurer",
        "acs",
        "ame",
        "aspa",
        "foreign",
        *BROUGHT,
    ),
    "brings": ("", *BROUGHT),
    "heavy": ("", "together", "alone"),
    "activity": ("1", "2", "3", "4", "5"),
    "nomenclature": ("ccam",),
    "deduction": ("", "visit", "box", "care", "transport"),
    "kind": ("visit", "box", "care", "transport"),
    "account": ("participation", "franchise"),
}


def file_rows(name: str, data: Mapping[str, Any], groups: Mapping[str, list[str]]) -> Iterator[Row]:
    """Every row of one file; `groups` are those of all files."""
    sources = data.get("sources", {})
    for kind, items in data.items():
        if kind in _NOT_ROWS:
            continue
        if kind not in KINDS or not isinstance(items, list):
            raise InputError(f"{name}: [[{kind}]] is not a kind of table; use {', '.join(KINDS)}.")
        for index, item in enumerate(items, 1):
            place = f"{name}, {kind} row {index}"
            if not isinstance(item, Mapping):
                raise InputError(f"{place}: a row is a table of values; correct the file.")
            yield from _rows(KINDS[kind], _long_form(item, place, groups, sources), place)


def _long_form(
    item: Mapping[str, Any], place: str, groups: Mapping[str, list[str]], sources: Mapping[str, str]
) -> dict[str, Any]:
    given = {("with_" if name == "with" else name): value for name, value in item.items()}
    if isinstance(names := given.get("specialties"), list):
        given["specialties"] = [code for name in names for code in groups.get(name, [name])]
    if given.get("zones") == ["all"]:
        given["zones"] = list(ZONES)
    source = given.get("source")
    if isinstance(source, str) and source.startswith("@"):
        if source[1:] not in sources:
            raise InputError(f"{place}: {source} is not one of the [sources] of the file; add it.")
        given["source"] = sources[source[1:]]
    return given


def _rows(kind: type[Row], given: dict[str, Any], place: str) -> Iterator[Row]:
    """One row; or one for each zone of `amounts`."""
    amounts = given.pop("amounts", None) if kind is ActRow else None
    if amounts is None:
        yield _checked(_row(kind, given, place), place)
        return
    if not isinstance(amounts, Mapping) or not amounts:
        raise InputError(f"{place}: amounts must say cents for each zone; correct it.")
    row = _row(kind, given | {"zones": list(amounts), "cents": 0}, place)
    for zone, cents in amounts.items():
        if type(cents) is not int:
            raise InputError(f"{place}: the amount of {zone} must be whole cents; correct it.")
        yield _checked(replace(row, zones=(zone,), cents=cents), place)  # type: ignore[call-arg]


def _row(kind: type[Row], given: Mapping[str, Any], place: str) -> Row:
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
    return kind(**values)


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


def _checked(row: Row, place: str) -> Row:
    if row.until is not None and row.until < row.since:
        raise InputError(f"{place}: until is before since; correct one of the two dates.")
    for zone in row.zones:
        if zone not in ZONES:
            raise InputError(f"{place}: zone {zone!r} is not known; use {', '.join(ZONES)}.")
    for name, bottom, top in _RANGES:
        value = getattr(row, name, None)
        if isinstance(value, int) and not bottom <= value <= top:
            raise InputError(f"{place}: {name} {value} is not between {bottom} and {top}; correct it.")
    for name, allowed in _CHOICES.items():
        value = getattr(row, name, None)
        if value is not None and value not in allowed:
            raise InputError(f"{place}: {name} {value!r} is not known; use one of {', '.join(allowed)}.")
    if isinstance(row, ActRow):
        _one_tariff(row, place)
    if isinstance(row, ModifierRow):
        _one_addition(row, place)
    return row


def _one_tariff(row: ActRow, place: str) -> None:
    ways = (row.cents is not None, bool(row.key_letter and row.points), row.by_charge)
    if sum(ways) != 1:
        raise InputError(
            f"{place}: an act has cents, or key_letter and points, or by_charge; give one of them."
        )


def _one_addition(row: ModifierRow, place: str) -> None:
    if (row.cents is None) == (not row.percent):
        raise InputError(f"{place}: a modifier adds cents or a percent; give one of the two.")
    try:
        percent = Decimal(row.percent or 0)
    except InvalidOperation:
        percent = Decimal(-1)
    if not 0 <= percent <= 100 or percent != percent.quantize(Decimal("0.1")):
        raise InputError(f"{place}: percent {row.percent} is not 0 to 100 with one decimal; correct it.")
