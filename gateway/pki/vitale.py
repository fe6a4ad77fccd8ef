"""The authority that certifies Vitale cards: a card-verifiable object 7F21, not X.509.

The layout is the one of card/layout/vitale.py: body 5F38 of 277 octets (8 issuer reference, 10
card serial, 3 expiry AAMMJJ in BCD, 256 modulus; e = 65537), signature 5F37 of 256 octets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from gateway.errors import TrustError
from gateway.pki.certificate import Certificate

_HEAD = bytes.fromhex("7F2182021F5F38820115")
_BODY_SIZE = 8 + 10 + 3 + 256
_BETWEEN = bytes.fromhex("5F37820100")
_SIZE = len(_HEAD) + _BODY_SIZE + len(_BETWEEN) + 256
_PADDING, _HASH = PKCS1v15(), SHA256()
MOST_REMEMBERED = 50_000


@dataclass(frozen=True)
class VitaleCertificate:
    """What a verified 7F21 object says. `serial` is 20 hexadecimal digits (the PAN value)."""

    serial: str
    expiry: date
    public_key: RSAPublicKey = field(repr=False, compare=False)


class VitaleAuthority:
    """The Vitale authority: its 8-byte reference and public key."""

    def __init__(self, reference: bytes, public_key: RSAPublicKey) -> None:
        self._reference = reference
        self._public_key = public_key
        self._good: dict[bytes, VitaleCertificate] = {}

    @classmethod
    def load(cls, directory: Path) -> VitaleAuthority:
        """Read the only `vitale/REFERENCE.pem` of a trust directory (REFERENCE in hexadecimal)."""
        found = sorted((directory / "vitale").glob("*.pem"))
        if len(found) != 1:
            raise TrustError(
                f"not exactly one .pem under {directory / 'vitale'}: install the Vitale authority"
            )
        try:
            reference = bytes.fromhex(found[0].stem)
            certificate = load_pem_x509_certificate(found[0].read_bytes())
        except ValueError:
            raise TrustError(f"{found[0].name} holds no readable certificate: install it again") from None
        return cls(reference, Certificate.parse(certificate.public_bytes(Encoding.DER)).public_key)

    def verify(self, certificate: bytes) -> VitaleCertificate:
        """Check the authority's signature over a 7F21 object (cached); TrustError otherwise."""
        remembered = self._good.get(certificate)
        if remembered is not None:
            return remembered
        verified = self._verify(bytes(certificate))
        if len(self._good) >= MOST_REMEMBERED:
            self._good.clear()
        self._good[bytes(certificate)] = verified
        return verified

    def _verify(self, certificate: bytes) -> VitaleCertificate:
        body_at, body_end = len(_HEAD), len(_HEAD) + _BODY_SIZE
        if (
            len(certificate) != _SIZE
            or not certificate.startswith(_HEAD)
            or not certificate.startswith(_BETWEEN, body_end)
        ):
            raise TrustError("the Vitale certificate is not laid out as it must be: read the card again")
        body = certificate[body_at:body_end]
        if body[:8] != self._reference:
            raise TrustError("the Vitale certificate comes from another authority: the card is not accepted")
        try:
            self._public_key.verify(certificate[-256:], body, _PADDING, _HASH)
        except InvalidSignature:
            raise TrustError(
                "the signature of the Vitale certificate is wrong: the card is not accepted"
            ) from None
        return _read(body)


def _read(body: bytes) -> VitaleCertificate:
    """The facts of a body whose signature is good; the authority itself may still have erred."""
    modulus = int.from_bytes(body[21:], "big")
    try:
        digits = body[18:21].hex()
        expiry = date(2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:]))
        public_key = RSAPublicNumbers(65537, modulus).public_key()
    except ValueError:
        raise TrustError("the Vitale certificate holds an impossible date or key: replace the card") from None
    if public_key.key_size != 2048:
        raise TrustError("the Vitale certificate holds a key that is not of 2048 bits: replace the card")
    return VitaleCertificate(body[8:18].hex().upper(), expiry, public_key)
