"""Trust: whose certificates are believed, when, and for what (RFC 5280 section 6, fail closed)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from gateway.pki.certificate import Certificate, Purpose


class Trust:
    """Roots, intermediates and revocation lists (all DER); answers are cached by fingerprint.

    `scopes` limits what an issuing authority may vouch for: SHA-256 of the authority's
    certificate -> purposes. An authority that is not named there may vouch for all purposes.
    """

    def __init__(
        self,
        roots: Iterable[bytes],
        intermediates: Iterable[bytes],
        crls: Iterable[bytes],
        scopes: Mapping[bytes, Collection[Purpose]] | None = None,
    ) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, directory: Path) -> Trust:
        """Read `roots/`, `personnes/`, `facturation/` and `crls/` (PEM or DER files) of a directory."""
        raise NotImplementedError

    def validate(self, certificate: bytes, when: datetime, purpose: Purpose) -> Certificate:
        """The certificate, if a good path exists at `when`; else TrustError with one clear sentence."""
        raise NotImplementedError
