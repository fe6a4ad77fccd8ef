"""What pricing gives: the shares of every act line, their sums, and why."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One act line in cents; `rate` is the whole percentage of the base paid by AMO.

    `coefficient`: what B2 writes beside the letters. `letters`: the letters of a coded act (CCAM, NABM, LPP,
    medicine), "" when the code is itself letters. `participation_cents`: the flat-rate participation (PAV)
    that AMO leaves out of a heavy act. `deduction`: the kind of flat deduction the caisse takes later.
    `stay`: days in an establishment, which B2 writes in record 3.
    """

    code: str
    quantity: int
    coefficient: Decimal
    unit_cents: int
    base_cents: int
    rate: int
    amo_cents: int
    amc_cents: int
    charged_cents: int
    excess_cents: int
    patient_cents: int
    exemption_code: str
    letters: str = ""
    activity: str = "1"
    modifiers: str = ""
    association: int | None = None
    participation_cents: int = 0
    deduction: str = ""
    stay: bool = False

    def to_json(self) -> dict[str, Any]:
        """The JSON form of the line; the coefficient is a text, exact."""
        whole = {name: getattr(self, name) for name in _LINE}
        return whole | {"coefficient": str(self.coefficient)}

    @property
    def b2_act(self) -> str:
        """The act of B2 type 4, positions 76-80."""
        return self.letters or self.code


_LINE = tuple(field.name for field in fields(PricedLine))


@dataclass(frozen=True, slots=True)
class Price:
    """A priced sheet in cents: sums of its lines, the nature of insurance, and why.

    `patient_cents` is paid at the desk; what finally stays with the patient is `remaining_cents`.
    `third_party` is what is really done: a right may oblige to more than was asked.
    """

    base_cents: int
    amo_cents: int
    amc_cents: int
    patient_cents: int
    excess_cents: int
    charged_cents: int
    lines: tuple[PricedLine, ...]
    why: tuple[str, ...]
    nature_code: str
    exemption_code: str
    third_party: str = "none"

    @property
    def remaining_cents(self) -> int:
        """The charge less both shares: what no payer gives back (flat deductions apart)."""
        return self.charged_cents - self.amo_cents - self.amc_cents

    def to_json(self) -> dict[str, Any]:
        """The JSON form of the price."""
        return {
            "base_cents": self.base_cents,
            "amo_cents": self.amo_cents,
            "amc_cents": self.amc_cents,
            "patient_cents": self.patient_cents,
            "excess_cents": self.excess_cents,
            "lines": [line.to_json() for line in self.lines],
            "why": list(self.why),
        }
