"""The mail that carries a lot, a receipt or a payment return: bytes in, bytes out, strict both ways.

Shape of the public transport note: the S/MIME entity is the whole message, base64 in lines of 64, CRLF.
What is written here is written from validated parts only, so no value can start a header of its own; what is
read is bounded, and one payload has one encoding. `parse(build(m))` gives back every field of `m`.
"""

from __future__ import annotations

import binascii
import re
import struct
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain

import pybase64

from gateway.errors import InputError, TrustError

ENVELOPED = "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"
AUTH_ENVELOPED = "application/pkcs7-mime; smime-type=authEnveloped-data; name=smime.p7m"
EDI = "Application/EDI-consent"

MAX_MESSAGE = 8 * 1024 * 1024
MAX_UNPACKED = 32 * 1024 * 1024
MAX_HEADER = 16 * 1024
MAX_HEADER_LINES = 100

# Written by the editor's software on every mail: <editor>#<software>#<version of the reference base>#A#2.
# INVENTED(x-sv-chiffrement): editor and software names are the project's, only the shape is public.
X_SV_CHIFFREMENT = "TEST#vitale-gateway#1.40#A#2"
# INVENTED(sv-subject): SESAM mails carry SV and a version of six digits where the degraded B2 flow has IR.
SV_VERSION = "010000"
IR_VERSION = "100500"

_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,180}[A-Za-z0-9])?")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9._%+=$/-]{1,120}@[A-Za-z0-9.-]{1,120}")
_PRINTABLE = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")
_DESCRIPTION = re.compile(r"(?:[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*)?")
_SUBJECT = re.compile(r"(IR|SV)([0-9]{6})?/([0-9A-Z]{14})/([0-9]{19})/([0-9]{5})")
_DATE = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?([0-9]{1,2}) ([A-Z][a-z]{2}) ([0-9]{4}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})(?: \([A-Za-z ]{1,40}\))?"
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Subject:
    """`SV010000/<sender 14>/<compostage 19>/<count 5>`; kind is IR (degraded B2) or SV (SESAM).

    `version` is six digits or empty; `compostage` is AAAAMMJJhhmmss and five digits, never used twice.
    """

    version: str
    sender: str
    compostage: str
    count: int
    kind: str = "SV"

    def format(self) -> str:
        """The Subject header text; raises InputError when a part has not its form."""
        text = f"{self.kind}{self.version}/{self.sender}/{self.compostage}/{self.count:05d}"
        if Subject.parse(text) != self:
            raise InputError(
                "subject: the parts do not fit their places; check version, sender and compostage."
            )
        return text

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Read a Subject header text; raises InputError."""
        found = _SUBJECT.fullmatch(text)
        if found is None:
            raise InputError(
                "subject: not of the form SV<6>/<sender 14>/<compostage 19>/<count 5>; the mail is not read."
            )
        kind, version, sender, compostage, count = found.groups()
        _check_moment(compostage[:14])
        if int(count) == 0:
            raise InputError("subject: the count is 00000, a mail carries at least one invoice.")
        return cls(version or "", sender, compostage, int(count), kind)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One mail to build. `message_id` is without angle brackets; `date` is aware, kept to the second."""

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
    """One mail as read: the same fields, decoded; `content_type` is one of the three constants."""

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
    """`organism_address("01", "422") == "01422@422.01.rss.fr"`: a name, delivered inside the bench only."""
    if not re.fullmatch(r"[0-9]{2}", regime) or not re.fullmatch(r"[0-9]{3}", organism):
        raise InputError(
            "recipient: an organism is a régime of 2 digits and a number of 3; correct the destination."
        )
    return f"{regime}{organism}@{organism}.{regime}.rss.fr"


def build(message: OutgoingMessage) -> bytes:
    """The whole mail, CRLF lines, base64 lines of 64; raises InputError naming the field."""
    _check_outgoing(message)
    description = f"Content-Description: {message.description}\r\n" if message.description else ""
    head = (
        f"From: {message.sender}\r\n"
        f"To: {message.recipient}\r\n"
        f"Subject: {message.subject}\r\n"
        f"Message-ID: <{message.message_id}>\r\n"
        f"Date: {_format_date(message.date)}\r\n"
        "MIME-Version: 1.0\r\n"
        f"X-SV_CHIFFREMENT: {X_SV_CHIFFREMENT}\r\n"
        f"Content-Type: {message.content_type}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"{description}\r\n"
    )
    return head.encode("ascii") + _wrap(message.payload)


def parse(raw: bytes, limit: int = MAX_MESSAGE) -> IncomingMessage:
    """Read one mail strictly; raises InputError with a sentence. Trace headers of relays are skipped."""
    if len(raw) > limit:
        raise InputError(f"message: {len(raw)} octets are more than the limit of {limit}; it is not read.")
    headers, start = _read_headers(raw)
    return IncomingMessage(
        sender=_matched("From", headers, _ADDRESS),
        recipient=_matched("To", headers, _ADDRESS),
        subject=_matched("Subject", headers, _PRINTABLE),
        message_id=_read_message_id(headers),
        date=_read_date(_needed("Date", headers)),
        description=_read_description(headers),
        payload=_unwrap(raw, start),
        content_type=_read_content(headers),
    )


def inner_part(description: str, payload: bytes) -> bytes:
    """The EDI-consent entity that gets signed and enveloped; `payload` is usually `pack(text)`."""
    if not description or not _DESCRIPTION.fullmatch(description):
        raise InputError("description: give the nature of the content, such as SESAM/FSE/Z.")
    head = (
        f"Content-Type: {EDI}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-Description: {description}\r\n\r\n"
    )
    return head.encode("ascii") + _wrap(payload)


def parse_inner(part: bytes) -> InnerPart:
    """Read what `inner_part` wrote; raises InputError."""
    headers, start = _read_headers(part)
    if _read_content(headers) != EDI or "content-description" not in headers:
        raise InputError(f"content: the inner part is not {EDI} with a description; it is not read.")
    return InnerPart(_read_description(headers), _unwrap(part, start))


def pack(text: bytes, level: int = 6) -> bytes:
    """gzip with no time and no name: the same text gives the same bytes."""
    return zlib.compress(text, level, wbits=31)


def unpack(data: bytes, limit: int = MAX_UNPACKED) -> bytes:
    """Bounded gunzip of exactly one member; raises TrustError (bomb, damage, trailing bytes)."""
    machine = zlib.decompressobj(wbits=31)
    try:
        text = machine.decompress(data, limit + 1)
    except zlib.error as error:
        raise TrustError("content: not a sound gzip member; it is not read.") from error
    if len(text) > limit:
        raise TrustError(f"content: more than {limit} octets once unpacked; it is not read.")
    if not machine.eof or machine.unused_data:
        raise TrustError("content: not exactly one whole gzip member; it is not read.")
    return text


# -- what may be written


def _check_outgoing(message: OutgoingMessage) -> None:
    for name, value, form in (
        ("sender", message.sender, _ADDRESS),
        ("recipient", message.recipient, _ADDRESS),
        ("subject", message.subject, _PRINTABLE),
        ("message_id", message.message_id, _MESSAGE_ID),
        ("description", message.description, _DESCRIPTION),
    ):
        if not form.fullmatch(value) or len(value) > 200:
            raise InputError(f"{name}: not of the form that a mail header takes; correct it.")
    if message.content_type not in (ENVELOPED, AUTH_ENVELOPED, EDI):
        raise InputError("content_type: use ENVELOPED, AUTH_ENVELOPED or EDI.")
    if message.date.tzinfo is None:
        raise InputError("date: give a moment with its time zone.")


def _format_date(moment: datetime) -> str:
    """RFC 5322 section 3.3, always in UTC; written by hand because strftime follows the locale."""
    utc = moment.astimezone(UTC)
    day = f"{_DAYS[utc.weekday()]}, {utc.day:02d} {_MONTHS[utc.month - 1]} {utc.year:04d}"
    return f"{day} {utc.hour:02d}:{utc.minute:02d}:{utc.second:02d} +0000"


_LINE = 64
_BLOCK = struct.Struct("64s" * 64)


def _wrap(payload: bytes) -> bytes:
    """Base64 in lines of 64 with CRLF; blocks of 64 lines are cut in one call each."""
    text = pybase64.b64encode(payload)
    whole = len(text) - len(text) % _BLOCK.size
    lines = chain.from_iterable(_BLOCK.iter_unpack(memoryview(text)[:whole]))
    rest = [text[at : at + _LINE] for at in range(whole, len(text), _LINE)]
    return b"\r\n".join([*lines, *rest, b""])


# -- what is read


def _read_headers(raw: bytes) -> tuple[dict[str, list[str]], int]:
    """Header names (lower case) with their values, and where the body starts. RFC 5322 section 2.2."""
    end = raw.find(b"\r\n\r\n", 0, MAX_HEADER)
    if end < 0:
        raise InputError(f"message: no end of headers within {MAX_HEADER} octets; it is not read.")
    try:
        lines = raw[:end].decode("ascii").split("\r\n")
    except UnicodeDecodeError as error:
        raise InputError("message: a header holds octets outside ASCII; it is not read.") from error
    headers: dict[str, list[str]] = {}
    for line in _unfold(lines):
        name, colon, value = line.partition(":")
        if not colon or not name or not name.isprintable() or " " in name:
            raise InputError("message: a header line has no proper name; it is not read.")
        headers.setdefault(name.lower(), []).append(value.strip(" \t"))
    return headers, end + 4


def _unfold(lines: list[str]) -> list[str]:
    if len(lines) > MAX_HEADER_LINES:
        raise InputError(f"message: more than {MAX_HEADER_LINES} header lines; it is not read.")
    whole: list[str] = []
    for line in lines:
        if "\r" in line or "\n" in line or "\0" in line:
            raise InputError("message: a bare CR, LF or NUL in the headers; it is not read.")
        if line[:1] in (" ", "\t"):
            if not whole:
                raise InputError("message: the first header line is a continuation; it is not read.")
            whole[-1] += line
        else:
            whole.append(line)
    return whole


def _needed(name: str, headers: dict[str, list[str]]) -> str:
    values = headers.get(name.lower(), [])
    if len(values) != 1:
        raise InputError(f"message: {name} is given {len(values)} times instead of once; it is not read.")
    return values[0]


def _matched(name: str, headers: dict[str, list[str]], form: re.Pattern[str]) -> str:
    value = _needed(name, headers)
    if not form.fullmatch(value) or len(value) > 200:
        raise InputError(f"message: {name} has not the form of this exchange; it is not read.")
    return value


def _read_message_id(headers: dict[str, list[str]]) -> str:
    value = _needed("Message-ID", headers)
    if not (value[:1] == "<" and value[-1:] == ">" and _MESSAGE_ID.fullmatch(value[1:-1])):
        raise InputError("message: Message-ID has not the form of this exchange; it is not read.")
    return value[1:-1]


def _read_description(headers: dict[str, list[str]]) -> str:
    return _matched("Content-Description", headers, _DESCRIPTION) if "content-description" in headers else ""


def _read_content(headers: dict[str, list[str]]) -> str:
    """One of the three content types, whatever its letter case, quotes and file name."""
    if _needed("Content-Transfer-Encoding", headers).lower() != "base64":
        raise InputError("message: the transfer encoding is not base64; it is not read.")
    kind, *parameters = (part.strip().lower() for part in _needed("Content-Type", headers).split(";"))
    if kind == EDI.lower():
        return EDI
    smime = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("smime-type=")]
    known = {"enveloped-data": ENVELOPED, "authenveloped-data": AUTH_ENVELOPED}
    if (
        kind not in ("application/pkcs7-mime", "application/x-pkcs7-mime")
        or len(smime) != 1
        or smime[0] not in known
    ):
        raise InputError("message: the content type is not one of this exchange; it is not read.")
    return known[smime[0]]


def _read_date(text: str) -> datetime:
    found = _DATE.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        raise InputError("message: Date has not the form of RFC 5322; it is not read.")
    offset = timedelta(hours=int(found[8]), minutes=int(found[9])) * (-1 if found[7] == "-" else 1)
    day, year, hour, minute, second = (int(found[at]) for at in (1, 3, 4, 5, 6))
    try:
        zone = timezone(offset)
        return datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, second, tzinfo=zone).astimezone(
            UTC
        )
    except (ValueError, OverflowError) as error:
        raise InputError("message: Date is not a moment that exists; it is not read.") from error


def _check_moment(digits: str) -> None:
    try:
        datetime.fromisoformat(f"{digits[:8]}T{digits[8:]}")
    except ValueError as error:
        raise InputError(
            "subject: the compostage does not start with a moment that exists; correct it."
        ) from error


def _unwrap(raw: bytes, start: int) -> bytes:
    """The payload of a base64 body; every octet of the body is accounted for."""
    body = raw[start:]
    ends = _even_line_ends(body)
    if ends is None:
        body, ends = _join_lines(body), 0
    size, last = len(body) - 2 * ends, body.rstrip(b"\r\n")[-4:]
    try:
        payload = pybase64.b64decode(body)  # leaves out what is no base64; anything but line ends is missed
    except binascii.Error as error:
        raise InputError("message: the body is not base64; it is not read.") from error
    if size % 4 or len(payload) != size // 4 * 3 - last.count(b"="):
        raise InputError("message: the body is not base64; it is not read.")
    if pybase64.b64encode(payload[-(len(payload) % 3 or 3) :]) != last:
        raise InputError("message: the body ends in stray bits; it is not read.")
    return payload


def _even_line_ends(body: bytes) -> int | None:
    """How many CRLF, when every line has exactly 64 octets but the last, which may be shorter; else None."""
    whole, rest = divmod(len(body), _LINE + 2)
    if body[64 : whole * 66 : 66] != b"\r" * whole or body[65 : whole * 66 : 66] != b"\n" * whole:
        return None
    if rest and (rest < 6 or not body.endswith(b"\r\n")):
        return None
    return whole + (rest > 0)


def _join_lines(body: bytes) -> bytes:
    """Lines of at most 76 (RFC 2045 section 6.8), each ended by CRLF."""
    *lines, last = body.split(b"\r\n")
    if last or any(not 1 <= len(line) <= 76 for line in lines):
        raise InputError("message: the body is not made of CRLF lines of at most 76 octets; it is not read.")
    return b"".join(lines)
