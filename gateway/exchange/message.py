"""The mail that carries a lot, a receipt or a payment return: bytes in, bytes out, strict both ways."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

ENVELOPED = "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"
AUTH_ENVELOPED = "application/pkcs7-mime; smime-type=authEnveloped-data; name=smime.p7m"
EDI = "Application/EDI-consent"

MAX_MESSAGE = 8 * 1024 * 1024
MAX_UNPACKED = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Subject:
    """`SV010000/<sender 14>/<compostage 19>/<count 5>`; kind is IR (degraded B2) or SV (SESAM)."""

    version: str
    sender: str
    compostage: str
    count: int
    kind: str = "SV"

    def format(self) -> str:
        """The Subject header text; raises InputError naming the part that is wrong."""
        raise NotImplementedError

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Read a Subject header text; raises InputError."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One mail to build. `message_id` is without angle brackets; `date` is aware, whole seconds."""

    sender: str
    recipient: str
    subject: str
    message_id: str
    date: datetime
    description: str
    payload: bytes = field(repr=False)
    content_type: str = ENVELOPED


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """One mail as read: the same fields, decoded."""

    sender: str
    recipient: str
    subject: str
    message_id: str
    date: datetime
    description: str
    payload: bytes = field(repr=False)
    content_type: str


@dataclass(frozen=True, slots=True)
class InnerPart:
    """The MIME entity inside the signature and the envelope."""

    description: str
    payload: bytes = field(repr=False)


def organism_address(regime: str, organism: str) -> str:
    """`organism_address("01", "422") == "01422@422.01.rss.fr"`."""
    raise NotImplementedError


def build(message: OutgoingMessage) -> bytes:
    """The whole mail, CRLF lines, base64 lines of 64; raises InputError naming the field."""
    raise NotImplementedError


def parse(raw: bytes, limit: int = MAX_MESSAGE) -> IncomingMessage:
    """Read one mail strictly; raises InputError with a sentence."""
    raise NotImplementedError


def inner_part(description: str, payload: bytes) -> bytes:
    """The EDI-consent entity that gets signed and enveloped; `payload` is usually `pack(text)`."""
    raise NotImplementedError


def parse_inner(part: bytes) -> InnerPart:
    """Read what `inner_part` wrote; raises InputError."""
    raise NotImplementedError


def pack(text: bytes) -> bytes:
    """gzip with no time and no name: the same text gives the same bytes."""
    raise NotImplementedError


def unpack(data: bytes, limit: int = MAX_UNPACKED) -> bytes:
    """Bounded gunzip of exactly one member; raises TrustError (bomb, damage, trailing bytes)."""
    raise NotImplementedError
