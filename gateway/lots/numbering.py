"""Rules of numbers: invoice, lot, file and mail (facts: B2 30-38, 1:20-22, 000:50-55; compostage)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gateway.errors import InputError

MAX_INVOICE_NUMBER = 999_999_999
MAX_LOT_NUMBER = 999
LOT_REUSE_DAYS = 90
_FILE_ID = re.compile(r"[0-9A-Z]{6}")
_COMPOSTAGE = re.compile(r"[0-9]{19}")


@dataclass(frozen=True, slots=True)
class LotNumbers:
    """The numbers reserved for one lot before it is built: all four are used once and for ever."""

    lot_number: int
    lot_date: date
    file_id: str
    compostage: str


def check_invoice_number(number: int) -> int:
    """An invoice number is 1 to 999 999 999 (B2 30-38: nine digits, never 0)."""
    if not 1 <= number <= MAX_INVOICE_NUMBER:
        raise InputError(f"invoice number {number} is outside 1 to {MAX_INVOICE_NUMBER}; reserve another one")
    return number


def check_numbers(numbers: LotNumbers) -> LotNumbers:
    """All four numbers of a lot have their shape; InputError names the one that has not."""
    if not 1 <= numbers.lot_number <= MAX_LOT_NUMBER:
        raise InputError(f"lot number {numbers.lot_number} is outside 1 to {MAX_LOT_NUMBER}")
    if not _FILE_ID.fullmatch(numbers.file_id):
        raise InputError("a file id has six characters of 0-9 and A-Z")
    if not _COMPOSTAGE.fullmatch(numbers.compostage):
        raise InputError("a compostage has 19 digits: AAAAMMJJhhmmss and five more")
    return numbers


def compostage(moment: datetime, counter: int) -> str:
    """The 19 digits of a mail: AAAAMMJJhhmmss and a counter of five digits."""
    return f"{moment:%Y%m%d%H%M%S}{counter % 100_000:05d}"


def file_id(counter: int) -> str:
    """The six characters of the `counter`-th file of a sender (decimal; 000001 is the first)."""
    if not 1 <= counter <= 999_999:
        raise InputError(f"file counter {counter} is outside 1 to 999999")
    return f"{counter:06d}"


def next_lot_number(last: int) -> int:
    """The number after `last`: 001 follows 999."""
    return last % MAX_LOT_NUMBER + 1


def may_reuse(used_on: date, today: date) -> bool:
    """True when a lot number used on `used_on` is free again: more than 90 days later."""
    return today - used_on > timedelta(days=LOT_REUSE_DAYS)
