"""What care costs and who pays, in exact cents: the order of computation, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gateway.billing.request import CareRequest
from gateway.billing.tables import Tables


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One act line in cents; `rate` is a whole percentage of the base paid by AMO."""

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


@dataclass(frozen=True, slots=True)
class Price:
    """A priced sheet in cents: sums of its lines, the nature of insurance, and why."""

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

    def to_json(self) -> dict[str, Any]:
        """The JSON form of the price."""
        raise NotImplementedError


def price(request: CareRequest, tables: Tables) -> Price:
    """Price one sheet; raises InputError naming the field that cannot be priced."""
    raise NotImplementedError
