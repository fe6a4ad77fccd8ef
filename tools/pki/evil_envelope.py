"""The evil factory for envelopes: every element as bytes, nothing checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC

from gateway.cms import enveloped, oids
from gateway.pki import Certificate, der
from tools.pki.workbench import CONTENT

KEY, NONCE, IV = bytes(range(32)), bytes(range(12)), bytes(range(16))
OAEP = enveloped._OAEP
PKCS1 = PKCS1v15()


@dataclass(frozen=True)
class Recipient:
    """One KeyTransRecipientInfo."""

    name: bytes = field(repr=False)
    wrapped: bytes = field(repr=False)
    transport: bytes = field(repr=False)
    version: bytes = enveloped.VERSION_0

    def render(self) -> bytes:
        """The encoded RecipientInfo."""
        return der.wrap(
            der.SEQUENCE, self.version, self.name, self.transport, der.wrap(der.OCTETS, self.wrapped)
        )


@dataclass(frozen=True)
class Envelope:
    """An EnvelopedData or AuthEnvelopedData in pieces; `tail` is what follows the encrypted content."""

    outer_type: bytes
    recipients: tuple[Recipient, ...]
    algorithm: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    tail: bytes = field(default=b"", repr=False)
    content_type: bytes = oids.DATA
    version: bytes = enveloped.VERSION_0
    sealed_element: bytes | None = field(default=None, repr=False)

    def render(self) -> bytes:
        """The ContentInfo."""
        sealed = der.wrap(0x80, self.sealed) if self.sealed_element is None else self.sealed_element
        body = der.wrap(
            der.SEQUENCE,
            self.version,
            der.wrap(der.SET, *(recipient.render() for recipient in self.recipients)),
            der.wrap(der.SEQUENCE, self.content_type, self.algorithm, sealed),
            self.tail,
        )
        return der.wrap(der.SEQUENCE, self.outer_type, der.wrap(0xA0, body))


def gcm_algorithm(nonce: bytes = NONCE, tag_size: bytes = b"\x02\x01\x10") -> bytes:
    """aes256-GCM with its parameters (RFC 5084 3.2)."""
    parameters = der.wrap(der.SEQUENCE, der.wrap(der.OCTETS, nonce), tag_size)
    return der.wrap(der.SEQUENCE, oids.AES256_GCM, parameters)


def cbc_algorithm(identifier: bytes = oids.AES128_CBC, iv: bytes = IV) -> bytes:
    """A CBC cipher with its IV."""
    return der.wrap(der.SEQUENCE, identifier, der.wrap(der.OCTETS, iv))


def oaep_recipient(certificate: bytes, key: bytes = KEY) -> Recipient:
    """A good recipient of `modern`."""
    parsed = Certificate.parse(certificate)
    wrapped = parsed.public_key.encrypt(key, OAEP)
    return Recipient(parsed.issuer_and_serial, wrapped, enveloped.OAEP_IDENTIFIERS[0])


def pkcs1_recipient(certificate: bytes, key: bytes = KEY[:16]) -> Recipient:
    """A good recipient of `sesam`."""
    parsed = Certificate.parse(certificate)
    wrapped = parsed.public_key.encrypt(key, PKCS1)
    return Recipient(parsed.issuer_and_serial, wrapped, enveloped.PKCS1_IDENTIFIERS[0])


def modern(certificate: bytes, content: bytes = CONTENT, associated: bytes | None = None) -> Envelope:
    """A valid envelope of `modern`, in pieces."""
    sealed = AESGCM(KEY).encrypt(NONCE, content, associated)
    return Envelope(
        oids.AUTH_ENVELOPED_DATA,
        (oaep_recipient(certificate),),
        gcm_algorithm(),
        sealed[:-16],
        der.wrap(der.OCTETS, sealed[-16:]),
    )


def cbc_encrypt(content: bytes, key: bytes = KEY[:16], iv: bytes = IV) -> bytes:
    """AES-128-CBC of content that is padded here."""
    size = 16 - len(content) % 16
    encryptor = Cipher(AES128(key), CBC(iv)).encryptor()
    return encryptor.update(content + bytes([size]) * size) + encryptor.finalize()


def sesam(certificate: bytes, content: bytes = CONTENT) -> Envelope:
    """A valid envelope of `sesam`, in pieces."""
    return Envelope(
        oids.ENVELOPED_DATA, (pkcs1_recipient(certificate),), cbc_algorithm(), cbc_encrypt(content)
    )
