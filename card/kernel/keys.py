"""RSA private keys of a card. They sign, prove and decipher; they never leave (facts 3.7)."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_private_key

from card.kernel.access import Conditions, read_rules
from card.kernel.errors import CardError, ImageError
from card.kernel.memory import Memory

_PKCS1 = padding.PKCS1v15()
_PREHASHED: dict[str, utils.Prehashed] = {
    "sha1": utils.Prehashed(hashes.SHA1()),  # noqa: S303 - the CPS3 still offers it (facts 3.4)
    "sha256": utils.Prehashed(hashes.SHA256()),
}
_AS_IT_IS = utils.NoDigestInfo()

# A durable write per signature would cost more than the signature: the counter is written
# ahead in steps, so that after a power cut it is never lower than the signatures made.
_COUNT_STEP = 64


class PrivateKey:
    """One key with what it may do and under which condition. Loaded at its first use."""

    def __init__(self, memory: Memory, key: str) -> None:
        rule = memory.get(f"{key}/rule") or b""
        if len(rule) < 4:
            raise ImageError(f"The card image has a private key without rules ({key}); make the card again.")
        self._memory, self._key = memory, key
        self.uses, self.condition = rule[0], rule[1]
        self.object_id = int.from_bytes(rule[2:4], "big")
        self.acl = rule[4:]
        self.rules: Conditions = read_rules(self.acl)
        self._reserved = self._count = int.from_bytes(memory.get(f"{key}/count") or b"", "big")
        self._loaded: rsa.RSAPrivateKey | None = None

    def sign(self, digest: bytes, algorithm: str) -> bytes:
        """RSASSA-PKCS1-v1_5 over a digest made with `algorithm`; counts the signature first."""
        key = self._rsa()
        self._count_up()
        return key.sign(digest, _PKCS1, _PREHASHED[algorithm])

    def prove(self, data: bytes) -> bytes:
        """Block type 1 padding over `data` as it is (INTERNAL AUTHENTICATE gives a DigestInfo)."""
        return self._rsa().sign(data, _PKCS1, _AS_IT_IS)

    def decipher(self, cryptogram: bytes) -> bytes:
        """The message inside a block type 2; a bad block gives 6A80 or a random message."""
        try:
            return self._rsa().decrypt(cryptogram, _PKCS1)
        except ValueError:
            raise CardError(0x6A80) from None

    @property
    def size(self) -> int:
        """Bytes of the modulus."""
        return self._rsa().key_size // 8

    @property
    def count(self) -> int:
        """At least how many signatures this key has made."""
        return self._count

    def load(self, pkcs8: bytes) -> None:
        """Personalisation: another key under the same rules."""
        self._memory.put(self._key, pkcs8)
        self._loaded = None

    def _rsa(self) -> rsa.RSAPrivateKey:
        if self._loaded is None:
            pkcs8 = self._memory.get(self._key)
            if not pkcs8:
                raise CardError(0x6A88)
            key = load_der_private_key(pkcs8, None, unsafe_skip_rsa_key_validation=True)
            if not isinstance(key, rsa.RSAPrivateKey):
                raise CardError(0x6A88)
            self._loaded = key
        return self._loaded

    def _count_up(self) -> None:
        if self._count >= self._reserved:
            reserved = self._count + _COUNT_STEP
            self._memory.put_at_once(f"{self._key}/count", reserved.to_bytes(4, "big"))
            self._reserved = reserved
        self._count += 1


class KeyRing:
    """All private keys of a card, by the DF they live in and their reference."""

    def __init__(self, memory: Memory) -> None:
        self._keys: dict[str, dict[int, PrivateKey]] = {}
        for name in memory.keys("key/"):
            if name.endswith("/rule"):
                key = name[: -len("/rule")]
                path, _, reference = key.removeprefix("key/").rpartition("/")
                self._keys.setdefault(path, {})[int(reference, 16)] = PrivateKey(memory, key)

    def in_df(self, path: str) -> dict[int, PrivateKey]:
        """The keys of one DF (path as 3F00/0001), by reference."""
        return self._keys.get(path, {})
