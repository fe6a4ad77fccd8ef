"""ARL: the receiver's acknowledgement of one lot (own layout in NOEMIE syntax)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class ArlReject:
    """One 902 line: the place and the reason. `invoice` 0 means the whole lot."""

    record: int
    invoice: int
    position: int
    error_class: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Arl:
    """One acknowledgement. `digest`: SHA-256 (32 bytes) of the file as received.

    `sender`, `destination`: 14 digits each, of the ARL itself (the caisse sends, the practice receives).
    `file_id`, `lot_number`, `lot_date`, `compostage`: of the lot that is answered. `error_class` and
    `error_code` are "" when positive; `rejects` is empty when positive.
    """

    sender: str
    destination: str
    created: datetime
    lot_date: date
    lot_number: int
    file_id: str
    compostage: str
    received_at: datetime
    positive: bool
    invoices: int
    digest: bytes
    error_class: str = ""
    error_code: str = ""
    rejects: tuple[ArlReject, ...] = ()


def write_arl(arl: Arl) -> bytes:
    """000, 901, 902…, 990, 999 as one ASCII text."""
    raise NotImplementedError


def parse_arl(data: bytes) -> Arl:
    """Strict reading; InputError says what is wrong."""
    raise NotImplementedError
