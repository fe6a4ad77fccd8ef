"""Where the key of a store stands: in a file that only its owner reads, or in the system's keyring.

A key that is new stands under a second name until the store that proves it is durable; only then does it get
its own. A key under its own name means that its store was made: one that is empty or gone then is never
started afresh, because a new store would give out used numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gateway.clock import Rng
from gateway.errors import StoreError
from gateway.folder import sync_folder
from gateway.store.copies import write_private

KEY_LENGTH = 32
KEYRING = "keyring:"
"""How a setting begins that names an entry of the keyring."""

_SERVICE = "vitale-gateway"


class KeyPlace(Protocol):
    """One place for one key."""

    name: str
    """How sentences name it."""

    def read(self) -> bytes | None:
        """The key, None when there is none; StoreError (key) when what stands there is not one."""
        ...

    def read_unsettled(self) -> bytes | None:
        """The key of a store whose making was interrupted between the two names, or None."""
        ...

    def make(self, rng: Rng) -> bytes:
        """A new key, durable under its second name before anything is closed with it."""
        ...

    def settle(self) -> None:
        """Give a new key its own name, once the store that proves it is durable."""
        ...


def key_place(setting: str, beside: Callable[[], Path]) -> KeyPlace:
    """The place that a setting names: `keyring:NAME`, a file, or (empty) the file beside the store."""
    if not setting.startswith(KEYRING):
        return KeyFile(Path(setting) if setting else beside())
    return KeyringEntry(setting.removeprefix(KEYRING))


class KeyFile:
    """32 bytes in a file of mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"the key file {path}"
        self._fresh = path.with_name(path.name + ".new")

    def read(self) -> bytes | None:
        """The bytes of the file."""
        return self._read(self.path)

    def read_unsettled(self) -> bytes | None:
        """The bytes of `FILE.new`."""
        return self._read(self._fresh)

    def make(self, rng: Rng) -> bytes:
        """Write `FILE.new`."""
        key = rng(KEY_LENGTH)
        self.write(key)
        return key

    def write(self, key: bytes) -> None:
        """Write this key to `FILE.new`, durably."""
        self._fresh.unlink(missing_ok=True)
        write_private(self._fresh, key)
        sync_folder(self.path.parent)

    def settle(self) -> None:
        """Rename `FILE.new` when nothing has the name yet."""
        if self._fresh.exists() and not self.path.exists():
            self._fresh.replace(self.path)
            sync_folder(self.path.parent)

    def _read(self, path: Path) -> bytes | None:
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise StoreError(f"{self.name} cannot be read: {problem.strerror}", code="key") from None
        if len(key) != KEY_LENGTH:
            raise StoreError(f"{self.name} is damaged: restore it from the backup", code="key")
        return key


class KeyringEntry:
    """The key as hexadecimal text in the keyring of the system (extra `keyring`)."""

    def __init__(self, entry: str) -> None:
        if not entry:
            raise StoreError("the keyring entry of the store key has no name: write keyring:NAME", code="key")
        self._entry = entry
        self.name = f"the entry {entry} of the keyring"

    def read(self) -> bytes | None:
        """What stands under NAME."""
        return self._read(self._entry)

    def read_unsettled(self) -> bytes | None:
        """What stands under NAME.new."""
        return self._read(self._fresh)

    def make(self, rng: Rng) -> bytes:
        """Put a new key under NAME.new."""
        key = rng(KEY_LENGTH)
        self.write(key)
        return key

    def write(self, key: bytes) -> None:
        """Put this key under NAME.new, and see that the keyring gives it back."""
        self._do("set_password", self._fresh, key.hex())
        if self.read_unsettled() != key:
            raise StoreError(f"{self.name} does not keep the key: use a key file instead", code="key")

    def settle(self) -> None:
        """Put what is under NAME.new under NAME when nothing stands there yet."""
        if self.read() is None and (key := self.read_unsettled()) is not None:
            self._do("set_password", self._entry, key.hex())
            self._do("delete_password", self._fresh)

    @property
    def _fresh(self) -> str:
        return f"{self._entry}.new"

    def _read(self, entry: str) -> bytes | None:
        text = self._do("get_password", entry)
        if text is None:
            return None
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != KEY_LENGTH:
            raise StoreError(f"{self.name} is damaged: restore it from the backup", code="key")
        return key

    def _do(self, what: str, *said: str) -> str | None:
        try:
            import keyring  # noqa: PLC0415 - an extra: loaded when the settings ask for it
        except ImportError:
            sentence = "the store key is in the keyring, and the extra keyring is not installed"
            raise StoreError(f"{sentence}: pip install 'vitale-gateway[keyring]'", code="key") from None
        try:
            found: str | None = getattr(keyring, what)(_SERVICE, *said)
        except keyring.errors.KeyringError as problem:
            sentence = f"{self.name} cannot be used ({type(problem).__name__})"
            raise StoreError(f"{sentence}: unlock the keyring, or use a key file", code="key") from None
        return found
