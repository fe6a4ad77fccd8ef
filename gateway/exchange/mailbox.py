"""A maildir: every message durable before it is seen, every odd file set aside and reported, none lost.

Order of a delivery: write in tmp, sync, rename into new, sync the directory; only then the key is returned.
`new` is what waits, `cur` what is done, `aside` what a person must look at, each with its reason beside it.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import Clock, Rng, SystemClock, system_rng
from gateway.errors import InputError, StoreError
from gateway.failpoint import failpoint
from gateway.folder import sync_folder

MAX_FILE = 16 * 1024 * 1024

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=,:+-]{0,200}")
_REASON = ".reason"


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that is not a usable message: its name in `aside`, and why."""

    key: str
    reason: str


class Maildir:
    """One mailbox directory; made at first use, readable by its owner only."""

    def __init__(self, path: Path | str, *, clock: Clock | None = None, rng: Rng = system_rng) -> None:
        self._path, self._clock, self._rng = Path(path), clock or SystemClock(), rng
        try:
            for name in ("tmp", "new", "cur", "aside"):
                (self._path / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _disk("The mailbox directory cannot be made", error) from error

    def deliver(self, raw: bytes) -> str:
        """Keep one message durably and return its key; raises StoreError when the disk does not take it."""
        # Nanoseconds first: names in order of arrival. The random part keeps two writers apart.
        key = f"{int(self._clock.now().timestamp() * 1e9):019d}.{self._rng(8).hex()}.vitale"
        temporary = self._path / "tmp" / key
        try:
            _write_synced(temporary, raw)
            failpoint("mailbox-before-rename")
            temporary.rename(self._path / "new" / key)
            sync_folder(self._path / "new")
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _disk("The message cannot be kept in the mailbox", error) from error
        failpoint("mailbox-after-rename")
        return key

    def pending(self, limit: int | None = None) -> list[tuple[str, bytes]]:
        """Messages not yet done, oldest first: (key, raw). Files that are no message are set aside."""
        found: list[tuple[str, bytes]] = []
        for name in sorted(entry.name for entry in (self._path / "new").iterdir()):
            if limit is not None and len(found) >= limit:
                break
            reason = self._odd(name)
            if reason:
                self.set_aside(name, reason)
                continue
            raw = self._read(name)
            if raw is not None:
                found.append((name, raw))
        return found

    def done(self, *keys: str) -> None:
        """Mark messages as dealt with (moved to cur, durable); doing it twice is harmless."""
        for key in keys:
            self._move(key, "cur")
        self._sync("cur", "new")

    def set_aside(self, key: str, reason: str) -> None:
        """Take one file out of the way for a person to look at, with the reason beside it."""
        place = self._path / "aside"
        if not os.path.lexists(self._in_new(key)):
            raise InputError("mailbox: no message has this key; use a key that pending() gave.")
        kept = key if _is_key(key) else f"odd-{self._rng(8).hex()}"
        if os.path.lexists(place / kept):
            kept = f"{kept}-{self._rng(8).hex()}"
        try:
            _write_synced(place / f"{kept}{_REASON}", reason.encode("utf-8"))
        except OSError as error:
            raise _disk("The reason cannot be kept in the mailbox", error) from error
        self._move(key, "aside", kept)
        self._sync("aside", "new")

    def aside(self) -> tuple[SetAside, ...]:
        """Everything that was set aside, with its reason."""
        place = self._path / "aside"
        names = sorted(file.name for file in place.iterdir() if not file.name.endswith(_REASON))
        return tuple(SetAside(name, _reason(place / f"{name}{_REASON}")) for name in names)

    def _odd(self, name: str) -> str:
        """Why this entry of `new` is no message; empty when it is one."""
        if not _is_key(name):
            return "the file name is not one of a mailbox"
        try:
            state = (self._path / "new" / name).lstat()
        except FileNotFoundError:
            return ""  # another reader was faster
        if not stat.S_ISREG(state.st_mode):
            return "not a regular file"
        if state.st_size > MAX_FILE:
            return f"larger than {MAX_FILE} octets"
        return "" if state.st_size else "empty file"

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._path / "new" / name).read_bytes()
        except FileNotFoundError:
            return None
        except PermissionError:
            self.set_aside(name, "not readable by this user")
            return None
        except OSError as error:
            raise _disk("The mailbox cannot be read", error) from error

    def _in_new(self, key: str) -> Path:
        if "/" in key or key in ("", ".", ".."):
            raise InputError("mailbox: the key is not one of this mailbox; use a key that pending() gave.")
        return self._path / "new" / key

    def _move(self, key: str, folder: str, kept: str | None = None) -> None:
        source, target = self._in_new(key), self._path / folder / (kept or key)
        if os.path.lexists(source) and os.path.lexists(target):  # a name used again by a stranger: keep both
            target = target.with_name(f"{target.name}-{self._rng(8).hex()}")
        try:
            source.rename(target)
        except FileNotFoundError as error:
            if not target.exists():
                raise InputError(
                    "mailbox: no message has this key; use a key that pending() gave."
                ) from error
        except OSError as error:
            raise _disk("The message cannot be moved in the mailbox", error) from error

    def _sync(self, *folders: str) -> None:
        try:
            for folder in folders:
                sync_folder(self._path / folder)
        except OSError as error:
            raise _disk("The move in the mailbox cannot be made durable", error) from error


def _is_key(name: str) -> bool:
    return bool(_KEY.fullmatch(name)) and not name.endswith(_REASON)


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return "reason lost"


def _disk(what: str, error: OSError) -> StoreError:
    return StoreError(
        f"{what} ({error.strerror or type(error).__name__}); free the disk or correct its rights."
    )
