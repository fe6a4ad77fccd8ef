"""CMS envelopes: AuthEnvelopedData (RFC 5083, 5084) for `modern`, EnvelopedData (RFC 5652) for `sesam`.

One recipient, named by issuer and serial; the content type inside is always id-data. Writing
splices around what is encoded once per recipient. Reading refuses whatever is not exactly the
profile's shape, and every refusal looks the same from outside (promise A9): in `sesam` a key that
does not unwrap is replaced by one derived from the ciphertext, so that the failure comes later, at
the same place as for any other damage (RFC 3218 section 2.3.2).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.padding import PKCS7

from gateway.clock import Rng
from gateway.cms import oids
from gateway.cms.policy import MESSAGE_LIMIT, Policy
from gateway.cms.refusal import Refused
from gateway.errors import InputError
from gateway.pki import der
from gateway.pki.certificate import Certificate

__all__ = ["DecryptionKey", "Refused", "decrypt", "encrypt", "recipient_of"]

VERSION_0 = b"\x02\x01\x00"
TAG_SIZE, NONCE_SIZE, GCM_KEY_SIZE = 16, 12, 32

_NULL = b"\x05\x00"
_SHA256_BOTH = tuple(der.wrap(der.SEQUENCE, oids.SHA256, null) for null in (_NULL, b""))


def _oaep_identifier(digest: bytes, mask_digest: bytes) -> bytes:
    mask = der.wrap(der.SEQUENCE, oids.MGF1, mask_digest)
    parameters = der.wrap(der.SEQUENCE, der.wrap(0xA0, digest), der.wrap(0xA1, mask))
    return der.wrap(der.SEQUENCE, oids.RSA_OAEP, parameters)


OAEP_IDENTIFIERS = tuple(_oaep_identifier(one, two) for one in _SHA256_BOTH for two in _SHA256_BOTH)
"""RSAES-OAEP with SHA-256 twice and no label (RFC 4055 section 4.1): first written, all read."""
PKCS1_IDENTIFIERS = (der.wrap(der.SEQUENCE, oids.RSA, _NULL),)
KEY_TRANSPORTS = {"rsaes-oaep-sha256": OAEP_IDENTIFIERS, "rsaes-pkcs1-v1_5": PKCS1_IDENTIFIERS}
CONTENT_TYPES = {"authEnvelopedData": oids.AUTH_ENVELOPED_DATA, "envelopedData": oids.ENVELOPED_DATA}

_OAEP = OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None)
_PKCS1 = PKCS1v15()


@dataclass(frozen=True)
class _BlockCipher:
    """One CBC cipher of the profile: its identifier, sizes in octets, and constructor."""

    identifier: bytes
    key_size: int
    block_size: int
    make: Callable[[bytes], CipherAlgorithm] = field(repr=False)


BLOCK_CIPHERS = {
    "aes128-cbc": _BlockCipher(oids.AES128_CBC, 16, 16, AES128),
    "des-ede3-cbc": _BlockCipher(oids.DES_EDE3_CBC, 24, 8, TripleDES),
}


@dataclass(frozen=True)
class DecryptionKey:
    """A private key and the certificate (DER) it was published under."""

    private_key: RSAPrivateKey = field(repr=False)
    certificate: bytes = field(repr=False)

    @cached_property
    def issuer_and_serial(self) -> bytes:
        """How an envelope names this key."""
        return Certificate.parse(self.certificate).issuer_and_serial

    @cached_property
    def substitution_secret(self) -> bytes:
        """Seeds the keys used in place of those that do not unwrap; never leaves this module."""
        encoded = self.private_key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return hashlib.sha256(b"substitute" + encoded).digest()


@lru_cache(maxsize=1024)
def _recipient(certificate: bytes, key_transport: str) -> tuple[RSAPublicKey, bytes]:
    """The key and everything of the recipientInfos SET before the wrapped key itself."""
    recipient = Certificate.parse(certificate)
    size = recipient.public_key.key_size // 8
    fixed = VERSION_0 + recipient.issuer_and_serial + KEY_TRANSPORTS[key_transport][0]
    fixed += der.head(der.OCTETS, size)
    info = der.head(der.SEQUENCE, len(fixed) + size) + fixed
    return recipient.public_key, der.head(der.SET, len(info) + size) + info


def encrypt(content: bytes, recipient_certificate: bytes, policy: Policy, rng: Rng) -> bytes:
    """A ContentInfo for one recipient, DER, in the profile's own algorithms.

    `rng` gives the content key and the nonce or IV: they must be fresh for every message.
    """
    if not content:
        raise InputError("there is nothing to encrypt: the content is empty")
    public_key, recipient = _recipient(recipient_certificate, policy.key_transport)
    if policy.is_authenticated:
        key, nonce = rng(GCM_KEY_SIZE), rng(NONCE_SIZE)
        sealed = AESGCM(key).encrypt(nonce, content, None)
        parameters = der.wrap(der.SEQUENCE, der.wrap(der.OCTETS, nonce), b"\x02\x01\x10")
        algorithm = der.wrap(der.SEQUENCE, oids.AES256_GCM, parameters)
        tail = der.wrap(der.OCTETS, sealed[-TAG_SIZE:])
        recipient += public_key.encrypt(key, _OAEP)
        return _splice(oids.AUTH_ENVELOPED_DATA, recipient, algorithm, memoryview(sealed)[:-TAG_SIZE], tail)
    cipher = BLOCK_CIPHERS[policy.writes]
    key, iv = rng(cipher.key_size), rng(cipher.block_size)
    algorithm = der.wrap(der.SEQUENCE, cipher.identifier, der.wrap(der.OCTETS, iv))
    recipient += public_key.encrypt(key, _PKCS1)
    return _splice(oids.ENVELOPED_DATA, recipient, algorithm, _encrypt_cbc(cipher, key, iv, content), b"")


def _splice(
    content_type: bytes, recipient: bytes, algorithm: bytes, sealed: bytes | memoryview, tail: bytes
) -> bytes:
    """Join ContentInfo around the encrypted content, which is copied once."""
    size = len(sealed)
    inner = oids.DATA + algorithm + der.head(0x80, size)
    front = VERSION_0 + recipient + der.head(der.SEQUENCE, len(inner) + size) + inner
    size += len(tail)
    body = der.head(der.SEQUENCE, len(front) + size) + front
    wrapped = content_type + der.head(0xA0, len(body) + size) + body
    return b"".join((der.head(der.SEQUENCE, len(wrapped) + size), wrapped, sealed, tail))


@dataclass(frozen=True)
class _Envelope:
    """The pieces of an envelope of the profile, before anything is decrypted."""

    issuer_and_serial: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    algorithm: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    tag: bytes = field(repr=False)


def decrypt(message: bytes, key: DecryptionKey, policy: Policy) -> bytes:
    """The content of an envelope of this profile, or Refused: one text whatever was wrong.

    In `sesam` a damaged envelope may also give other bytes: whoever calls must treat what follows
    (unpacking, parsing, card signatures) as the same step with the same one failure.
    """
    try:
        envelope = _read(message, policy)
        if envelope.issuer_and_serial != key.issuer_and_serial:
            raise Refused("envelope: made for another recipient")
        if len(envelope.wrapped_key) != key.private_key.key_size // 8:
            raise Refused("envelope: the wrapped key has not the size of ours")
        content = _open_gcm(envelope, key) if policy.is_authenticated else _open_cbc(envelope, key, policy)
    except der.DerError as error:
        raise Refused(f"envelope: {error}") from None
    if not content:
        raise Refused("envelope: empty content")
    return content


def recipient_of(message: bytes, policy: Policy) -> bytes:
    """Whom an envelope of this profile names, issuer and serial as DER; Refused when it is none."""
    try:
        return _read(message, policy).issuer_and_serial
    except der.DerError as error:
        raise Refused(f"envelope: {error}") from None


def _open_gcm(envelope: _Envelope, key: DecryptionKey) -> bytes:
    algorithm, end = envelope.algorithm, len(envelope.algorithm)
    at = der.skip(algorithm, der.enter(algorithm, 0, end, der.SEQUENCE), end, oids.AES256_GCM)
    nonce_at, nonce_end = der.expect(algorithm, der.enter(algorithm, at, end, der.SEQUENCE), end, der.OCTETS)
    if algorithm[nonce_end:] != b"\x02\x01\x10" or nonce_end - nonce_at != NONCE_SIZE:
        raise Refused("envelope: nonce or tag size outside the profile")
    if len(envelope.tag) != TAG_SIZE:
        raise Refused("envelope: tag size outside the profile")
    try:
        content_key = key.private_key.decrypt(envelope.wrapped_key, _OAEP)
        if len(content_key) != GCM_KEY_SIZE:
            raise Refused("envelope: the content key does not open the content")
        return AESGCM(content_key).decrypt(
            algorithm[nonce_at:nonce_end], envelope.sealed + envelope.tag, None
        )
    except (ValueError, InvalidTag):
        raise Refused("envelope: the content key does not open the content") from None


def _open_cbc(envelope: _Envelope, key: DecryptionKey, policy: Policy) -> bytes:
    algorithm, end = envelope.algorithm, len(envelope.algorithm)
    at = der.enter(algorithm, 0, end, der.SEQUENCE)
    kind_end = der.expect(algorithm, at, end, der.OID)[1]
    cipher = _cipher_named(algorithm[at:kind_end], policy)
    iv = algorithm[der.enter(algorithm, kind_end, end, der.OCTETS) :]
    if len(iv) != cipher.block_size or len(envelope.sealed) % cipher.block_size or not envelope.sealed:
        raise Refused("envelope: sizes do not fit the cipher")
    content_key = _unwrap_or_substitute(key, envelope.wrapped_key, cipher.key_size)
    return _decrypt_cbc(cipher, content_key, iv, envelope.sealed)


def _cipher_named(identifier: bytes, policy: Policy) -> _BlockCipher:
    for name in policy.reads:
        if BLOCK_CIPHERS[name].identifier == identifier:
            return BLOCK_CIPHERS[name]
    raise Refused("envelope: a cipher outside the profile")


def _unwrap_or_substitute(key: DecryptionKey, wrapped: bytes, size: int) -> bytes:
    """The content key; or, when unwrapping fails, one that depends on the ciphertext alone."""
    substitute = hmac.digest(key.substitution_secret, wrapped, "sha256")[:size]
    try:
        content_key = key.private_key.decrypt(wrapped, _PKCS1)
    except ValueError:
        return substitute
    return content_key if len(content_key) == size else substitute


def _encrypt_cbc(cipher: _BlockCipher, key: bytes, iv: bytes, content: bytes) -> bytes:
    padder = PKCS7(cipher.block_size * 8).padder()
    encryptor = Cipher(cipher.make(key), CBC(iv)).encryptor()
    return encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()


def _decrypt_cbc(cipher: _BlockCipher, key: bytes, iv: bytes, sealed: bytes) -> bytes:
    decryptor = Cipher(cipher.make(key), CBC(iv)).decryptor()
    unpadder = PKCS7(cipher.block_size * 8).unpadder()
    try:
        return unpadder.update(decryptor.update(sealed) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise Refused("envelope: the content key does not open the content") from None


def _read(message: bytes, policy: Policy) -> _Envelope:
    """Walk ContentInfo and the envelope (RFC 5652 section 6.1, RFC 5083 section 2.1)."""
    end = len(message)
    if end > MESSAGE_LIMIT:
        raise Refused("envelope: larger than the limit")
    content_type = CONTENT_TYPES[policy.envelope]
    at = der.skip(message, der.enter(message, 0, end, der.SEQUENCE), end, content_type)
    at = der.enter(message, der.enter(message, at, end, 0xA0), end, der.SEQUENCE)
    at, recipients_end = der.expect(message, der.skip(message, at, end, VERSION_0), end, der.SET)
    name, wrapped_key = _read_recipient(message, at, recipients_end, KEY_TRANSPORTS[policy.key_transport])
    content_at, content_end = der.expect(message, recipients_end, end, der.SEQUENCE)
    algorithm_at = der.skip(message, content_at, content_end, oids.DATA)
    algorithm_end = der.expect(message, algorithm_at, content_end, der.SEQUENCE)[1]
    sealed = message[der.enter(message, algorithm_end, content_end, 0x80) : content_end]
    tag = b""
    if policy.is_authenticated:
        tag = message[der.enter(message, content_end, end, der.OCTETS) : end]
    elif content_end != end:
        raise Refused("envelope: bytes after the encrypted content")
    return _Envelope(name, wrapped_key, message[algorithm_at:algorithm_end], sealed, tag)


def _read_recipient(message: bytes, at: int, end: int, identifiers: tuple[bytes, ...]) -> tuple[bytes, bytes]:
    """The only KeyTransRecipientInfo, version 0: who, and the wrapped key (RFC 5652 6.2.1)."""
    at = der.skip(message, der.enter(message, at, end, der.SEQUENCE), end, VERSION_0)
    name_end = der.expect(message, at, end, der.SEQUENCE)[1]
    wrapped_at = der.skip_one_of(message, name_end, end, identifiers)
    return message[at:name_end], message[der.enter(message, wrapped_at, end, der.OCTETS) : end]
