"""How a CPS opens the protected half of a Vitale: certificate, challenge, signature (ISO 7816-8).

1. PSO VERIFY CERTIFICATE `2A 00 AE`: the CPS authentication certificate (X.509 DER, chained).
   6A80 not a certificate · 6985 not an authentication certificate · 6988 signed by nobody we trust.
2. GET CHALLENGE: 16 bytes.
3. The CPS signs DigestInfo(SHA-256(challenge ‖ serial of the Vitale)) with its authentication key.
4. EXTERNAL AUTHENTICATE `82 00 00`: the signature. The challenge is used up in all cases (attack K5).
The card has no clock: validity dates are the gateway's business.
"""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.x509.oid import NameOID

from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel.applet import DONE
from card.kernel.errors import CardError
from card.kernel.session import Session

# INVENTED(card-to-card): how a CPS really opens a Vitale is not public; these steps and sizes are ours.
CHALLENGE_SIZE = 16
# INVENTED(kiosk-authentication): how an update kiosk proves itself is not public, a certificate does here.
KIOSK_NAME = "BORNE DE MISE A JOUR TEST"
_ENVIRONMENT = 1  # EXTERNAL_CPS speaks of security environment 1
_KEY_BITS, _EXPONENT = 2048, 65537


class CardToCard:
    """The two commands of the Vitale that end in "a CPS has authenticated"."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._trust: list[x509.Certificate] | None = None
        self._kiosk: object | None = None
        self._authenticated_kiosk: object | None = None

    @property
    def is_kiosk(self) -> bool:
        """Whether the last key that proved itself, in this application and since power on, is a kiosk's."""
        key = self._authenticated_kiosk
        return key is not None and key is self._session.certified_key

    def verify_certificate(self, command: CommandAPDU) -> ResponseAPDU:
        """PSO VERIFY CERTIFICATE: on success the certified public key waits in RAM."""
        self._session.certified_key = self._kiosk = self._authenticated_kiosk = None
        certificate = _parse(command.data)
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise CardError(0x6A80)
        if (
            not _authenticates(certificate)
            or key.key_size != _KEY_BITS
            or key.public_numbers().e != _EXPONENT
        ):
            raise CardError(0x6985)
        if not any(_issued(authority, certificate) for authority in self._authorities()):
            raise CardError(0x6988)
        self._session.certified_key = key
        self._kiosk = key if _is_kiosk(certificate) else None
        return DONE

    def authenticate(self, command: CommandAPDU) -> ResponseAPDU:
        """EXTERNAL AUTHENTICATE: 6985 without key or challenge, 6300 when the signature is wrong."""
        session = self._session
        challenge, session.challenge = session.challenge, b""
        key = session.certified_key
        if command.p1 or command.p2:
            raise CardError(0x6A86)
        if not isinstance(key, rsa.RSAPublicKey) or len(challenge) != CHALLENGE_SIZE:
            raise CardError(0x6985)
        if len(command.data) != _KEY_BITS // 8:
            raise CardError(0x6700)
        digest = hashlib.sha256(challenge + session.serial).digest()
        try:
            key.verify(command.data, digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
        except InvalidSignature:
            raise CardError(0x6300) from None
        session.security.grant_external(_ENVIRONMENT)
        self._authenticated_kiosk = self._kiosk
        return DONE

    def _authorities(self) -> list[x509.Certificate]:
        if self._trust is None:
            memory = self._session.memory
            values = [memory.get(key) or b"" for key in memory.keys("trust/")]
            self._trust = [x509.load_der_x509_certificate(value) for value in values]
        return self._trust


def _parse(data: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(data)
        certificate.extensions  # noqa: B018 - parsed lazily: a bad extension must show here
        certificate.public_key()
    except Exception:  # hostile DER raises many kinds; all mean "not a certificate"
        raise CardError(0x6A80) from None
    return certificate


def _authenticates(certificate: x509.Certificate) -> bool:
    """keyUsage of a CPS authentication certificate (facts 3.4), and not one of an authority."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    rightly = usage.digital_signature and usage.key_encipherment
    return rightly and not (usage.content_commitment or usage.key_cert_sign or usage.crl_sign)


def _is_kiosk(certificate: x509.Certificate) -> bool:
    """The authority says so in the name; a practitioner's certificate carries a number there."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [name.value for name in names] == [KIOSK_NAME]


def _issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    if not isinstance(certificate.signature_hash_algorithm, hashes.SHA256):
        return False
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
