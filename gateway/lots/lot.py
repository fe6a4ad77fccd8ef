"""Lots and files: 000, then 1 … 6, then 999, with counters and totals that are true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.lots.fse import Fse
from gateway.lots.numbering import LotNumbers
from gateway.lots.organism import Organism

MAX_LOT_RECORDS = 950
MAX_FILE_RECORDS = 999


@dataclass(frozen=True, slots=True)
class LotHeader:
    """One practitioner, one destination, one family of modes, and the numbers reserved for the lot.

    `billing_number` 9 digits, `national_id` as in the CPS certificate, `created` the moment of building.
    The sender number of the file (14 digits) is the billing number with zeros in front.
    """

    billing_number: str
    national_id: str = field(repr=False)
    name: str = field(repr=False)
    destination: Organism
    numbers: LotNumbers
    created: datetime
    family: str = "signed"
    test: bool = True

    @property
    def sender(self) -> str:
        """B2 000, 6-19."""
        return self.billing_number.rjust(14, "0")


@dataclass(frozen=True, slots=True)
class LotDraft:
    """A lot ready to be signed; `digest` (SHA-256, 32 bytes) covers 000, 1, 7L, every invoice in order, 6."""

    header: LotHeader
    fses: tuple[Fse, ...]
    digest: bytes

    def signed(self, signature: bytes = b"", certificate: bytes = b"") -> Lot:
        """The lot with the CPS signature (256 bytes) and the signature certificate (DER)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Lot:
    """A signed lot, alone in its file: `file` is 000 … 999, exactly as it will be sent."""

    header: LotHeader
    fses: tuple[Fse, ...]
    digest: bytes
    file: bytes = field(repr=False)

    @property
    def count(self) -> int:
        """Number of invoices."""
        return len(self.fses)


def cut(fses: Iterable[Fse]) -> tuple[tuple[Fse, ...], ...]:
    """Share out invoices (kept in order) over as few lots as the limit of 950 records allows."""
    raise NotImplementedError


def build_lot(header: LotHeader, fses: Sequence[Fse]) -> LotDraft:
    """Check that the invoices belong together (practitioner, destination, family, numbers) and count them."""
    raise NotImplementedError
