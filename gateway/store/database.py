"""Opening the database and making each step one durable transaction.

SQLite in WAL mode with synchronous=FULL: when a step has returned, its bytes are on the disk. WAL
with NORMAL may lose the last commits at power loss, so the setting is asserted, not hoped for.
One connection, one writer, guarded by a lock; a second gateway on the same store is refused.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from gateway.audit import AuditEntry, AuditHead, AuditRecord
from gateway.clock import Clock, Rng
from gateway.errors import StoreError
from gateway.failpoint import failpoint
from gateway.store import schema
from gateway.store.statements import Runner
from gateway.store.trail import Trail, read_head, read_records
from gateway.store.vault import Vault, make_key, read_key, read_unsettled_key, settle_key

STEPS = (
    "recover",
    "reserve-fse",
    "reserve-lot",
    "keep-fse",
    "keep-place",
    "sign-fse",
    "cancel",
    "twin-written",
    "keep-lot",
    "keep-answer",
    "claim",
    "sent",
    "failed",
    "give-back",
    "park",
    "release",
    "overdue",
    "post-receipt",
    "post-payment",
    "post-unreadable",
    "purge",
    "audit",
    "batch",
)
"""Every durable step; each has the failpoints `<step>-before`, `<step>-commit` (written, not yet
durable) and `<step>-after`."""

_BUSY_MS = 5000


class Transaction(Runner):
    """What the parts of the store work with inside one step: statements, the moment, the trail."""

    def __init__(self, connection: sqlite3.Connection, at: str, vault: Vault, trail: Trail) -> None:
        super().__init__(connection)
        self.at = at
        self.vault = vault
        self._trail = trail
        self.undone = False

    def audit(self, what: str, ref: str, detail: str = "", who: str = "gateway") -> None:
        """Chain one audit record; it becomes durable with the step itself."""
        self._trail.append(self, AuditEntry(self.at, who, what, ref, detail))

    def audit_records(self) -> Iterator[AuditRecord]:
        """The whole trail, oldest first."""
        return read_records(self)

    def audit_head(self) -> AuditHead:
        """The sealed head of the trail."""
        return read_head(self)

    def finish(self) -> None:
        """Write what belongs to the end of the transaction."""
        self._trail.finish(self)


class Database:
    """The open database of one gateway."""

    def __init__(self, url: str, clock: Clock, rng: Rng, *, read_only: bool) -> None:
        self._clock = clock
        self._guard = threading.RLock()
        self._current: Transaction | None = None
        self._broken = ""
        self.path = _path_of(url)
        self._lock_file = None if read_only else _take_lock(self.path)
        self._connection: Connection | None = None
        try:
            self._open(rng, read_only)
        except BaseException:
            self.close()
            raise

    def _open(self, rng: Rng, read_only: bool) -> None:
        if read_only and not self.path.exists():
            raise StoreError(f"there is no store at {self.path} yet: start the gateway once", code="no-store")
        if not read_only:
            _create_private(self.path)
        with self._translated():
            self._engine = _engine(self.path, read_only)
            self._connection = self._engine.connect()
            assert_durable(self._connection)
            with self._connection.begin():
                self._vault, self._trail = _prepare(self._connection, self.path, rng, read_only)
        if not read_only:
            settle_key(_key_path(self.path))

    def close(self) -> None:
        """Close the database and give up the lock; closing twice is harmless."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
                self._engine.dispose()
                self._connection = None
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    @contextmanager
    def step(self, name: str) -> Iterator[Transaction]:
        """One durable transaction with its failpoints; inside `batch` it joins the one that is open."""
        failpoint(f"{name}-before")
        with self._guard:
            if self._current is None:
                with self._transaction(name) as transaction:
                    yield transaction
            else:
                with self._joined(self._current):
                    yield self._current
                failpoint(f"{name}-commit")
        failpoint(f"{name}-after")

    @contextmanager
    def batch(self) -> Iterator[None]:
        """One transaction around several steps."""
        failpoint("batch-before")
        with self._guard:
            if self._current is not None:
                yield
                return
            with self._transaction("batch"):
                yield
        failpoint("batch-after")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A consistent view for queries; sees the open batch when there is one."""
        with self._guard:
            if self._current is not None:
                yield self._current
                return
            with self._translated(), self._usable().begin():
                yield self._new_transaction()

    @property
    def in_batch(self) -> bool:
        """Whether this thread is inside `batch`."""
        with self._guard:
            return self._current is not None

    @contextmanager
    def _transaction(self, name: str) -> Iterator[Transaction]:
        try:
            with self._translated(), self._usable().begin():
                self._current = transaction = self._new_transaction()
                yield transaction
                if transaction.undone:
                    raise StoreError(
                        "nothing of this batch was kept: one of its steps was refused", code="batch"
                    )
                transaction.finish()
                failpoint(f"{name}-commit")
        except BaseException:
            self._trail.forget()
            raise
        finally:
            self._current = None

    def _new_transaction(self) -> Transaction:
        return Transaction(_driver(self._usable()), schema.stamp(self._clock.now()), self._vault, self._trail)

    @contextmanager
    def _joined(self, transaction: Transaction) -> Iterator[None]:
        try:
            yield
        except BaseException:
            transaction.undone = True
            raise

    def _usable(self) -> Connection:
        if self._connection is None:
            raise StoreError("the store is closed", code="closed")
        if self._broken:
            raise StoreError(self._broken, code="broken")
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as problem:
            raise self._sentence(str(problem.orig).lower()) from None
        except sqlite3.Error as problem:
            raise self._sentence(str(problem).lower()) from None

    def _sentence(self, problem: str) -> StoreError:
        if "disk is full" in problem:
            sentence = "is full: nothing was lost and nothing was accepted; free some space and try again"
            return StoreError(f"the disk of the store {self.path} {sentence}", code="no-space")
        if "malformed" in problem or "not a database" in problem:
            sentence = "is damaged: copy it aside and restore the last backup; nothing was changed"
            return StoreError(f"the store {self.path} {sentence}", code="damaged")
        if "locked" in problem or "busy" in problem:
            sentence = "is held by another program: close that program and try again"
            return StoreError(f"the store {self.path} {sentence}", code="busy")
        if "readonly" in problem:
            sentence = "may only be read: correct the rights of its file and its folder"
            return StoreError(f"the store {self.path} {sentence}", code="read-only")
        if "i/o error" not in problem and "unable to open" not in problem:
            return StoreError(f"the store {self.path} refused this step and kept nothing of it: {problem}")
        # A failed write or sync is never retried into success: what the disk really holds is only
        # known after opening again.
        self._broken = (
            f"the disk of the store {self.path} fails ({problem}): check it, then start the gateway again"
        )
        return StoreError(self._broken, code="broken")


def _driver(connection: Connection) -> sqlite3.Connection:
    """What SQLAlchemy's connection stands on."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def assert_durable(connection: Connection) -> None:
    """Refuse to work on a database that could lose an acknowledged commit."""
    found = {
        name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    connection.rollback()
    if found != {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}:
        raise StoreError(f"the store is not durable ({found}): put it on a local disk", code="not-durable")


def _path_of(url: str) -> Path:
    """The file of a store address. What follows sqlite:/// is a path as it is, ? and % included."""
    path = url.removeprefix("sqlite:///")
    if path == url or path in ("", ":memory:") or "\0" in path:
        raise StoreError("the store must be an SQLite file: write sqlite:///path/to/gateway.db", code="url")
    return Path(os.path.realpath(path))


def _take_lock(path: Path) -> int:
    lock = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise StoreError(f"the store {path} cannot be opened: {problem.strerror}", code="open") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        sentence = "is already used by another gateway: stop that one first, or give this one its own store"
        raise StoreError(f"the store {path} {sentence}", code="in-use") from None
    return descriptor


def _create_private(path: Path) -> None:
    """The file exists with mode 0600 before SQLite opens it; its WAL then gets the same mode."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
    except OSError as problem:
        raise StoreError(f"the store {path} cannot be opened: {problem.strerror}", code="open") from None


def _engine(path: Path, read_only: bool) -> Engine:
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
    )
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    def set_up(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # the driver must not begin transactions on its own
        for pragma in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            raw.execute(f"PRAGMA {pragma}")
        if read_only:
            raw.execute("PRAGMA query_only=ON")

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare(connection: Connection, path: Path, rng: Rng, read_only: bool) -> tuple[Vault, Trail]:
    """Create the tables in a new file, or check that an old one is ours and has its key."""
    key_path = _key_path(path)
    tables = sa.inspect(connection).get_table_names()
    if tables:
        found = _recognise(connection, key_path, rng, tables)
        if not read_only:
            schema.metadata.create_all(connection)  # what a store of an earlier release has not yet
        elif not set(schema.metadata.tables) <= set(tables):
            sentence = "was made by an earlier release: start the gateway once, which adds what is missing"
            raise StoreError(f"the store {path} {sentence}", code="schema")
        return found
    if read_only:
        raise StoreError(f"the store {path} is empty: start the gateway once", code="no-store")
    if key_path.exists():
        raise StoreError(
            f"the store {path} is empty or gone although its key is there: restore it from the backup "
            "(a new store would give out used numbers); to start anew on purpose, move the key file away too",
            code="no-store",
        )
    vault = Vault(make_key(key_path, rng), rng)
    schema.metadata.create_all(connection)
    version = str(schema.SCHEMA_VERSION).encode()
    connection.execute(schema.meta.insert(), [{"name": "schema", "value": version}])
    connection.execute(schema.meta.insert(), [{"name": "key", "value": vault.proof()}])
    trail = Trail(vault.audit_key)
    trail.start(Runner(_driver(connection)))
    return vault, trail


def _key_path(path: Path) -> Path:
    return path.with_name(path.name + ".key")


def _recognise(
    connection: Connection, key_path: Path, rng: Rng, tables: Sequence[str]
) -> tuple[Vault, Trail]:
    path = key_path.with_suffix("")
    if "meta" not in tables:
        raise StoreError(f"{path} is a database, but not a store of this gateway", code="foreign")
    known = {row.name: row.value for row in connection.execute(sa.select(schema.meta))}
    version = known.get("schema", b"?").decode(errors="replace")
    if version != str(schema.SCHEMA_VERSION):
        sentence = (
            f"has schema {version}, this gateway knows {schema.SCHEMA_VERSION}: use the matching release"
        )
        raise StoreError(f"the store {path} {sentence}", code="schema")
    key = read_key(key_path) or read_unsettled_key(key_path)
    if key is None:
        raise StoreError(f"the key file {key_path} is missing: put it back from the backup", code="key")
    vault = Vault(key, rng)
    if not vault.fits(known.get("key", b"")):
        raise StoreError(
            f"the key file {key_path} belongs to another store: restore the right one", code="key"
        )
    return vault, Trail(vault.audit_key)
