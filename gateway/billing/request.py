"""What is asked: the care, who gave it, who received it. Plain values, checked where they come in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from gateway.errors import InputError

PATHWAYS = ("T", "N", "R", "O", "M", "U", "H", "J", "B", "D", "S1", "S2")
"""Pathway letters (T médecin traitant … S2 not respected); their effect is a row of tables/rights.toml."""
NATURES = ("maladie", "maternite", "at")
THIRD_PARTIES = ("none", "amo", "full")
ZONES = ("metropole", "antilles", "guyane_reunion", "mayotte")

MAX_ACTS = 20
MAX_QUANTITY = 99  # B2 type 4, positions 81-82: two digits
MAX_COEFFICIENT = Decimal("9999.99")  # B2 type 4, positions 83-88: four digits and two decimals
MAX_CENTS = 9_999_999  # B2 type 4, positions 98-104 and 115-121: seven digits

_CODE = re.compile(r"[A-Z][A-Z0-9]{0,3}")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Practitioner:
    """The billing situation of who gave the care (specialty G100, convention G101, tariff zone)."""

    specialty: str = "01"
    convention: str = "1"
    optam: bool = False
    zone: str = "metropole"


@dataclass(frozen=True, slots=True)
class Beneficiary:
    """The rights that change the price. No identity here: nothing in this room can name a person."""

    birth_date: date = field(repr=False)
    regime: str = "01"
    alsace_moselle: bool = False
    ald: bool = False
    css: bool = False
    ame: bool = False
    aspa: bool = False
    pregnancy_month: int | None = None
    complementary: str | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the sheet. `charged_cents` is what is asked for the whole line; None = the tariff."""

    code: str
    quantity: int = 1
    coefficient: Decimal = Decimal(1)
    charged_cents: int | None = None


@dataclass(frozen=True, slots=True)
class CareRequest:
    """One sheet to price: everything `price` needs beside the dated tables."""

    date: date
    practitioner: Practitioner
    beneficiary: Beneficiary
    acts: tuple[Act, ...]
    pathway: str = "T"
    nature: str = "maladie"
    third_party: str = "none"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CareRequest:
        """Read the JSON form; raises InputError naming the first field that is wrong."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """The JSON form: `from_json(r.to_json()) == r`."""
        raise NotImplementedError


def check_dates(request: CareRequest, today: date) -> None:
    """Refuse care in the future and care before the birth; raises InputError naming the field."""
    raise NotImplementedError
