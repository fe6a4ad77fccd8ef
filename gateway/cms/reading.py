"""The slow, plain reader of the same messages, on asn1crypto: it checks the fast one.

It believes nothing and decides nothing: it says what is written. This is the only door of the room
to asn1crypto, whose parsers raise more than ValueError on damaged bytes; here all of it is Refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from asn1crypto import cms, tsp

from gateway.cms.refusal import Refused

_Reading = TypeVar("_Reading")
_SIGNING_CERTIFICATE = tsp.SigningCertificateV2
"""Loading asn1crypto.tsp is what teaches asn1crypto.cms this attribute."""
_RAISED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class SignerReading:
    """One SignerInfo as written. `attributes` are asn1crypto's names, in order, repeated if repeated."""

    issuer_and_serial: bytes = field(repr=False)
    digest_algorithm: str
    attributes: tuple[str, ...]
    message_digest: bytes = field(repr=False)
    signing_time: datetime
    certificate_hash: bytes = field(repr=False)
    signed_bytes: bytes = field(repr=False)
    """The attributes as SET OF: what the signature is over."""
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class SignedReading:
    """A SignedData as written, re-encoded nowhere."""

    content: bytes = field(repr=False)
    content_type: str
    certificates: tuple[bytes, ...] = field(repr=False)
    signers: tuple[SignerReading, ...]


@dataclass(frozen=True)
class EnvelopeReading:
    """An envelope as written. `tag` is empty for EnvelopedData."""

    content_type: str
    issuer_and_serial: bytes = field(repr=False)
    key_transport: str
    wrapped_key: bytes = field(repr=False)
    cipher: str
    sealed: bytes = field(repr=False)
    tag: bytes = field(repr=False)


def read_signed(signed: bytes) -> SignedReading:
    """What a SignedData says; Refused if asn1crypto cannot read it strictly."""
    return _guarded(_read_signed, signed)


def read_envelope(message: bytes) -> EnvelopeReading:
    """What an envelope with one recipient says; Refused if asn1crypto cannot read it strictly."""
    return _guarded(_read_envelope, message)


def _guarded(read: Callable[[bytes], _Reading], data: bytes) -> _Reading:
    try:
        return read(data)
    except _RAISED as error:
        raise Refused(f"checking reader: {type(error).__name__}") from None


def _read_signed(signed: bytes) -> SignedReading:
    info = cms.ContentInfo.load(signed, strict=True)
    data = info["content"]
    if not isinstance(data, cms.SignedData):
        raise Refused("checking reader: not a SignedData")
    return SignedReading(
        content=data["encap_content_info"]["content"].native,
        content_type=data["encap_content_info"]["content_type"].native,
        certificates=tuple(one.chosen.dump() for one in data["certificates"]),
        signers=tuple(_read_signer(one) for one in data["signer_infos"]),
    )


def _read_signer(signer: Any) -> SignerReading:
    attributes = signer["signed_attrs"]
    values = {one["type"].native: one["values"] for one in attributes}
    (naming,) = _SIGNING_CERTIFICATE.load(values["signing_certificate_v2"][0].dump(), strict=True)["certs"]
    return SignerReading(
        issuer_and_serial=signer["sid"].chosen.dump(),
        digest_algorithm=signer["digest_algorithm"]["algorithm"].native,
        attributes=tuple(one["type"].native for one in attributes),
        message_digest=values["message_digest"][0].native,
        signing_time=values["signing_time"][0].native,
        certificate_hash=naming["cert_hash"].native,
        signed_bytes=b"\x31" + attributes.dump()[1:],
        signature=signer["signature"].native,
    )


def _read_envelope(message: bytes) -> EnvelopeReading:
    info = cms.ContentInfo.load(message, strict=True)
    data = info["content"]
    is_authenticated = isinstance(data, cms.AuthEnvelopedData)
    sealed = data["auth_encrypted_content_info" if is_authenticated else "encrypted_content_info"]
    (recipient,) = data["recipient_infos"]
    return EnvelopeReading(
        content_type=info["content_type"].native,
        issuer_and_serial=recipient.chosen["rid"].chosen.dump(),
        key_transport=recipient.chosen["key_encryption_algorithm"]["algorithm"].native,
        wrapped_key=recipient.chosen["encrypted_key"].native,
        cipher=sealed["content_encryption_algorithm"]["algorithm"].dotted,
        sealed=sealed["encrypted_content"].native,
        tag=data["mac"].native if is_authenticated else b"",
    )
