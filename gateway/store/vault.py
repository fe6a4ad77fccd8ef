"""Care sheets at rest: AES-256-GCM under the key of the store (`keys.py`)."""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.clock import Rng
from gateway.errors import StoreError

_NONCE_LENGTH = 12
_CHECK = b"vitale-gateway store"


class Vault:
    """Encrypts and decrypts bodies; the label binds each one to its row."""

    def __init__(self, key: bytes, rng: Rng) -> None:
        self._rng = rng
        self._aead = AESGCM(hmac.digest(key, b"bodies", "sha256"))
        self.audit_key = hmac.digest(key, b"audit", "sha256")

    def close(self, label: str, body: bytes) -> bytes:
        """Encrypt one body: nonce, ciphertext, tag."""
        nonce = self._rng(_NONCE_LENGTH)
        return nonce + self._aead.encrypt(nonce, body, label.encode())

    def open(self, label: str, closed: bytes) -> bytes:
        """Decrypt one body; raises StoreError when it was altered or belongs to another row."""
        nonce, text = closed[:_NONCE_LENGTH], closed[_NONCE_LENGTH:]
        try:
            return self._aead.decrypt(nonce, text, label.encode())
        except (InvalidTag, ValueError):
            sentence = (
                f"the kept body of {label} was altered in the store: restore the store from its last backup"
            )
            raise StoreError(sentence, code="damaged") from None

    def proof(self) -> bytes:
        """What a new store keeps, to recognise its key again."""
        return self.close("key", _CHECK)

    def fits(self, proof: bytes) -> bool:
        """Whether this is the key that the store was made with."""
        try:
            return self.open("key", proof) == _CHECK
        except StoreError:
            return False
