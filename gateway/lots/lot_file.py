"""Strict reading of a billing file: every counter and total is recomputed and compared."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.lots.fse import Fse


@dataclass(frozen=True, slots=True)
class ReadLot:
    """One lot as read. Nothing in it is trusted before `verify_lot`."""

    billing_number: str
    national_id: str = field(repr=False)
    name: str = field(repr=False)
    organism: str
    lot_number: int
    lot_date: str
    family: str
    compostage: str
    fses: tuple[Fse, ...]
    first_records: tuple[int, ...]
    signature: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    digest: bytes


@dataclass(frozen=True, slots=True)
class BillingFile:
    """A file as read: `digest` is the SHA-256 of its bytes, the one an ARL names."""

    sender: str
    destination: str
    file_id: str
    created: str
    lots: tuple[ReadLot, ...]
    digest: bytes


def parse_file(data: bytes) -> BillingFile:
    """Read 000 … 999; LotRefusal says which record, invoice and position is wrong."""
    raise NotImplementedError
