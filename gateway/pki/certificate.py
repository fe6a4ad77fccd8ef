"""An X.509 certificate as the house sees it: parsed once, frozen, with the few facts that decide.

Profile: RFC 5280, v3, RSA of 2048 to 4096 bits with e = 65537, sha256WithRSAEncryption. A CPS
certificate says its national identifier in the CN and the profession in the title.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property, lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from gateway.errors import TrustError
from gateway.pki import der as asn1

SHA256_RSA = asn1.wrap(asn1.SEQUENCE, asn1.oid("1.2.840.113549.1.1.11"), b"\x05\x00")
SIZE_LIMIT = 16_384
"""Octets; a CPS certificate has about 1,300."""

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises on bytes that are not a certificate or a revocation list."""


class Purpose(Enum):
    """What a certificate is asked to be good for; each has exactly one allowed keyUsage."""

    CPS_SIGNATURE = "CPS signature"
    CPS_AUTHENTICATION = "CPS authentication"
    RECEIVER_SIGNATURE = "receiver signature"
    RECEIVER_ENCRYPTION = "receiver encryption"
    PRACTICE_ENCRYPTION = "practice encryption"


@dataclass(frozen=True)
class Certificate:
    """One parsed certificate. `fingerprint` is the SHA-256 of `der`; times are aware UTC.

    `subject` and `issuer` are the encoded names; `national_id` is empty unless the CN is one.
    """

    der: bytes = field(repr=False)
    fingerprint: bytes = field(repr=False)
    serial: int
    subject: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    common_name: str = field(repr=False)
    national_id: str = field(repr=False)
    not_before: datetime
    not_after: datetime
    public_key: RSAPublicKey = field(repr=False, compare=False)
    issuer_and_serial: bytes = field(repr=False)
    """IssuerAndSerialNumber of RFC 5652 10.2.4, encoded."""
    parsed: x509.Certificate = field(repr=False, compare=False)

    @classmethod
    def parse(cls, der: bytes) -> Certificate:
        """Read DER bytes (cached); anything that is not a certificate of the profile raises TrustError."""
        return _parse(bytes(der))

    @cached_property
    def extensions(self) -> x509.Extensions:
        """The extensions, already known to be readable."""
        return self.parsed.extensions

    @cached_property
    def key_usage(self) -> frozenset[str]:
        """Names of the keyUsage bits that are set; empty if the extension is missing."""
        try:
            usage = self.extensions.get_extension_for_class(x509.KeyUsage).value
        except x509.ExtensionNotFound:
            return frozenset()
        return frozenset(name for name in _USAGES if getattr(usage, name))

    @cached_property
    def is_authority(self) -> bool:
        """basicConstraints says CA:TRUE."""
        return self._basic is not None and self._basic.ca

    @cached_property
    def path_length(self) -> int | None:
        """How many authorities may stand below this one; None is without limit."""
        return self._basic.path_length if self._basic is not None else None

    @cached_property
    def _basic(self) -> x509.BasicConstraints | None:
        try:
            return self.extensions.get_extension_for_class(x509.BasicConstraints).value
        except x509.ExtensionNotFound:
            return None

    def is_signed_by(self, authority: Certificate) -> bool:
        """The authority's key made this certificate's signature."""
        try:
            authority.public_key.verify(
                self.parsed.signature, self.parsed.tbs_certificate_bytes, PKCS1v15(), SHA256()
            )
        except InvalidSignature:
            return False
        return True


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


@lru_cache(maxsize=4096)
def _parse(der: bytes) -> Certificate:
    if len(der) > SIZE_LIMIT:
        raise TrustError("the certificate is larger than any certificate of the profile: ask for another")
    try:
        return _read(der)
    except UNREADABLE as error:
        raise TrustError(
            f"the certificate cannot be read ({type(error).__name__}): ask for another"
        ) from None


def _read(der: bytes) -> Certificate:
    serial, issuer, subject = _names(der)
    parsed = x509.load_der_x509_certificate(der)
    if parsed.version is not x509.Version.v3:
        raise TrustError("the certificate is not an X.509 v3 certificate: ask for another")
    if der[-1 - len(parsed.signature)] != 0:  # unused bits of the signature (X.690 11.2.1)
        raise TrustError("the certificate is not in DER: ask for another")
    common_name = _common_name(parsed.subject)
    _ = parsed.extensions
    return Certificate(
        der=der,
        fingerprint=hashlib.sha256(der).digest(),
        serial=parsed.serial_number,
        subject=subject,
        issuer=issuer,
        common_name=common_name,
        national_id=common_name if re.fullmatch(r"[0-9]{10}|[0-9]{12}", common_name) else "",
        not_before=parsed.not_valid_before_utc,
        not_after=parsed.not_valid_after_utc,
        public_key=_strong(parsed.public_key()),
        issuer_and_serial=asn1.wrap(asn1.SEQUENCE, issuer, serial),
        parsed=parsed,
    )


def _names(der: bytes) -> tuple[bytes, bytes, bytes]:
    """Serial, issuer and subject elements of TBSCertificate, exactly as encoded (RFC 5280 4.1)."""
    at = asn1.enter(der, 0, len(der), asn1.SEQUENCE)
    tbs, tbs_end = asn1.expect(der, at, len(der), asn1.SEQUENCE)
    outer_end = asn1.read(der, tbs_end, len(der))[2]
    parts = [der[begin:stop] for _tag, begin, _start, stop in asn1.elements(der, tbs, tbs_end)]
    if len(parts) < 7 or parts[0] != b"\xa0\x03\x02\x01\x02":
        raise TrustError("the certificate is not an X.509 v3 certificate: ask for another")
    if parts[2] != SHA256_RSA or der[tbs_end:outer_end] != SHA256_RSA:
        raise TrustError("the certificate is not signed with RSA and SHA-256: ask for another")
    _check_serial(parts[1])
    return parts[1], parts[3], parts[5]


def _check_serial(element: bytes) -> None:
    """A positive INTEGER of at most 20 octets, minimal (RFC 5280 4.1.2.2)."""
    start, stop = asn1.expect(element, 0, len(element), asn1.INTEGER)
    value = element[start:stop]
    if not 1 <= len(value) <= 20 or value[0] >= 0x80 or not any(value):
        raise TrustError("the certificate has no positive serial number: ask for another")


def _common_name(subject: x509.Name) -> str:
    found = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def _strong(key: object) -> RSAPublicKey:
    """B13: RSA of 2048 to 4096 bits, e = 65537; no other key in this house."""
    if not isinstance(key, RSAPublicKey):
        raise TrustError("the certificate holds a key that is not RSA: ask for another")
    if not 2048 <= key.key_size <= 4096 or key.public_numbers().e != 65537:
        raise TrustError("the certificate holds an RSA key weaker than 2048 bits or with e ≠ 65537")
    return key
