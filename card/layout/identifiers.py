"""Identifiers of practitioners, structures and cards that end with a Luhn digit (ISO/IEC 7812-1, annex B)."""

from __future__ import annotations

import re


class IdentifierError(ValueError):
    """An identifier cannot be right. The sentence names which one and why, without its digits."""


def luhn_digit(digits: str) -> int:
    """The digit (0..9) that makes `digits` followed by it pass the Luhn check.

    >>> luhn_digit("80250000019921384" + "5")
    0
    """
    if not (digits.isascii() and digits.isdecimal()):
        raise IdentifierError("a Luhn key is computed over decimal digits only")
    total = 0
    for rank, char in enumerate(reversed(digits)):
        value = int(char) * (2 if rank % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return -total % 10


def passes_luhn(digits: str) -> bool:
    """True when the last digit of `digits` is the Luhn digit of the others."""
    if len(digits) < 2 or not (digits.isascii() and digits.isdecimal()):
        return False
    return luhn_digit(digits[:-1]) == int(digits[-1])


def check_rpps(rpps: str) -> str:
    """An RPPS number: 11 digits, the last one Luhn. Real ones start with 1, test ones here with 99.

    Raises IdentifierError.
    """
    if not re.fullmatch(r"(?:1\d|99)\d{9}", rpps, re.ASCII):
        raise IdentifierError("an RPPS number has 11 digits and starts with 1 (99 for test people)")
    if not passes_luhn(rpps):
        raise IdentifierError("the key (last digit) of the RPPS number is wrong")
    return rpps


def national_id(rpps: str) -> str:
    """The PS identifier of table G08: type 8 (RPPS) followed by the 11 digits."""
    return "8" + check_rpps(rpps)


def check_billing_number(number: str) -> str:
    """A billing (ADELI) number: 8 digits and their Luhn key, 9 digits as in B2. Raises IdentifierError."""
    if not re.fullmatch(r"\d{9}", number, re.ASCII):
        raise IdentifierError("a billing number has 9 digits: 8 and a key")
    if not passes_luhn(number):
        raise IdentifierError("the key (last digit) of the billing number is wrong")
    return number


def check_finess(finess: str) -> str:
    """A FINESS number: 9 characters, the last one Luhn. Raises IdentifierError.

    In Corsica (2A, 2B) the letter is read as 0 for the key.
    """
    if not re.fullmatch(r"(?:\d\d|2[AB])\d{7}", finess, re.ASCII):
        raise IdentifierError("a FINESS number has 9 digits (department 2A or 2B allowed)")
    if not passes_luhn(finess.replace("A", "0").replace("B", "0")):
        raise IdentifierError("the key (last digit) of the FINESS number is wrong")
    return finess


def organism_key(code: str) -> int:
    """The key of a B2 organism number (types 1 and 2): Luhn over the code."""
    return luhn_digit(code)
