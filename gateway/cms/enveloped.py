"""CMS envelopes: AuthEnvelopedData (RFC 5083, 5084) for `modern`, EnvelopedData (RFC 5652) for `sesam`."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from gateway.clock import Rng
from gateway.cms.policy import Policy
from gateway.cms.refusal import Refused

__all__ = ["DecryptionKey", "Refused", "decrypt", "encrypt"]


@dataclass(frozen=True)
class DecryptionKey:
    """A private key and the certificate (DER) it was published under."""

    private_key: RSAPrivateKey = field(repr=False)
    certificate: bytes = field(repr=False)


def encrypt(content: bytes, recipient_certificate: bytes, policy: Policy, rng: Rng) -> bytes:
    """A ContentInfo for one recipient, DER, in the profile's own algorithms."""
    raise NotImplementedError


def decrypt(message: bytes, key: DecryptionKey, policy: Policy) -> bytes:
    """The content of an envelope of this profile, or Refused: one text whatever was wrong."""
    raise NotImplementedError
