"""Security records, type 7: the project's own stand-in for what FSE signing really looks like.

7H closes what is signed in an invoice; 7V, 7P, 7K carry base64 in numbered pieces (Vitale seal, signature
of the professional, Vitale certificate). 7L closes what is signed in a lot; 7S and 7C carry the lot
signature and the CPS signature certificate.
"""

from __future__ import annotations

import struct
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from functools import lru_cache

from gateway.records.b2_examples import EXAMPLES
from gateway.records.fields import Field, Record, RecordError, code, const, num, text

PIECE = 117
"""Base64 characters of one record: positions 12 to 128."""
MAX_PIECES = 99
_HEAD_AND_BODY = struct.Struct(f"11s{PIECE}s")


# INVENTED(security-records): how a FSE carries its signatures is not public; records of type 7 do it here.
class SecurityStart(Record):
    """7H: what the cards sign beyond B2: mode, card serials, moment, destination, third-party payment."""

    NAME = "7H"
    EXAMPLES = EXAMPLES["7H"]
    FIELDS = (
        const(1, "7"),
        code("ps", 2, 9),
        const(11, "H"),
        text("national_id", 12, 12),
        num("invoice", 30, 9),
        num("mode", 39, 1),
        code("elaborated", 40, 14),
        const(54, "S256"),
        text("vitale_serial", 58, 20),
        text("cps_serial", 78, 20),
        num("third_party", 98, 1),
        text("pathway", 99, 2),
        code("centre", 101, 3),
        code("organism", 104, 3),
        # INVENTED(rectified-in-7h): where an invoice names the one it rectifies is not public; 7H 107 to 121.
        text("rectifies", 107, 9),
        text("rectified_date", 116, 6),
        const(128, "1"),
    )


class LotSecurity(Record):
    """7L: signer, mail number and the digest (SHA-256, hex) of the digests of the invoices in order."""

    NAME = "7L"
    EXAMPLES = EXAMPLES["7L"]
    FIELDS = (
        const(1, "7"),
        code("ps", 2, 9),
        const(11, "L"),
        text("national_id", 12, 12),
        code("compostage", 24, 19),
        text("invoices", 43, 64),
        const(128, "1"),
    )


class Piece(Record):
    """7V, 7P, 7K, 7S, 7C: piece `index` of `total` of one base64 text of `size` characters."""

    NAME = "7*"
    EXAMPLES = EXAMPLES["7*"]
    FIELDS = (
        const(1, "7"),
        num("index", 2, 2),
        num("total", 4, 2),
        num("size", 6, 5),
        text("letter", 11, 1),
        Field("body", 12, PIECE, "blob"),
    )


def split(value: bytes, letter: str) -> bytes:
    """Any bytes as numbered records 7`letter`; no record for no bytes."""
    text = b2a_base64(value, newline=False)
    heads = _heads(letter, len(text))
    if len(heads) > MAX_PIECES:
        raise RecordError(f"record 7{letter}: {len(value)} bytes need more than {MAX_PIECES} records")
    pieces = (text[at : at + PIECE].ljust(PIECE) for at in range(0, len(text), PIECE))
    return b"".join(head + piece for head, piece in zip(heads, pieces, strict=True))


def join(records: bytes, letter: str) -> bytes:
    """What `split` was given; RecordError unless the records are exactly what `split` writes."""
    heads, bodies = [], []
    for head, body in _HEAD_AND_BODY.iter_unpack(records):
        heads.append(head)
        bodies.append(body)
    text = b"".join(bodies).rstrip(b" ")
    if heads != _heads(letter, len(text)):
        raise RecordError(f"record 7{letter} is not numbered or filled as it must be", 2)
    try:
        value = a2b_base64(text, strict_mode=True)
    except Base64Error:
        raise RecordError(f"record 7{letter} does not hold base64", 12) from None
    if b2a_base64(value[-(len(value) % 3 or 3) :], newline=False) != text[-4:]:
        raise RecordError(f"record 7{letter} holds base64 with stray bits", 12)
    return value


@lru_cache(maxsize=256)
def _heads(letter: str, size: int) -> list[bytes]:
    """Positions 1 to 11 of the records for `size` base64 characters; not to be changed by who asks."""
    total = -(-size // PIECE)
    return [f"7{i:02d}{total:02d}{size:05d}{letter}".encode("ascii") for i in range(1, total + 1)]


RECORDS: tuple[type[Record], ...] = (SecurityStart, LotSecurity, Piece)
