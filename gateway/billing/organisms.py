"""Régimes and the organisms that receive their invoices, from the dated table organisms.toml.

The tariff zone does not matter here. Without a day, what is in force for ever is meant.
"""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache, lru_cache

from gateway.billing.reading import file_rows
from gateway.billing.rows import CentreRow, RegimeRow
from gateway.billing.tables import DIRECTORY, DayTables, Tables
from gateway.errors import InputError

_FILE = "organisms.toml"
_ZONE = "metropole"
_MUTUAL = "SM"


@cache
def _tables() -> Tables:
    text = (DIRECTORY / _FILE).read_text(encoding="utf-8")
    return Tables(file_rows(_FILE, tomllib.loads(text), {}))


def _on(day: date) -> DayTables:
    return _tables().on(day, _ZONE)


@lru_cache(maxsize=256)
def destination_type(regime: str) -> str:
    """B2 000, positions 26-27, of a régime's organisms; SM, a mutual section, when none is known."""
    known = [row for row in _tables().of_kind(RegimeRow) if row.code == regime]
    return (max(known, key=lambda row: row.since).destination_type if known else "") or _MUTUAL


@lru_cache(maxsize=4096)
def recipient(regime: str, caisse: str, centre: str, day: date = date.max) -> str:
    """The organisme destinataire, three digits, for an insured person's régime, caisse (3) and centre (4).

    InputError when the régime sends its invoices nowhere on that day, or the centre is closed by then.
    """
    _check_centre(regime, centre, day)
    routing = _on(day).routing
    keys = ((regime, caisse, centre), (regime, caisse, ""), (regime, "", ""))
    row = next((routing[key] for key in keys if key in routing), None)
    if row is None or regime not in _on(day).regimes:
        raise InputError(f"regime {regime!r} has no known destination; read the card again")
    if row.to == "caisse-5-to-1":
        return caisse[:2] + "1" if caisse.endswith("5") else caisse
    return {"caisse": caisse, "centre": centre[-3:]}.get(row.to, row.to)


def _check_centre(regime: str, centre: str, day: date) -> None:
    rows = [row for row in _tables().of_kind(CentreRow) if row.regime == regime and centre in row.centres]
    if rows and not any(row.holds(day, _ZONE) for row in rows):
        last = max(rows, key=lambda row: row.since)
        raise InputError(
            f"centre: {centre} ({last.label}) has no insured people outside {last.since} to {last.until}; "
            "have the card updated at a kiosk."
        )
