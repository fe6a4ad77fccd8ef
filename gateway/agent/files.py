"""Small files that are keys or decide who is believed: whole or not at all, durable, their owner's only."""

from __future__ import annotations

from pathlib import Path

from gateway.errors import InputError
from gateway.folder import write_whole

OWN, SHOWN = 0o600, 0o644
"""Rights of what is secret, and of what is copied to others."""


def write_file(path: Path, data: bytes, rights: int = OWN) -> None:
    """Put `data` there in one step; InputError names the file that cannot be written."""
    try:
        write_whole(path, data, rights)
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
