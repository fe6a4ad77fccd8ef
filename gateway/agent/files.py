"""Small files that are keys or decide who is believed: whole or not at all, durable, their owner's only."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.errors import InputError
from gateway.folder import sync_folder

OWN, SHOWN = 0o600, 0o644
"""Rights of what is secret, and of what is copied to others."""


def write_whole(path: Path, data: bytes, rights: int = OWN) -> None:
    """Put `data` there in one step; InputError names the file that cannot be written."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, rights)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as problem:
        raise InputError(
            f"{path} cannot be written ({problem.strerror}): correct the rights of its folder"
        ) from None


def read_whole(path: Path, what: str) -> bytes:
    """All of it; InputError says which file is missing and what it should be."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path} cannot be read as {what} ({problem.strerror}): correct its path") from None
