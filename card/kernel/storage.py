"""The only door between a card and a disk (seam of the tear bench: every method may be the last one).

Order of a durable change: `append`, `sync`; or `replace` alone, which is whole or not at all.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol

from card.kernel.errors import ImageError

MAX_IMAGE = 16 * 1024 * 1024
"""Far more than any card and its journal."""


class Storage(Protocol):
    """One growing sequence of bytes. Only what was followed by `sync` survives a power cut."""

    def read(self) -> bytes:
        """All bytes; raises FileNotFoundError when there is nothing yet."""

    def append(self, data: bytes) -> None:
        """Add bytes at the end, not yet durable."""

    def replace(self, data: bytes) -> None:
        """Put `data` in place of everything, durable and all-or-nothing."""

    def sync(self) -> None:
        """Make what was appended durable."""

    def sync_dir(self) -> None:
        """Make the name of the file durable."""


class MemoryStorage:
    """Bytes in RAM, for tests and for cards that live as long as the process."""

    def __init__(self, initial: bytes = b"") -> None:
        self._data = bytearray(initial)

    def read(self) -> bytes:
        """All bytes."""
        return bytes(self._data)

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._data += data

    def replace(self, data: bytes) -> None:
        """Put `data` in place of everything."""
        self._data = bytearray(data)

    def sync(self) -> None:
        """RAM has nothing to wait for."""

    def sync_dir(self) -> None:
        """RAM has no directory."""


class FileStorage:
    """A file readable by its owner only; `replace` writes a neighbour, syncs it and renames it.

    Two programs on one image would destroy it: an append is refused (OSError) when the file is
    no longer the one this object read or wrote last.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._fd: int | None = None
        self._known: tuple[int, int] | None = None

    def read(self) -> bytes:
        """All bytes of the file; raises FileNotFoundError, or ImageError for a file far too large."""
        with self.path.open("rb") as file:
            data = file.read(MAX_IMAGE + 1)
            if len(data) > MAX_IMAGE:
                raise ImageError("This file is too large for a card image; choose the right file.")
            self._known = (os.fstat(file.fileno()).st_ino, len(data))
        return data

    def append(self, data: bytes) -> None:
        """Add bytes at the end; raises OSError when another program changed the file."""
        fd = self._open()
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            self._check_unchanged(fd)
            try:
                _write_all(fd, data)
            finally:
                self._remember(fd)  # also after half a write: it was ours, not another program's
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)

    def replace(self, data: bytes) -> None:
        """Write a neighbour file (0600), sync it, rename it over the old one, sync the directory."""
        if self._known is not None:
            self._check_unchanged(self._open())
        self.close()
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            _write_all(fd, data)
            os.fsync(fd)
            temporary.replace(self.path)
        except BaseException:
            os.close(fd)
            temporary.unlink(missing_ok=True)
            raise
        self._fd = fd
        self._remember(fd)
        self.sync_dir()

    def sync(self) -> None:
        """fsync of the file."""
        os.fsync(self._open())

    def sync_dir(self) -> None:
        """fsync of the directory, so that the rename survives."""
        fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Let go of the file; the next append opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __del__(self) -> None:
        if getattr(self, "_fd", None) is not None:
            self.close()

    def _open(self) -> int:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND)
        return self._fd

    def _remember(self, fd: int) -> None:
        status = os.fstat(fd)
        self._known = (status.st_ino, status.st_size)

    def _check_unchanged(self, fd: int) -> None:
        opened, named = os.fstat(fd), self.path.stat()
        if self._known != (named.st_ino, named.st_size) or opened.st_ino != named.st_ino:
            raise OSError(f"another program changed {self.path.name} while this card was in use")


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
