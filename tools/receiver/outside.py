"""Mails and B2 files of other software, in the profile `sesam`: what the public notes leave open is taken.

The transport note fixes subject, cipher and inner part; around them exporters differ: the S/MIME entity may
be the whole message or a part of a multipart, headers may come twice (the last ones count), lines may
end with LF, the envelope may be BER, and content without `/Z` is not compressed. In the records, positions
that no public table gives are not looked at, and a blank number, code or date counts as zeros. Whatever else
is wrong is refused as it is in our own mails; how it failed is told to nobody (promise A9).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import Message

from asn1crypto import parser

from gateway.cms.enveloped import DecryptionKey, decrypt
from gateway.cms.policy import Policy
from gateway.errors import InputError
from gateway.exchange.message import Subject, unpack
from gateway.lots.sealing import Envelope, Opened
from gateway.records import b2
from gateway.records.fields import Field, Record

DESCRIPTIONS = ("IRIS/B2", "IRIS/B2/Z", "IRISTEST/B2", "IRISTEST/B2/Z")
_SMIME = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_EDI = "application/edi-consent"
_MOST_PARTS, _MOST_PIECES = 20, 500
_SIZE = 128


def open_outside(raw: bytes, key: DecryptionKey, profile: Policy, limit: int) -> Opened:
    """The B2 file inside a mail of other software; InputError or another refusal says why not."""
    mail = message_from_bytes(raw, policy=policy.compat32)
    subject = Subject.parse(str(mail.get("Subject", "")).strip())
    if subject.kind != "IR":
        raise InputError("only the B2 flow (subject IR) is taken from other software")
    inner = message_from_bytes(decrypt(_as_der(_entity(mail)), key, profile), policy=policy.compat32)
    description = str(inner.get("Content-Description", "")).strip()
    if inner.get_content_type() != _EDI or description not in DESCRIPTIONS:
        raise InputError("the inner part is not EDI-consent with a B2 description")
    content = _decoded(inner)
    payload = unpack(content, limit) if description.endswith("/Z") else content
    if len(payload) > limit:
        raise InputError(f"the file has more than {limit} bytes")
    sender, recipient = (str(mail.get(name, "")).strip() for name in ("From", "To"))
    return Opened(
        Envelope(sender, recipient, subject.sender, subject.compostage, subject.count, description),
        payload,
        None,
    )


def _entity(mail: Message) -> bytes:
    """The CMS bytes: of the message itself, whose last content type counts, or of its one S/MIME part."""
    for count, part in enumerate(mail.walk()):
        if count > _MOST_PARTS:
            break
        kinds = [str(one).partition(";")[0].strip().lower() for one in part.get_all("Content-Type", [])]
        if kinds and kinds[-1] in _SMIME:
            return _decoded(part)
    raise InputError("the mail carries no S/MIME entity")


def _decoded(part: Message) -> bytes:
    """The body of a part in base64, whatever its lines."""
    body = part.get_payload()
    encoding = str(part.get_all("Content-Transfer-Encoding", ["base64"])[-1]).strip().lower()
    if not isinstance(body, str) or encoding != "base64":
        raise InputError("a part is not in base64")
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InputError("a part is not in base64") from None


def _as_der(envelope: bytes) -> bytes:
    """The same EnvelopedData in DER: some libraries write the encrypted content in pieces (RFC 5652 6.1)."""
    try:
        kind, explicit = _elements(_Element.of(envelope).content)
        (enveloped,) = _elements(explicit.content)
        *fields, info = _elements(enveloped.content)
        *algorithm, sealed = _elements(info.content)
        info = replace(info, content=b"".join(one.der for one in (*algorithm, _joined(sealed))))
        enveloped = replace(enveloped, content=b"".join(one.der for one in (*fields, info)))
        explicit = replace(explicit, content=enveloped.der)
        return _Element(0, 1, 16, kind.der + explicit.der).der
    except ValueError:
        raise InputError("the S/MIME entity is not enveloped data") from None


@dataclass(frozen=True)
class _Element:
    """One element of BER: class, 1 when it is constructed, tag number, content."""

    kind: int
    constructed: int
    tag: int
    content: bytes

    @classmethod
    def of(cls, data: bytes) -> _Element:
        """Exactly one; ValueError else."""
        kind, constructed, tag, _, content, _ = parser.parse(data, strict=True)
        return cls(kind, constructed, tag, content)

    @property
    def der(self) -> bytes:
        """With a definite length."""
        return bytes(parser.emit(self.kind, self.constructed, self.tag, self.content))


def _elements(data: bytes) -> list[_Element]:
    """Those inside a constructed one; ValueError when one is torn, or there are far too many."""
    found: list[_Element] = []
    at = 0
    while at < len(data):
        kind, constructed, tag, head, content, tail = parser.parse(data[at:])
        found.append(_Element(kind, constructed, tag, content))
        at += len(head) + len(content) + len(tail)
        if len(found) > _MOST_PIECES:
            raise ValueError
    return found


def _joined(sealed: _Element) -> _Element:
    """The encrypted content in one piece."""
    if not sealed.constructed:
        return sealed
    return replace(sealed, constructed=0, content=b"".join(one.content for one in _elements(sealed.content)))


# Records

_KINDS: dict[bytes, type[Record]] = {
    b"1": b2.LotStart, b"6": b2.LotEnd,
    b"2 ": b2.InvoiceStart, b"2S": b2.InvoicePathway, b"2C": b2.InvoicePlace, b"2B": b2.InvoiceCivility,
    b"3 ": b2.HospitalLine, b"3F": b2.HospitalDevice, b"3H": b2.HospitalMedicine,
    b"4 ": b2.FeeLine, b"4M": b2.FeeCcam, b"4B": b2.FeeBiology, b"4F": b2.FeeProduct, b"5 ": b2.InvoiceEnd,
}  # fmt: skip
_ZEROED = ("num", "code", "date")
_MANDATORY = frozenset({"ps", "nir", "nir_key", "invoice", "lot"})
"""Fields that no file may leave blank: who, for whom, which number."""
_NORM_DATE = (81, 87)
"""Record 1, positions 82-87: the date of the norm that a file follows; ours is one of them."""
_CENTRE = slice(35, 38)
"""Record 000, positions 36-38: the centre informatique; test cards have 999, exporters their own."""


def in_our_shape(payload: bytes) -> bytes:
    """The file with what the public tables leave open written as ours is; nothing else is changed."""
    if len(payload) % _SIZE or len(payload) < 2 * _SIZE:
        return payload
    records = [payload[at : at + _SIZE] for at in range(0, len(payload), _SIZE)]
    first, last = _frame(records[0], b2.FileStart), _frame(records[-1], b2.FileEnd)
    return b"".join([first, *map(_record, records[1:-1]), last])


def _frame(record: bytes, kind: type[Record]) -> bytes:
    shaped = _shaped(record, kind)
    if shaped[27:33] == b"000000":
        shaped = shaped[: _CENTRE.start] + b"999" + shaped[_CENTRE.stop :]
    return shaped


def _record(record: bytes) -> bytes:
    kind = _KINDS.get(record[:1]) or _KINDS.get(record[:1] + record[10:11])
    if kind is None:
        return record
    shaped = _shaped(record, kind)
    if kind is b2.LotStart and shaped[slice(*_NORM_DATE)].isdigit():
        shaped = shaped[: _NORM_DATE[0]] + b"062007" + shaped[_NORM_DATE[1] :]
    return shaped


def _shaped(record: bytes, kind: type[Record]) -> bytes:
    """One record: known fields as they are or zeros for blanks, unknown positions blank."""
    shaped = bytearray(b" " * _SIZE)
    for field in kind.FIELDS:
        value = record[field.slice]
        shaped[field.slice] = _zeros(field, value)
    return bytes(shaped)


def _zeros(field: Field, value: bytes) -> bytes:
    blank = field.kind in _ZEROED and field.name not in _MANDATORY and not value.strip()
    return b"0" * field.length if blank else value
