"""CMS SignedData (RFC 5652 section 5): one signer, attached content, strict DER."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from gateway.cms.refusal import Refused
from gateway.pki.certificate import Certificate, Purpose
from gateway.pki.trust import Trust

__all__ = ["Refused", "Signer", "SoftwareSigner", "VerifiedSigner", "sign", "verify"]


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
        raise NotImplementedError


@dataclass(frozen=True)
class VerifiedSigner:
    """Who signed what, and when they say so. Only `verify` makes one."""

    content: bytes = field(repr=False)
    certificate: Certificate
    signing_time: datetime


def sign(content: bytes, signer: Signer, when: datetime, chain: Sequence[bytes] = ()) -> bytes:
    """A ContentInfo with attached SignedData, DER. `chain` holds intermediate certificates to include."""
    raise NotImplementedError


def verify(signed: bytes, trust: Trust, when: datetime, *, purpose: Purpose) -> VerifiedSigner:
    """The one signer of a message, or Refused. Never a bool, never None."""
    raise NotImplementedError
