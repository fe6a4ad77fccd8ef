"""A store in one SQLite file: one gateway at a time (a lock beside the file), any number that look.

WAL mode with synchronous=FULL: when a step has returned, its bytes are on the disk. WAL with NORMAL may lose
the last commits at power loss, so the setting is asserted, not hoped for. One connection, one writer, guarded
by a lock among the threads of this process.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from gateway.errors import StoreError
from gateway.store.copies import copy_beside
from gateway.store.statements import Values, compiled

_BUSY_MS = 5000
_DIALECT = sqlite.dialect(paramstyle="named")


class SqliteDriver:
    """Statements on the open file."""

    dialect: sa.Dialect = _DIALECT
    locks = False  # one writer: SQLite keeps the whole file for it

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.execute = self.stream = raw.execute
        self.executemany = raw.executemany

    def insert(self, statement: sa.Insert, values: Values) -> int:
        """Insert one row and return its new key."""
        text, fixed = compiled(statement, tuple(values), _DIALECT)
        return int(self.execute(text, {**fixed, **values}).lastrowid or 0)


class SqliteFile:
    """The open file of one gateway, or of a program that looks."""

    def __init__(self, url: str, *, read_only: bool) -> None:
        self.path = path_of(url)
        self.place = str(self.path)
        self.alone = True
        self._read_only = read_only
        self._guard = threading.RLock()
        self._names: dict[str, threading.RLock] = {}
        self._broken = ""
        self._connection: Connection | None = None
        self._lock_file = None if read_only else _take_lock(self.path)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        if self._read_only and not self.path.exists():
            raise StoreError(f"there is no store at {self.path} yet: start the gateway once", code="no-store")
        if not self._read_only:
            _create_private(self.path)
        with self.translated():
            self._engine = _engine(self.path, self._read_only)
            self._connection = self._engine.connect()
            assert_durable(self._connection)

    def close(self) -> None:
        """Close the file and give up the lock; closing twice is harmless."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
                self._engine.dispose()
                self._connection = None
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def default_key(self) -> Path:
        """Where the key stands unless the settings name another place."""
        return self.path.with_name(self.path.name + ".key")

    def turn(self) -> AbstractContextManager[object]:
        """One thread at a time uses the connection; the one that has it may ask again."""
        return self._guard

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """SQLAlchemy's own connection, with no transaction open: for making and changing tables."""
        with self._guard, self.translated():
            yield self._usable()

    def enter(self, connection: Connection) -> None:
        """The lock beside the file has decided who makes tables."""
        del connection

    def driver(self, connection: Connection) -> SqliteDriver:
        """Our driver in the transaction of SQLAlchemy's connection."""
        return SqliteDriver(driver_of(connection))

    def keep_copy(self, version: int) -> None:
        """A whole copy beside the file, before the store is migrated from this version."""
        copy_beside(self.path, version)

    @contextmanager
    def transaction(self, *, writing: bool) -> Iterator[SqliteDriver]:
        """One transaction: durable when this is left without an error, undone otherwise."""
        del writing  # what may write is the opening's choice
        with self.translated():
            raw = driver_of(self._usable())
            raw.execute("BEGIN" if self._read_only else "BEGIN IMMEDIATE")
            try:
                yield SqliteDriver(raw)
                raw.execute("COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise

    @contextmanager
    def alone_with(self, name: str) -> Iterator[None]:
        """While this is held no other thread holds the same name."""
        with self._guard:
            lock = self._names.setdefault(name, threading.RLock())
        with lock:
            yield

    def is_passing(self, problem: StoreError) -> bool:
        """Whether doing the same step again may help: never here, one writer meets nobody."""
        del problem
        return False

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What SQLite says, in one sentence of ours."""
        try:
            yield
        except DBAPIError as problem:
            raise self._sentence(str(problem.orig).lower()) from None
        except sqlite3.Error as problem:
            raise self._sentence(str(problem).lower()) from None

    def _usable(self) -> Connection:
        if self._connection is None:
            raise StoreError("the store is closed", code="closed")
        if self._broken:
            raise StoreError(self._broken, code="broken")
        return self._connection

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


def driver_of(connection: Connection) -> sqlite3.Connection:
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


def path_of(url: str) -> Path:
    """The file of a store address. What follows sqlite:/// is a path as it is, ? and % included."""
    path = url.removeprefix("sqlite:///")
    if path == url or path in ("", ":memory:") or "\0" in path:
        sentence = (
            "the store must be an SQLite file or a PostgreSQL database: write sqlite:///path/to/gateway.db"
        )
        raise StoreError(f"{sentence} or postgresql://user@host/database", code="url")
    return Path(os.path.realpath(path))


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Nobody else works on the store meanwhile; StoreError (in-use) when somebody does."""
    lock = _take_lock(path)
    try:
        yield
    finally:
        os.close(lock)


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
