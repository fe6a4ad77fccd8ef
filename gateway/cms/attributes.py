"""Signed attributes: what the signature really covers (RFC 5652 section 11, RFC 5035, RFC 6211).

Exactly contentType, messageDigest, signingTime and signingCertificateV2 are written. Two more are
read because other programs add them: algorithm protection, checked, and S/MIME capabilities, ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from gateway.cms import oids
from gateway.cms.refusal import Refused
from gateway.pki import der
from gateway.pki.certificate import Certificate

REQUIRED = frozenset({oids.CONTENT_TYPE, oids.MESSAGE_DIGEST, oids.SIGNING_TIME, oids.SIGNING_CERTIFICATE_V2})
ALLOWED = REQUIRED | {oids.ALGORITHM_PROTECTION, oids.SMIME_CAPABILITIES}
MOST_ATTRIBUTES = len(ALLOWED)

PROTECTIONS = frozenset(
    der.wrap(der.SEQUENCE, digest, der.wrap(0xA1, algorithm, b"\x05\x00"))
    for digest in (der.wrap(der.SEQUENCE, oids.SHA256, null) for null in (b"", b"\x05\x00"))
    for algorithm in (oids.RSA, oids.RSA_SHA256)
)
"""CMSAlgorithmProtection values (RFC 6211 section 2) that agree with the only algorithms read."""


def _attribute(kind: bytes, value: bytes) -> bytes:
    return der.wrap(der.SEQUENCE, kind, der.wrap(der.SET, value))


_CONTENT_TYPE = _attribute(oids.CONTENT_TYPE, oids.DATA)
_DIGEST_HEAD = _attribute(oids.MESSAGE_DIGEST, der.wrap(der.OCTETS, bytes(32)))[:-32]


def signing_certificate(certificate: Certificate) -> bytes:
    """The signingCertificateV2 attribute naming one certificate by its SHA-256 (RFC 5035 section 3)."""
    return _attribute(
        oids.SIGNING_CERTIFICATE_V2, _names_of(certificate.fingerprint, certificate.issuer_and_serial)[0]
    )


@lru_cache(maxsize=1024)
def _names_of(fingerprint: bytes, issuer_and_serial: bytes) -> tuple[bytes, bytes]:
    """The two DER values that name a certificate: its hash alone, or its hash and issuerSerial."""
    digest = der.wrap(der.OCTETS, fingerprint)
    at, end = der.expect(issuer_and_serial, 0, len(issuer_and_serial), der.SEQUENCE)
    serial_at = der.read(issuer_and_serial, at, end)[2]
    names = der.wrap(der.SEQUENCE, der.wrap(0xA4, issuer_and_serial[at:serial_at]))
    issuer_serial = der.wrap(der.SEQUENCE, names, issuer_and_serial[serial_at:end])
    return _certificate_id(digest), _certificate_id(digest + issuer_serial)


def _certificate_id(value: bytes) -> bytes:
    """SigningCertificateV2 ::= SEQUENCE { certs SEQUENCE OF ESSCertIDv2 } with one of them."""
    return der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, value)))


def encode(digest: bytes, when: datetime, certificate_attribute: bytes) -> bytes:
    """The value of the SET OF attributes; their sizes put them in DER order as written here."""
    return b"".join(
        (
            _CONTENT_TYPE,
            _attribute(oids.SIGNING_TIME, _time(when)),
            _DIGEST_HEAD,
            digest,
            certificate_attribute,
        )
    )


def _time(when: datetime) -> bytes:
    """UTCTime until 2049, GeneralizedTime from 2050 (RFC 5652 11.3)."""
    moment = when.astimezone(UTC)
    if 1950 <= moment.year < 2050:
        return b"\x17\x0d" + moment.strftime("%y%m%d%H%M%SZ").encode("ascii")
    return b"\x18\x0f" + moment.strftime("%Y%m%d%H%M%SZ").encode("ascii")


@dataclass(frozen=True)
class SignedAttributes:
    """What the signer's attributes say, each once: type element -> value element."""

    values: dict[bytes, bytes] = field(repr=False)

    def signing_time_for(self, certificate: Certificate, digest: bytes) -> datetime:
        """When they say it was signed; Refused unless they speak of this certificate and this content."""
        if self.values[oids.CONTENT_TYPE] != oids.DATA:
            raise Refused("signed message: contentType is not that of the content")
        if self.values[oids.MESSAGE_DIGEST] != b"\x04\x20" + digest:
            raise Refused("signed message: messageDigest is not that of the content")
        names = _names_of(certificate.fingerprint, certificate.issuer_and_serial)
        if self.values[oids.SIGNING_CERTIFICATE_V2] not in names:
            raise Refused("signed message: signingCertificateV2 names another certificate")
        protection = self.values.get(oids.ALGORITHM_PROTECTION)
        if protection is not None and protection not in PROTECTIONS:
            raise Refused("signed message: the protected algorithms are not those used")
        return _read_time(self.values[oids.SIGNING_TIME])


def decode(encoded: bytes) -> SignedAttributes:
    """Read a whole [0] element of signed attributes; DerError or Refused on anything unusual."""
    at, end = der.expect(encoded, 0, len(encoded), 0xA0)
    values: dict[bytes, bytes] = {}
    for attribute in der.set_of(encoded, at, end, limit=MOST_ATTRIBUTES):
        kind, value = _read_attribute(attribute)
        if kind in values or kind not in ALLOWED:
            raise Refused("signed message: a signed attribute is repeated or unknown")
        values[kind] = value
    if not values.keys() >= REQUIRED:
        raise Refused("signed message: a required signed attribute is missing")
    return SignedAttributes(values)


def _read_attribute(attribute: bytes) -> tuple[bytes, bytes]:
    """The type element and the only value of an attribute."""
    end = len(attribute)
    at = der.enter(attribute, 0, end, der.SEQUENCE)
    kind_end = der.expect(attribute, at, end, der.OID)[1]
    value_at = der.enter(attribute, kind_end, end, der.SET)
    if der.read(attribute, value_at, end)[2] != end:
        raise Refused("signed message: a signed attribute has not exactly one value")
    return attribute[at:kind_end], attribute[value_at:]


def _read_time(value: bytes) -> datetime:
    """UTCTime or GeneralizedTime, whole seconds, Z, each in its own range of years (RFC 5652 11.3)."""
    digits = value[2:-1].decode("ascii", "replace")
    if not (digits.isascii() and digits.isdigit() and value.endswith(b"Z")):
        raise Refused("signed message: the signing time is not written as it must be")
    if value.startswith(b"\x17\x0d") and len(digits) == 12:
        year = int(digits[:2])
        return _moment(year + (2000 if year < 50 else 1900), digits[2:])
    if value.startswith(b"\x18\x0f") and len(digits) == 14 and digits >= "2050":
        return _moment(int(digits[:4]), digits[4:])
    raise Refused("signed message: the signing time is not written as it must be")


def _moment(year: int, rest: str) -> datetime:
    month, day, hour, minute, second = (int(rest[at : at + 2]) for at in range(0, 10, 2))
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise Refused("signed message: the signing time is no moment of the calendar") from None
