"""The NIR, the French social security number: 13 characters and a key of two digits.

Shape: sex (1), year (2), month (2), department (2, or `2A`/`2B`), commune (3), order (3), key (2).
The texts of errors never quote the number.
"""

from __future__ import annotations

import re

_NIR13 = re.compile(r"[1-478]\d{4}(?:\d\d|2A|2B)\d{6}")
# Both Corsican departments are read as a number less an offset: 2A is 20 - 1, 2B is 20 - 2 (millions).
_CORSICA = {"2A": 1_000_000, "2B": 2_000_000}


class NirError(ValueError):
    """The NIR cannot be right. The sentence says why, without the number."""


def nir_key(nir13: str) -> int:
    """The key (1..97) of the first 13 characters: 97 less the number modulo 97.

    Raises NirError when the 13 characters do not have the shape of a NIR.

    >>> nir_key("2501962643002")
    68
    """
    if not _NIR13.fullmatch(nir13):
        raise NirError("a NIR has 13 digits (department 2A or 2B allowed) and starts with 1, 2, 3, 4, 7 or 8")
    department = nir13[5:7]
    offset = _CORSICA.get(department)
    if offset is None:
        return 97 - int(nir13) % 97
    return 97 - (int(nir13[:5] + "20" + nir13[7:]) - offset) % 97


def check_nir(nir15: str) -> str:
    """The NIR with its key (15 characters, blanks removed) when right; raises NirError when not."""
    compact = nir15.replace(" ", "")
    if len(compact) != 15:
        raise NirError(f"a NIR with its key has 15 characters, got {len(compact)}")
    if not compact[13:].isdecimal():
        raise NirError("the last two characters of a NIR, its key, are digits")
    if int(compact[13:]) != nir_key(compact[:13]):
        raise NirError("the key of the NIR is wrong")
    return compact


def is_test_nir(nir13: str) -> bool:
    """True when the birth month exists in no register (13-19, 43-49): the number can belong to nobody.

    Months 20 to 42 and 50 to 99 are kept for people whose register is incomplete.
    """
    return nir13[3] in "14" and 13 <= int(nir13[3:5]) <= 49 and nir13[4] in "3456789"
