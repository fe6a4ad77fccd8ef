"""From file bytes to a mail and back: gzip, inner MIME part, CMS, outer MIME. Frozen once sealed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256

from gateway.clock import Rng
from gateway.cms.enveloped import DecryptionKey, decrypt, encrypt
from gateway.cms.policy import Policy
from gateway.cms.signed import Signer, VerifiedSigner, sign, verify
from gateway.errors import GatewayError, InputError
from gateway.exchange.message import (
    AUTH_ENVELOPED,
    ENVELOPED,
    IR_VERSION,
    SV_VERSION,
    IncomingMessage,
    OutgoingMessage,
    Subject,
    build,
    inner_part,
    pack,
    parse,
    parse_inner,
    unpack,
)
from gateway.lots.lot import Lot
from gateway.lots.modes import DRE
from gateway.lots.refusal import LotRefusal
from gateway.pki.certificate import Purpose
from gateway.pki.trust import Trust

MAX_PAYLOAD = 4 * 1024 * 1024
"""Bytes of a file, an ARL or a return once unpacked; a file of 999 records has 128 KB."""

_CONTENT_TYPES = {"authEnvelopedData": AUTH_ENVELOPED, "envelopedData": ENVELOPED}
_OPAQUE = "the message cannot be opened: seal the lot again and send it"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The outside of one mail: addresses, the 14-digit sender, the compostage (19), count and description."""

    sender: str
    recipient: str
    sender_number: str
    compostage: str
    count: int
    description: str


@dataclass(frozen=True, slots=True)
class SealedLot:
    """A lot fixed for ever: `message` are the bytes of every sending, `digest` is the SHA-256 of the file.

    `id`: "<sender 14>-<file id>-<compostage>", the identity the receiver deduplicates on. `sender` and
    `recipient` are the mail addresses of the envelope.
    """

    id: str
    lot_number: int
    lot_date: date
    file_id: str
    compostage: str
    count: int
    sender: str
    recipient: str
    digest: bytes
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A mail opened: its outside, the payload, and who signed it (None in the profile `sesam`)."""

    envelope: Envelope
    payload: bytes = field(repr=False)
    signer: VerifiedSigner | None


def seal(
    lot: Lot,
    *,
    sender: str,
    recipient: str,
    recipient_certificate: bytes,
    policy: Policy,
    signer: Signer | None,
    rng: Rng,
    now: datetime,
) -> SealedLot:
    """Seal one lot for one recipient under one policy; `sender` and `recipient` are mail addresses.

    `signer` is required where the policy signs and unused elsewhere. InputError for a misfit.
    """
    numbers = lot.header.numbers
    envelope = Envelope(
        sender, recipient, lot.header.sender, numbers.compostage, lot.count, description_of(lot)
    )
    message = seal_content(
        lot.file,
        envelope,
        recipient_certificate=recipient_certificate,
        policy=policy,
        signer=signer,
        rng=rng,
        now=now,
    )
    return SealedLot(
        id=f"{lot.header.sender}-{numbers.file_id}-{numbers.compostage}",
        lot_number=numbers.lot_number,
        lot_date=numbers.lot_date,
        file_id=numbers.file_id,
        compostage=numbers.compostage,
        count=lot.count,
        sender=sender,
        recipient=recipient,
        digest=sha256(lot.file).digest(),
        message=message,
    )


def description_of(lot: Lot) -> str:
    """Content-Description of a lot: SESAM for what cards signed, IRIS/B2 for degraded FSE, TEST in test."""
    test = "TEST" if lot.header.test else ""
    if lot.header.family == "degraded":
        return f"IRIS{test}/B2/Z"
    return f"SESAM{test}/{'DRE' if lot.header.family == DRE else 'FSE'}/Z"


def seal_content(
    payload: bytes,
    envelope: Envelope,
    *,
    recipient_certificate: bytes,
    policy: Policy,
    signer: Signer | None,
    rng: Rng,
    now: datetime,
) -> bytes:
    """Any payload (file, ARL, NOEMIE return) as the bytes of one mail."""
    content = inner_part(envelope.description, pack(payload))
    if policy.signed:
        if signer is None:
            raise InputError(f"profile {policy.name} signs every mail: give the signer")
        content = sign(content, signer, now)
    return build(
        OutgoingMessage(
            sender=envelope.sender,
            recipient=envelope.recipient,
            subject=_subject(envelope),
            message_id=f"{envelope.compostage}.{envelope.sender_number}@vitale-gateway.test",
            date=now,
            description="",
            payload=encrypt(content, recipient_certificate, policy, rng),
            content_type=_CONTENT_TYPES[policy.envelope],
        )
    )


def _subject(envelope: Envelope) -> str:
    kind = "IR" if envelope.description.startswith("IRIS") else "SV"
    version = IR_VERSION if kind == "IR" else SV_VERSION
    return Subject(version, envelope.sender_number, envelope.compostage, envelope.count, kind).format()


def open_sealed(
    message: bytes,
    *,
    key: DecryptionKey,
    policy: Policy,
    trust: Trust,
    purpose: Purpose,
    when: datetime,
    limit: int = MAX_PAYLOAD,
) -> Opened:
    """Open one mail. Everything that fails here is the one opaque LotRefusal of class E (promise A9).

    `purpose`: what the signer's certificate must be good for, where the policy signs. In `sesam` nobody has
    signed yet when this returns: the caller shows nothing before the card signatures inside are verified.
    """
    try:
        return _open(parse(message), key, policy, trust, purpose, when, limit)
    except GatewayError as error:
        reason = getattr(error, "reason", "") or str(error)
        raise LotRefusal("1000", _OPAQUE, reason=reason) from None


def _open(
    mail: IncomingMessage,
    key: DecryptionKey,
    policy: Policy,
    trust: Trust,
    purpose: Purpose,
    when: datetime,
    limit: int,
) -> Opened:
    subject = Subject.parse(mail.subject)
    if mail.content_type != _CONTENT_TYPES[policy.envelope]:
        raise InputError(f"content type: not the one of profile {policy.name}")
    content = decrypt(mail.payload, key, policy)
    signer = verify(content, trust, when, purpose=purpose) if policy.signed else None
    inner = parse_inner(content if signer is None else signer.content)
    envelope = Envelope(
        mail.sender, mail.recipient, subject.sender, subject.compostage, subject.count, inner.description
    )
    return Opened(envelope, unpack(inner.payload, limit), signer)
