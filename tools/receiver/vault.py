"""Keeps what names a person unreadable at rest: details of claims are sealed under the ledger's own key."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.clock import Rng
from gateway.errors import StoreError

_NONCE = 12


class Vault:
    """AES-256-GCM with a random nonce; `label` binds a sealed value to its row."""

    def __init__(self, key: bytes, rng: Rng) -> None:
        self._cipher, self._rng = AESGCM(key), rng

    @classmethod
    def open(cls, path: Path, rng: Rng) -> Vault:
        """The vault whose key is in this file; made at first use, owner only."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(rng(32))
                file.flush()
                os.fsync(file.fileno())
        key = path.read_bytes()
        if len(key) != 32:
            raise StoreError(f"{path.name}: not a key of 32 bytes; put the right one back beside the ledger")
        return cls(key, rng)

    def seal(self, value: bytes, label: bytes) -> bytes:
        """Nonce and ciphertext."""
        nonce = self._rng(_NONCE)
        return nonce + self._cipher.encrypt(nonce, value, label)

    def unseal(self, sealed: bytes, label: bytes) -> bytes:
        """The value; StoreError when it was altered or belongs to another row."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], label)
        except InvalidTag:
            raise StoreError(
                "ledger: a sealed detail was altered; restore the ledger from its backup"
            ) from None
