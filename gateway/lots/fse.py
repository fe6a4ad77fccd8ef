"""A FSE as bytes: the draft that cards sign, and the invoice with its seals."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from gateway.lots.organism import Organism
from gateway.lots.parties import InsuredIds, PractitionerIds

if TYPE_CHECKING:
    from gateway.billing.engine import Price
    from gateway.billing.request import CareRequest


@dataclass(frozen=True, slots=True)
class ActLine:
    """One act as billed; amounts in cents. `code`: NGAP letters, or the CCAM code of a 4M record."""

    code: str
    date: str
    quantity: int
    coefficient: Decimal
    unit_cents: int
    base_cents: int
    rate: int
    amo_cents: int
    amc_cents: int
    charged_cents: int
    exemption: str
    specialty: str


@dataclass(frozen=True, slots=True)
class FseView:
    """What an invoice says, decoded, for the receiver's adjudication. Dates are AAMMJJ, amounts cents."""

    number: int
    mode: int
    elaborated: datetime | None
    billing_number: str
    national_id: str = field(repr=False)
    nir: str = field(repr=False)
    nir_key: str = field(repr=False)
    own_nir: str = field(repr=False)
    rank: str
    birth_date: str = field(repr=False)
    birth_rank: str
    regime: str
    caisse: str
    centre: str
    destination: Organism
    care_date: str
    nature: str
    exemption: str
    pathway: str
    third_party: str
    contract_type: str
    complementary_number: str
    vitale_serial: str
    cps_serial: str
    lines: tuple[ActLine, ...]
    base_cents: int
    amo_cents: int
    amc_cents: int
    charged_cents: int


@dataclass(frozen=True, slots=True)
class FseDraft:
    """An invoice ready to be signed: canonical records (2 to 5, then 7H) and their SHA-256 digest (32 bytes)."""

    number: int
    mode: int
    records: bytes = field(repr=False)
    digest: bytes

    def sealed(
        self, vitale_seal: bytes = b"", vitale_certificate: bytes = b"", cps_signature: bytes = b""
    ) -> Fse:
        """The invoice with the signatures its mode asks for; InputError when one is missing or in excess."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Fse:
    """A sealed invoice: every record of it, security records included. `number` is its invoice number."""

    number: int
    mode: int
    records: bytes = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> Fse:
        """Strict reading of one invoice; LotRefusal says what is wrong and where."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """The records one after the other, 128 bytes each."""
        return self.records

    @property
    def destination(self) -> Organism:
        """The organism this invoice goes to."""
        raise NotImplementedError

    @property
    def digest(self) -> bytes:
        """SHA-256 that both cards signed."""
        raise NotImplementedError

    def view(self) -> FseView:
        """Everything decoded."""
        raise NotImplementedError


def encode_fse(
    number: int,
    elaborated: datetime,
    practitioner: PractitionerIds,
    insured: InsuredIds,
    request: CareRequest,
    price: Price,
    *,
    mode: int = 3,
    vitale_serial: str = "",
    cps_serial: str = "",
    accident: date | None = None,
) -> FseDraft:
    """Write one invoice; InputError names the record, field and position of a value that does not fit."""
    raise NotImplementedError
