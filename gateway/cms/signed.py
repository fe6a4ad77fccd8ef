"""CMS SignedData (RFC 5652 section 5): one signer, attached content, strict DER.

Writing splices: everything that depends only on the signer's certificate is encoded once; a
message adds content, time, digest and signature. Reading walks the same shape by offsets and
refuses whatever is not exactly it; `gateway.cms.reading` is the slow reader that checks this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.cms import attributes, oids
from gateway.cms.policy import CLOCK_SKEW, MESSAGE_LIMIT, SIGNATURE_AGE
from gateway.cms.refusal import Refused
from gateway.errors import TrustError
from gateway.pki import der
from gateway.pki.certificate import Certificate, Purpose
from gateway.pki.trust import Trust

__all__ = ["Refused", "Signer", "SoftwareSigner", "VerifiedSigner", "sign", "verify"]

VERSION_1 = b"\x02\x01\x01"
SHA256_BARE = der.wrap(der.SEQUENCE, oids.SHA256)
SHA256_NULL = der.wrap(der.SEQUENCE, oids.SHA256, b"\x05\x00")
DIGESTS = (SHA256_BARE, SHA256_NULL)
"""RFC 5754 section 2: write without parameters, read both."""
DIGEST_SETS = tuple(der.wrap(der.SET, digest) for digest in DIGESTS)
RSA_PLAIN = der.wrap(der.SEQUENCE, oids.RSA, b"\x05\x00")
RSA_SHA256 = der.wrap(der.SEQUENCE, oids.RSA_SHA256, b"\x05\x00")
SIGNATURE_ALGORITHMS = (RSA_PLAIN, RSA_SHA256)
"""RFC 5754 section 3.2: rsaEncryption or sha256WithRSAEncryption, the same signature."""
MOST_CERTIFICATES = 6

_PADDING, _HASH, _PREHASHED = PKCS1v15(), SHA256(), Prehashed(SHA256())


class Signer(Protocol):
    """A signature key with its certificate: a CPS session or a software key."""

    @property
    def certificate(self) -> bytes:
        """The signature certificate, DER."""
        ...

    def sign_digest(self, digest: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256 over a 32-byte digest."""
        ...


class SoftwareSigner:
    """A signer whose key is in memory: receivers, and tests."""

    def __init__(self, private_key: RSAPrivateKey, certificate: bytes) -> None:
        self._key = private_key
        self.certificate = certificate

    def sign_digest(self, digest: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256 over a 32-byte digest."""
        return self._key.sign(digest, _PADDING, _PREHASHED)


@dataclass(frozen=True)
class VerifiedSigner:
    """Who signed what, and when they say so. Only `verify` makes one."""

    content: bytes = field(repr=False)
    certificate: Certificate
    signing_time: datetime


@dataclass(frozen=True)
class _Template:
    """What is the same in every message of one signer, encoded."""

    certificates: bytes
    signer_head: bytes
    certificate_attribute: bytes
    signature_size: int


@lru_cache(maxsize=256)
def _template(certificate: bytes, chain: tuple[bytes, ...]) -> _Template:
    signer = Certificate.parse(certificate)
    return _Template(
        certificates=der.wrap(0xA0, *sorted({certificate, *chain})),
        signer_head=VERSION_1 + signer.issuer_and_serial + SHA256_BARE,
        certificate_attribute=attributes.signing_certificate(signer),
        signature_size=signer.public_key.key_size // 8,
    )


def sign(content: bytes, signer: Signer, when: datetime, chain: Sequence[bytes] = ()) -> bytes:
    """A ContentInfo with attached SignedData, DER. `chain` holds authorities' certificates to include.

    `when` is aware. A signer that returns something else than a signature of its size: TrustError.
    """
    template = _template(signer.certificate, tuple(chain))
    signed = attributes.encode(hashlib.sha256(content).digest(), when, template.certificate_attribute)
    signature = signer.sign_digest(hashlib.sha256(der.head(der.SET, len(signed)) + signed).digest())
    if len(signature) != template.signature_size:
        raise TrustError("the signature has not the size of the signer's key: insert the card again")
    return _splice(content, template, signed, signature)


def _splice(content: bytes, template: _Template, signed: bytes, signature: bytes) -> bytes:
    """Join the parts of ContentInfo / SignedData; the content is copied once."""
    info = b"".join(
        (
            template.signer_head,
            der.head(0xA0, len(signed)),
            signed,
            RSA_PLAIN,
            der.head(der.OCTETS, len(signature)),
            signature,
        )
    )
    tail = template.certificates + der.wrap(der.SET, der.head(der.SEQUENCE, len(info)), info)
    octets = der.head(der.OCTETS, len(content))
    explicit = der.head(0xA0, len(octets) + len(content)) + octets
    inner = oids.DATA + explicit
    front = VERSION_1 + DIGEST_SETS[0] + der.head(der.SEQUENCE, len(inner) + len(content)) + inner
    sequence = der.head(der.SEQUENCE, len(front) + len(content) + len(tail)) + front
    wrapped = oids.SIGNED_DATA + der.head(0xA0, len(sequence) + len(content) + len(tail)) + sequence
    whole = der.head(der.SEQUENCE, len(wrapped) + len(content) + len(tail)) + wrapped
    return b"".join((whole, content, tail))


@dataclass(frozen=True)
class _Parts:
    """Where the pieces of a SignedData stand, before anything is believed."""

    content: bytes = field(repr=False)
    certificates: list[bytes] = field(repr=False)
    issuer_and_serial: bytes = field(repr=False)
    attributes: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def verify(
    signed: bytes, trust: Trust, when: datetime, *, purpose: Purpose, limit: int = MESSAGE_LIMIT
) -> VerifiedSigner:
    """The one signer of a message of at most `limit` octets, or Refused. Never a bool, never None.

    `when` is the moment of reading: the certificate path must be good then, and the signing time
    may be at most 90 days older and 5 minutes younger.
    """
    try:
        parts = _read(signed, limit)
        certificate = trust.validate(_signer_certificate(parts, trust), when, purpose)
        return _believe(parts, certificate, when)
    except Refused:
        raise
    except der.DerError as error:
        raise Refused(f"signed message: {error}") from None
    except TrustError as error:
        raise Refused(str(error)) from None


def _believe(parts: _Parts, certificate: Certificate, when: datetime) -> VerifiedSigner:
    """Attributes, digest, signature and signing time against a certificate whose path is good."""
    if parts.issuer_and_serial != certificate.issuer_and_serial:
        raise Refused("signed message: the signer is named by another issuer or serial")
    said = attributes.decode(parts.attributes)
    time = said.signing_time_for(certificate, hashlib.sha256(parts.content).digest())
    encoded = b"\x31" + parts.attributes[1:]  # RFC 5652 5.4: signed as SET OF, sent as [0]
    try:
        certificate.public_key.verify(parts.signature, encoded, _PADDING, _HASH)
    except InvalidSignature:
        raise Refused("signed message: the signature is wrong") from None
    if not certificate.not_before <= time <= certificate.not_after:
        raise Refused("signed message: signed outside the validity of the certificate")
    if not when - SIGNATURE_AGE <= time <= when + CLOCK_SKEW:
        raise Refused("signed message: the signing time is far from the present")
    return VerifiedSigner(parts.content, certificate, time)


def _signer_certificate(parts: _Parts, trust: Trust) -> bytes:
    """The one certificate of the bag that is not a known authority's; strangers do not travel along."""
    others = [one for one in parts.certificates if not trust.knows_authority(one)]
    if len(others) != 1:
        raise Refused("signed message: not exactly one certificate beside the known authorities")
    return others[0]


def _read(signed: bytes, limit: int) -> _Parts:
    """Walk ContentInfo, SignedData and its only SignerInfo (RFC 5652 sections 3, 5.1, 5.3)."""
    end = len(signed)
    if end > limit:
        raise Refused("signed message: larger than the limit")
    at = der.skip(signed, der.enter(signed, 0, end, der.SEQUENCE), end, oids.SIGNED_DATA)
    at = der.enter(signed, der.enter(signed, at, end, 0xA0), end, der.SEQUENCE)
    at = der.skip_one_of(signed, der.skip(signed, at, end, VERSION_1), end, DIGEST_SETS)
    content, at = _read_content(signed, at, end)
    bag, bag_end = der.expect(signed, at, end, 0xA0)
    certificates = der.set_of(signed, bag, bag_end, limit=MOST_CERTIFICATES)
    at = der.enter(signed, bag_end, end, der.SET)
    return _Parts(content, certificates, *_read_signer(signed, at, end))


def _read_content(signed: bytes, at: int, end: int) -> tuple[bytes, int]:
    """EncapsulatedContentInfo: id-data, attached, one primitive OCTET STRING."""
    at, stop = der.expect(signed, at, end, der.SEQUENCE)
    at = der.enter(signed, der.skip(signed, at, stop, oids.DATA), stop, 0xA0)
    return signed[der.enter(signed, at, stop, der.OCTETS) : stop], stop


def _read_signer(signed: bytes, at: int, end: int) -> tuple[bytes, bytes, bytes]:
    """SignerInfo version 1: issuerAndSerialNumber, signedAttrs, signature; no unsigned attributes."""
    at = der.skip(signed, der.enter(signed, at, end, der.SEQUENCE), end, VERSION_1)
    name_end = der.expect(signed, at, end, der.SEQUENCE)[1]
    attributes_at = der.skip_one_of(signed, name_end, end, DIGESTS)
    attributes_end = der.expect(signed, attributes_at, end, 0xA0)[1]
    signature_at = der.skip_one_of(signed, attributes_end, end, SIGNATURE_ALGORITHMS)
    signature = signed[der.enter(signed, signature_at, end, der.OCTETS) : end]
    return signed[at:name_end], signed[attributes_at:attributes_end], signature
