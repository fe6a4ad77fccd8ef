"""The authority that certifies Vitale cards: a card-verifiable object 7F21, not X.509."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


@dataclass(frozen=True)
class VitaleCertificate:
    """What a verified 7F21 object says. `serial` is 20 hexadecimal digits (the PAN value)."""

    serial: str
    expiry: date
    public_key: RSAPublicKey = field(repr=False)


class VitaleAuthority:
    """The Vitale authority: its 8-byte reference and public key."""

    def __init__(self, reference: bytes, public_key: RSAPublicKey) -> None:
        raise NotImplementedError

    def verify(self, certificate: bytes) -> VitaleCertificate:
        """Check the authority's signature over a 7F21 object (cached); TrustError otherwise."""
        raise NotImplementedError
