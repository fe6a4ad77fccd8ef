"""Who may use the API: one token per practice software, shown once when it is made, kept as a digest only.

A token is 32 random bytes: its SHA-256 needs no salt and no slow hash. The file is read again when it has
changed, so that a token can be made or taken back while the gateway works.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.clock import Clock, Rng
from gateway.entries import EntriesFile
from gateway.errors import InputError

PREFIX = "vgt_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """A program that showed its token: its name, and the practice it works for."""

    name: str
    practice: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file; `digest` is the SHA-256 of the token in hexadecimal, `made` ISO 8601."""

    name: str
    practice: str
    digest: str
    made: str


class Tokens:
    """The file of tokens. InputError names the file when it is not one, or a name that is not usable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = EntriesFile(path, "a file of tokens", _entry, self._wrong)

    def new(self, name: str, practice: str, clock: Clock, rng: Rng) -> str:
        """Make a token for the program `name`; what is returned is kept nowhere."""
        token = PREFIX + urlsafe_b64encode(rng(_BYTES)).rstrip(b"=").decode("ascii")
        self.keep(name, practice, token, clock)
        return token

    def keep(self, name: str, practice: str, secret: str, clock: Clock) -> None:
        """Keep the digest of a secret, which has 60 random bits at least, under this name."""
        if not _NAME.fullmatch(name):
            raise InputError(
                "a token's name has 1 to 40 letters, digits, dots, - or _, and begins with a letter or digit"
            )
        entries = self.entries()
        if any(entry.name == name for entry in entries):
            raise InputError(f"there is a token called {name}: take it back first, or choose another name")
        self._file.write((*entries, Entry(name, practice, _digest(secret), clock.now().isoformat())))

    def revoke(self, name: str) -> None:
        """Take the token of this program back; from its next request on it is nobody."""
        entries = self.entries()
        left = tuple(entry for entry in entries if entry.name != name)
        if len(left) == len(entries):
            raise InputError("no token has this name: vitale-gateway token list shows them")
        self._file.write(left)

    def entries(self) -> tuple[Entry, ...]:
        """What the file holds now; nothing when there is none."""
        return self._file.entries()

    def caller(self, token: str) -> Caller | None:
        """Who shows this token; None for nobody. Every entry is compared, in constant time each."""
        shown = _digest(token)
        found = [
            entry for entry in self.entries() if hmac.compare_digest(entry.digest.encode(), shown.encode())
        ]
        return Caller(found[0].name, found[0].practice) if found else None

    def _wrong(self, what: str) -> InputError:
        sentence = "correct its path in [api], or make new tokens"
        return InputError(f"the token file {self._path} {what}: {sentence}")


def _entry(item: dict[str, Any]) -> Entry:
    entry = Entry(**item)
    if not all(isinstance(value, str) for value in (entry.name, entry.practice, entry.digest, entry.made)):
        raise TypeError
    return entry


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
