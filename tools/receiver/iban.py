"""International account numbers (ISO 13616): reading, check digits (ISO 7064, MOD 97-10), and test accounts.

A French IBAN has 27 characters, its RIB inside: bank 5, branch 5, account 11, key 2 (MOD 97 too).
"""

from __future__ import annotations

import re
import string

from gateway.errors import InputError

_SHAPE = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_FRENCH = re.compile(r"FR[0-9]{12}[A-Z0-9]{11}[0-9]{2}")
_RIB_LETTERS = str.maketrans(string.ascii_uppercase, "12345678912345678923456789")
"""The key of a RIB counts A J as 1, B K S as 2, … I R Z as 9."""
# INVENTED(test-bank): no bank has the code 99999 here: accounts of the bench are in it, and in it alone.
TEST_BANK, TEST_BRANCH = "99999", "00001"


def read_iban(text: str) -> str:
    """An IBAN without its spaces, in capitals; InputError when its check digits or its RIB key are wrong."""
    iban = "".join(text.split()).upper()
    if not _SHAPE.fullmatch(iban) or _remainder(iban) != 1:
        raise InputError("Ce numéro de compte (IBAN) n'est pas valable : recopiez-le du relevé (RIB).")
    if iban.startswith("FR") and not (_FRENCH.fullmatch(iban) and _is_rib(iban[4:])):
        raise InputError("Ce numéro de compte (IBAN) n'est pas valable : sa clé RIB est fausse.")
    return iban


def _remainder(iban: str) -> int:
    """ISO 7064 MOD 97-10 over the number with its first four characters last; letters count 10 to 35."""
    return int("".join(str(int(one, 36)) for one in iban[4:] + iban[:4])) % 97


def _is_rib(rib: str) -> bool:
    return int(rib[:21].translate(_RIB_LETTERS) + rib[21:]) % 97 == 0


def make_iban(account: int) -> str:
    """The French IBAN of a test account (up to 11 digits) in the bank that does not exist."""
    body = f"{TEST_BANK}{TEST_BRANCH}{account:011d}"
    rib = f"{body}{97 - int(body) * 100 % 97:02d}"
    return f"FR{98 - _remainder(f'FR00{rib}'):02d}{rib}"


def masked(iban: str) -> str:
    """What may be shown: country, check digits and the last three characters."""
    return f"{iban[:4]} •••• {iban[-3:]}"
