"""Care sheets at rest: AES-256-GCM under a key that stands beside the store, readable by its owner only."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.clock import Rng
from gateway.errors import StoreError
from gateway.folder import sync_folder

KEY_LENGTH = 32
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


def read_key(path: Path) -> bytes | None:
    """The key, or None when there is none yet; raises StoreError when the file is not a key."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise StoreError(f"the key file {path} cannot be read: {problem.strerror}", code="key") from None
    if len(key) != KEY_LENGTH:
        raise StoreError(f"the key file {path} is damaged: restore it from the backup", code="key")
    return key


def make_key(path: Path, rng: Rng) -> bytes:
    """Write a new key durably beside `path`, before anything is encrypted with it.

    `settle_key` puts it there. A key at `path` means that its store was made: one that is empty or gone then
    is never started afresh.
    """
    key = rng(KEY_LENGTH)
    fresh = _unsettled(path)
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)
    return key


def settle_key(path: Path) -> None:
    """Give a new key its name, once the store that proves it is durable."""
    fresh = _unsettled(path)
    if fresh.exists() and not path.exists():
        fresh.replace(path)
        sync_folder(path.parent)


def read_unsettled_key(path: Path) -> bytes | None:
    """The key of a store whose making was interrupted between the two, or None."""
    return read_key(_unsettled(path))


def _unsettled(path: Path) -> Path:
    return path.with_name(path.name + ".new")
