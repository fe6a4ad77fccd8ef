"""Whole copies of an SQLite store, made while programs use it: complete or not there, private, durable."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from gateway.errors import StoreError
from gateway.folder import sync_folder

KEPT = 2
"""How many copies of a store before its migrations stay beside it."""

_MARK = ".schema-"


def copy_beside(path: Path, version: int) -> Path:
    """Keep a store as it is before it is migrated: `FILE.schema-N`; only the last KEPT of them stay."""
    made = copy_file(path, path.with_name(f"{path.name}{_MARK}{version}"))
    for old in sorted(_copies(path), key=_version)[:-KEPT]:
        old.unlink()
    return made


def copy_file(source: Path, target: Path) -> Path:
    """A consistent copy of an SQLite file under another name, in place of what had this name; 0600.

    The file has its name only when all of it is on the disk. StoreError (no-space, copy) when that fails.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        _create_private(partial)
        with (
            closing(sqlite3.connect(source.resolve().as_uri() + "?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(partial)) as new,
        ):
            old.backup(new)
        sync_file(partial)
        partial.replace(target)
        sync_folder(target.parent)
    except (OSError, sqlite3.Error) as problem:
        with suppress(OSError):
            partial.unlink()
        raise _refusal(source, target, problem) from None
    return target


def write_private(path: Path, content: bytes) -> None:
    """A new file of mode 0600, on the disk; raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def sync_file(path: Path) -> None:
    """fsync of one file; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_private(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _copies(path: Path) -> list[Path]:
    found = path.parent.glob(f"{_literal(path.name)}{_MARK}*")
    return [one for one in found if one.name.rpartition("-")[2].isdigit()]


def _literal(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def _version(copy: Path) -> int:
    return int(copy.name.rpartition("-")[2])


def _refusal(source: Path, target: Path, problem: Exception) -> StoreError:
    words = str(problem).lower()
    if "full" in words or "no space" in words:
        sentence = f"the disk has no room for the copy {target} of the store: free some space and try again"
        return StoreError(f"{sentence}; the store was not changed", code="no-space")
    said = problem.strerror if isinstance(problem, OSError) else words
    return StoreError(f"the store {source} cannot be copied to {target}: {said}", code="copy")
