"""A backup of the store while the gateway works, and the way back.

A backup is a folder of its own, `vitale-AAAAMMJJThhmmssZ`, that has its name only when all of it is on the
disk: `store.db` (a consistent copy, checked), or `store.dump` (PostgreSQL), and `manifest.json`. Bodies in it
stay closed; their key is put beside nothing: on demand it goes into another folder.

Restoring puts a checked copy in place of a store that nobody has open, and keeps what was there under
another name. What the lost store did after the backup is not known any more: its numbers are skipped (see
`restored.py`), its sheets and returns have to be looked up where they went.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gateway.clock import Clock, Rng, system_rng
from gateway.errors import StoreError
from gateway.failpoint import failpoint
from gateway.folder import sync_folder
from gateway.store import dumps
from gateway.store.copies import copy_file, sync_file, write_private
from gateway.store.keys import KeyFile, key_place
from gateway.store.restored import MARK, Mark, check_known
from gateway.store.rows import NumberGiven
from gateway.store.schema import SCHEMA_VERSION, stamp
from gateway.store.sqlite import held, path_of
from gateway.store.states import FseState
from gateway.store.store import Store
from gateway.store.vault import Vault

BACKUP_POINTS = ("backup-begun", "backup-copied", "backup-written", "backup-named")
RESTORE_POINTS = ("restore-copied", "restore-freed", "restore-key", "restore-named")
"""Where a test kills either: see the steps of `backup` and `restore`."""

FORMAT = 1
_MANIFEST, _FILE, _DUMP = "manifest.json", "store.db", "store.dump"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup: where it is, what is in it. `digest`: SHA-256 of its one data file, `size` in bytes.

    `records`: how many audit records were checked in it. `fingerprint` recognises the key, and tells
    nothing of it. `key`: where the key was put when that was asked for.
    """

    path: Path
    made_at: datetime
    schema: int
    file: str
    digest: str
    size: int
    records: int
    fingerprint: str
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: the counters after it, the sheets that may have left since, where the old store is."""

    backup: Backup
    numbers: tuple[NumberGiven, ...]
    unsent: int
    kept: Path | None


def backup(url: str, folder: Path, clock: Clock, *, key: str = "", key_folder: Path | None = None) -> Backup:
    """Back up the store at `url` into a new folder inside `folder`; the gateway may be at work.

    `key`: as in the settings. `key_folder`: put a copy of the key there; it must be another place.
    StoreError when anything of it cannot be done; then there is no new backup.
    """
    if key_folder is not None and _is_inside(key_folder, folder):
        raise StoreError(
            f"the key may not lie with the backup it opens: name a folder outside of {folder}", code="backup"
        )
    with _busy(folder):
        now = clock.now().astimezone(UTC)
        name = f"vitale-{now:%Y%m%dT%H%M%SZ}"
        target, partial = folder / name, folder / f"{name}.partial"
        if target.exists():
            raise StoreError(f"the backup {target} is there already: wait a second", code="backup")
        try:
            partial.mkdir(mode=0o700)
            failpoint("backup-begun")
            made = _fill(url, partial, clock, key)
            made = replace(made, path=target, made_at=now)
            write_private(partial / _MANIFEST, _to_json(made))
            sync_folder(partial)
            failpoint("backup-written")
            copied = None if key_folder is None else _copy_key(url, key, key_folder / f"{name}.key")
            partial.rename(target)
            sync_folder(folder)
        except OSError as problem:
            sentence = f"the backup {target} cannot be written: {problem.strerror}"
            raise StoreError(sentence, code="backup") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        failpoint("backup-named")
        return replace(made, key=copied)


def backup_folders(folder: Path) -> list[Path]:
    """Where the backups in a folder are, the oldest first, each to be read with `read_backup`."""
    return [path for path in sorted(folder.glob("vitale-*Z")) if (path / _MANIFEST).is_file()]


def read_backup(path: Path) -> Backup:
    """What the manifest of a backup says; StoreError when this is none, or one of a later release."""
    try:
        said = json.loads((path / _MANIFEST).read_bytes())
        if said.pop("format") != FORMAT:
            raise StoreError(f"the backup {path} is of a later release: use that one", code="backup")
        said |= {"path": path, "made_at": datetime.fromisoformat(said["made_at"])}
        return Backup(**said)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        sentence = "is no whole backup: name a folder that `backup` has made, such as vitale-20260302T090000Z"
        raise StoreError(f"{path} {sentence}", code="backup") from None


def restore(
    path: Path,
    url: str,
    clock: Clock,
    *,
    key: str = "",
    key_copy: Path | None = None,
    known: Mapping[str, int] | None = None,
    over: bool = False,
    rng: Rng = system_rng,
) -> Restored:
    """Put the store of a backup at `url`.

    `key_copy`: the key that was put away with the backup, needed where the key is gone too. `known`: the last
    FSE number that a practice is known to have used. `over`: also over a store that has gone on since then.
    StoreError and the store as it was when anything is against it.
    """
    found = read_backup(path)
    _check_content(found)
    mark = Mark(stamp(found.made_at), dict(known or {}))
    if found.file == _DUMP:
        dumps.restore(found.path / _DUMP, url, {MARK: mark.to_bytes()}, over=over, made_at=mark.made_at)
        kept = None
    else:
        kept = _restore_file(found, url, clock, _Keys(key, key_copy, rng), mark, over=over)
    with Store(url, clock, key=key, rng=rng) as store:
        store.verify_audit()
        unsent = store.counts().fse[FseState.SIGNED]
        return Restored(found, tuple(store.numbers_given()), unsent, kept)


# Making one


def _fill(url: str, partial: Path, clock: Clock, key: str) -> Backup:
    """The data file of a backup, on the disk and checked."""
    if dumps.is_postgres(url):
        file = partial / _DUMP
        dumps.dump(url, file)
        looked = url
    else:
        source, file = path_of(url), partial / _FILE
        if not source.exists():
            raise StoreError(f"there is no store at {source}: nothing was backed up", code="no-store")
        copy_file(source, file)
        failpoint("backup-copied")
        _check_pages(file)
        looked = f"sqlite:///{file}"
    at = key_place(key, lambda: _beside(path_of(url)))
    key_setting = str(at.path) if isinstance(at, KeyFile) else key
    with Store(looked, clock, read_only=True, key=key_setting) as copy:
        records = copy.verify_audit()
    secret = at.read() or b""
    return Backup(
        path=partial,
        made_at=clock.now(),
        schema=SCHEMA_VERSION,
        file=file.name,
        digest=_digest(file),
        size=file.stat().st_size,
        records=records,
        fingerprint=_fingerprint(secret),
    )


def _check_pages(file: Path) -> None:
    """Every page of the copy is sound: a damaged store is said now, not when its backup is needed."""
    with closing(sqlite3.connect(file)) as database:
        try:
            said = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as problem:
            said = str(problem)
    if said != "ok":
        raise StoreError(f"the store is damaged ({said}): restore its last backup", code="damaged")


def _copy_key(url: str, key: str, target: Path) -> Path:
    secret = key_place(key, lambda: _beside(path_of(url))).read()
    if secret is None:
        raise StoreError("the key of the store is missing: put it back first", code="key")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = KeyFile(target)
    place.write(secret)
    place.settle()
    return target


@contextmanager
def _busy(folder: Path) -> Iterator[None]:
    """One backup at a time in a folder; what an interrupted one has left is cleared away."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise StoreError(f"the folder {folder} cannot be used: {problem.strerror}", code="backup") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in folder.glob("vitale-*.partial"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    except BlockingIOError:
        sentence = f"another backup into {folder} is being made: wait for it"
        raise StoreError(sentence, code="backup") from None
    finally:
        os.close(lock)


# Putting one back


@dataclass(frozen=True, slots=True)
class _Keys:
    """Where the key of the restored store is to stand, and where it may be taken from."""

    setting: str
    copy: Path | None
    rng: Rng

    def secret(self, path: Path, proof: bytes) -> tuple[KeyFile | None, bytes]:
        """The key that opens this store, and the file to write it to when it is not there yet."""
        place = key_place(self.setting, lambda: _beside(path))
        there = place.read() or place.read_unsettled()
        secret = there if there is not None else self._copied()
        if secret is None:
            sentence = f"{place.name} is missing: name the key that was put away with the backup"
            raise StoreError(sentence, code="key")
        if not Vault(secret, self.rng).fits(proof):
            which = place.name if there is not None else f"the key {self.copy}"
            raise StoreError(f"{which} does not open this backup: put its own key in place", code="key")
        if there is None and not isinstance(place, KeyFile):
            raise StoreError(f"{place.name} is missing: put the key into the keyring first", code="key")
        return (place if there is None and isinstance(place, KeyFile) else None), secret

    def _copied(self) -> bytes | None:
        return None if self.copy is None else KeyFile(self.copy).read()


def _restore_file(
    found: Backup, url: str, clock: Clock, keys: _Keys, mark: Mark, *, over: bool
) -> Path | None:
    """Copy, mark, free what is there, and give the copy its name: before that the old store, then the new."""
    target = path_of(url)
    with held(target):
        fresh = copy_file(found.path / _FILE, target.with_name(target.name + ".restoring"))
        try:
            key_file, secret = keys.secret(target, _mark(fresh, mark, clock.now()))
            sync_file(fresh)
            failpoint("restore-copied")
            kept = _set_aside(target, found, clock, over=over)
            failpoint("restore-freed")
            if key_file is not None:
                key_file.write(secret)
                key_file.settle()
            failpoint("restore-key")
            fresh.replace(target)
            sync_folder(target.parent)
        finally:
            fresh.unlink(missing_ok=True)
        failpoint("restore-named")
        return kept


def _mark(fresh: Path, mark: Mark, now: datetime) -> bytes:
    """Say in the copy that it came from a backup; what the copy keeps to recognise its key."""
    with closing(sqlite3.connect(fresh)) as database:
        counters = dict(database.execute("SELECT practice, last FROM number WHERE kind = 'fse'").fetchall())
        check_known(counters, mark, now)
        with database:
            database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (MARK, mark.to_bytes()))
        row = database.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
    return bytes(row[0]) if row is not None else b""


def _set_aside(target: Path, found: Backup, clock: Clock, *, over: bool) -> Path | None:
    """Keep the store that is there under another name; nobody has it open, and all of it is in its file."""
    if not target.exists() or not target.stat().st_size:
        _remove_wal(target)
        return None
    kept = target.with_name(f"{target.name}.replaced-{clock.now().astimezone(UTC):%Y%m%dT%H%M%SZ}")
    try:
        last = _fold(target)
    except sqlite3.DatabaseError as problem:
        if "locked" in str(problem) or "busy" in str(problem):
            sentence = "is open in another program: close it (status, page, a shell), then restore"
            raise StoreError(f"the store {target} {sentence}", code="in-use") from None
        for suffix in ("-wal", "-shm", ""):  # damaged: out of the way as it is
            with suppress(FileNotFoundError):
                target.with_name(target.name + suffix).rename(f"{kept}{suffix}")
        return kept
    if last > stamp(found.made_at) and not over:
        sentence = (
            f"has gone on since the backup (until {last}): restore it with --over, which keeps it beside"
        )
        raise StoreError(f"the store {target} {sentence}", code="newer")
    return copy_file(target, kept)


def _fold(target: Path) -> str:
    """Bring all of a store into its one file, alone; the moment of its last change."""
    with closing(sqlite3.connect(target, timeout=1.0)) as database:
        database.execute("PRAGMA journal_mode=DELETE").fetchone()
        if database.execute("PRAGMA journal_mode").fetchone()[0] != "delete":
            raise sqlite3.OperationalError("database is locked")
        return str(database.execute("SELECT coalesce(max(at), '') FROM audit").fetchone()[0])


def _remove_wal(target: Path) -> None:
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)


def _check_content(found: Backup) -> None:
    try:
        digest = _digest(found.path / found.file)
    except OSError as problem:
        raise StoreError(
            f"the backup {found.path} cannot be read: {problem.strerror}", code="backup"
        ) from None
    if not hmac.compare_digest(digest, found.digest):
        raise StoreError(f"the backup {found.path} was altered: take another one", code="damaged")
    if found.schema > SCHEMA_VERSION:
        sentence = (
            f"has schema {found.schema}, this gateway knows {SCHEMA_VERSION}: use the release that made it"
        )
        raise StoreError(f"the backup {found.path} {sentence}", code="schema")


# Small things


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".key")


def _is_inside(one: Path, other: Path) -> bool:
    return other.resolve() in (one.resolve(), *one.resolve().parents)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _fingerprint(secret: bytes) -> str:
    return hmac.digest(secret, b"fingerprint", "sha256").hex()[:16]


def _to_json(made: Backup) -> bytes:
    said = asdict(made) | {"format": FORMAT, "made_at": made.made_at.isoformat()}
    return json.dumps({name: said[name] for name in said if name not in ("path", "key")}, indent=2).encode()
