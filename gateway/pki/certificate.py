"""An X.509 certificate as the house sees it: parsed once, frozen, with the few facts that decide.

Profile: RFC 5280, v3, RSA of 2048 bits or more with e = 65537, sha256WithRSAEncryption, facts of
the CPS certificates (subject CN = national identifier, title = profession).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


class Purpose(Enum):
    """What a certificate is asked to be good for; each has exactly one allowed keyUsage."""

    CPS_SIGNATURE = "CPS signature"
    CPS_AUTHENTICATION = "CPS authentication"
    RECEIVER_SIGNATURE = "receiver signature"
    RECEIVER_ENCRYPTION = "receiver encryption"
    PRACTICE_ENCRYPTION = "practice encryption"


@dataclass(frozen=True)
class Certificate:
    """One parsed certificate. `fingerprint` is the SHA-256 of `der`; times are aware UTC."""

    der: bytes = field(repr=False)
    fingerprint: bytes = field(repr=False)
    serial: int
    subject: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    common_name: str = field(repr=False)
    national_id: str = field(repr=False)
    not_before: datetime
    not_after: datetime
    public_key: RSAPublicKey = field(repr=False)

    @classmethod
    def parse(cls, der: bytes) -> Certificate:
        """Read DER bytes; anything that is not a certificate of the profile raises TrustError."""
        raise NotImplementedError
