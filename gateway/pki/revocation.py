"""Certificate revocation lists (RFC 5280 section 5): complete lists only, closed when in doubt."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.errors import TrustError
from gateway.pki.certificate import UNREADABLE, Certificate

UNREADABLE_LIST = "a revocation list cannot be read: fetch it again from the authority"


@dataclass(frozen=True)
class RevocationList:
    """One parsed list; `issuer` is the encoded name of the authority that speaks."""

    issuer: bytes = field(repr=False)
    this_update: datetime
    next_update: datetime
    parsed: x509.CertificateRevocationList = field(repr=False, compare=False)
    der: bytes = field(default=b"", repr=False, compare=False)

    @classmethod
    def parse(cls, der: bytes) -> RevocationList:
        """Read DER bytes; anything that is not a complete list of the profile raises TrustError."""
        try:
            return cls._read(der)
        except UNREADABLE:
            raise TrustError(UNREADABLE_LIST) from None

    @classmethod
    def _read(cls, der: bytes) -> RevocationList:
        parsed = x509.load_der_x509_crl(der)
        next_update = parsed.next_update_utc
        if next_update is None or not isinstance(parsed.signature_hash_algorithm, SHA256):
            raise TrustError("a revocation list has no next update or is not signed with SHA-256")
        # An indirect or partial list says so in a critical extension (5.2.4, 5.2.5): refused.
        if any(extension.critical for extension in parsed.extensions):
            raise TrustError("a revocation list is partial or carries an unknown critical extension")
        return cls(parsed.issuer.public_bytes(), parsed.last_update_utc, next_update, parsed, der)

    @cached_property
    def serials(self) -> frozenset[int]:
        """Serial numbers of the revoked certificates."""
        try:
            if any(extension.critical for entry in self.parsed for extension in entry.extensions):
                raise TrustError("a revocation list has an entry with an unknown critical extension")
            return frozenset(entry.serial_number for entry in self.parsed)
        except UNREADABLE:
            raise TrustError(UNREADABLE_LIST) from None

    def is_signed_by(self, authority: Certificate) -> bool:
        """The authority may sign lists, bears the name, and its key made the signature."""
        return (
            "crl_sign" in authority.key_usage
            and self.parsed.issuer == authority.parsed.subject
            and self.parsed.is_signature_valid(authority.public_key)
        )
