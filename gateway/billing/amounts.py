"""Exact cents: whole numbers only, each act line rounded half-up once."""

# INVENTED(rounding): official rule files are not public, each act line is rounded half-up to the cent once.

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import lru_cache


def half_up(numerator: int, denominator: int) -> int:
    """A quotient of whole numbers that are not negative, rounded half-up."""
    return (2 * numerator + denominator) // (2 * denominator)


def share(cents: int, percent: int) -> int:
    """A whole percentage of an amount, rounded half-up to the cent."""
    return (cents * percent * 2 + 100) // 200


def scaled(cents: int, coefficient: Decimal, quantity: int) -> int:
    """Amount x coefficient (two decimals at most) x quantity, half-up to the cent."""
    if coefficient == 1:
        return cents * quantity
    return half_up(cents * quantity * int(coefficient * 100), 100)


@lru_cache(maxsize=16_384)
def euros(cents: int) -> str:
    """An amount as a reader of a reason sees it: 23.00 EUR."""
    return f"{cents // 100}.{cents % 100:02d} EUR"


def age_on(day: date, birth: date) -> int:
    """Completed years."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def months_before(day: date, months: int) -> date:
    """The same day of an earlier month; the last day of that month when it has no such day."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    if year < 1:
        return date.min
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1).toordinal() if year < 9999 else 0
    last = following - date(year, month + 1, 1).toordinal() if following else 28
    return date(year, month + 1, min(day.day, last))
