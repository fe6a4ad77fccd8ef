"""Security records, type 7: the project's own stand-in for what FSE signing really looks like.

7H closes what is signed in an invoice; 7V, 7P, 7K carry base64 in numbered pieces (Vitale seal, signature
of the professional, Vitale certificate). 7L closes what is signed in a lot; 7S and 7C carry the lot
signature and the CPS signature certificate.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error

from gateway.records.b2_examples import EXAMPLES
from gateway.records.fields import Field, Record, RecordError, code, const, num, text

PIECE = 117
"""Base64 characters of one record: positions 12 to 128."""
MAX_PIECES = 99


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
    body = b64encode(value).decode("ascii")
    total = -(-len(body) // PIECE)
    if total > MAX_PIECES:
        raise RecordError(f"record 7{letter}: {len(value)} bytes need more than {MAX_PIECES} records")
    pieces = (body[at : at + PIECE] for at in range(0, len(body), PIECE))
    head = f"{total:02d}{len(body):05d}{letter}"
    return "".join(f"7{i:02d}{head}{piece:<{PIECE}}" for i, piece in enumerate(pieces, 1)).encode("ascii")


def join(records: bytes, letter: str) -> bytes:
    """What `split` was given; RecordError unless the records are exactly what `split` writes."""
    body = b"".join(records[at + 11 : at + 128] for at in range(0, len(records), 128))
    try:
        value = b64decode(body.rstrip(b" "), validate=True)
    except Base64Error:
        raise RecordError(f"record 7{letter} does not hold base64", 12) from None
    if split(value, letter) != records:
        raise RecordError(f"record 7{letter} is not numbered or filled as it must be", 2)
    return value


RECORDS: tuple[type[Record], ...] = (SecurityStart, LotSecurity, Piece)
