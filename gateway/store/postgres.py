"""A store in a PostgreSQL database: several gateways at a time, each step one durable transaction.

A step runs at READ COMMITTED and locks the rows that it judges; a view runs at REPEATABLE READ, so that all
of it is of one moment. Each thread at work has a connection of the pool. That commits wait for the disk is
asserted at every opening. When the server goes away, it undoes what was begun; the next step connects again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.pool import PoolProxiedConnection

from gateway.errors import StoreError
from gateway.store.postgres_says import sentence_of
from gateway.store.statements import Values, compiled

CONNECTIONS = 20
"""Threads of one gateway that are in a step at the same time; one more waits."""

STATEMENT_SECONDS, LOCK_SECONDS, IDLE_SECONDS = 120, 10, 300
"""How long one statement may take, wait for another gateway's rows, and a transaction stand still."""

NAME_SECONDS = 5
"""How long a gateway that starts waits for its name: the server may not know yet that its last run died."""

_DIALECT: sa.Dialect = dialects.dialect()  # type: ignore[no-untyped-call]
_OPENING, _NAMES, _SEALING = 0x56475354, 0x5647534E, 0x5647534C
"""Advisory locks: who makes the tables, the name of a gateway, who seals the lots of a practice."""

_VIEWING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITING = "BEGIN; SET LOCAL enable_seqscan TO off"
"""A statement that was planned while its table was empty would read all of it for ever after: a step goes by
its indexes."""

_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


class PostgresDriver:
    """Statements on one connection."""

    dialect: sa.Dialect = _DIALECT
    locks = True

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw = raw
        self._streams = 0

    def execute(self, text: str, values: Values, /) -> psycopg.Cursor[Any]:
        """Run one statement."""
        try:
            return self._raw.execute(cast(Any, text), values)
        except psycopg.DataError:
            if not _has_nul(values):
                raise
        return self._raw.execute(cast(Any, text), _plain(values))

    def executemany(self, text: str, rows: Sequence[Values], /) -> psycopg.Cursor[Any]:
        """Run one statement for each of several rows, without waiting for each answer."""
        cursor = self._raw.cursor()
        plain = [_plain(row) if _has_nul(row) else row for row in rows]
        cursor.executemany(cast(Any, text), plain)
        return cursor

    def stream(self, text: str, values: Values, /) -> psycopg.Cursor[Any]:
        """Run a query whose rows stay at the server until they are asked for."""
        self._streams += 1
        cursor = self._raw.cursor(name=f"rows-{self._streams}")
        cursor.itersize = 1000
        return cast("psycopg.Cursor[Any]", cursor.execute(cast(Any, text), values))

    def insert(self, statement: sa.Insert, values: Values, /) -> int:
        """Insert one row and return its new key."""
        text, fixed = compiled(_returning(statement), tuple(values), _DIALECT)
        row = self.execute(text, {**fixed, **values}).fetchone()
        return int(row[0]) if row else 0


def _has_nul(values: Values) -> bool:
    return any(isinstance(value, str) and "\0" in value for value in values.values())


def _plain(values: Values) -> Values:
    """The same with a mark for each NUL, which this database takes in no text; a peer may have said one."""
    mark = "\N{REPLACEMENT CHARACTER}"
    return {
        name: value.replace("\0", mark) if isinstance(value, str) else value for name, value in values.items()
    }


@lru_cache(maxsize=64)
def _returning(statement: sa.Insert) -> sa.ClauseElement:
    table = cast(sa.Table, statement.table)
    return statement.returning(*table.primary_key)


class PostgresDatabase:
    """The database as one gateway, or a program that looks, works with it."""

    def __init__(self, url: str, *, read_only: bool, owner: str) -> None:
        parsed = _parse(url)
        self.place = (
            f"{parsed.database} of PostgreSQL at {parsed.host or parsed.query.get('host') or 'this host'}"
        )
        self.alone = False
        self._read_only = read_only
        self._owner = owner
        self._guard = threading.Lock()
        self._closed = False
        self._name: psycopg.Connection[Any] | None = None
        self._engine = _engine(parsed, read_only, owner)
        try:
            with self.connect() as connection:
                _assert_fit(connection, self.place)
            self._hold_name()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give every connection back to the server; closing twice is harmless."""
        self._closed = True
        self._engine.dispose()
        with self._guard:
            if self._name is not None:
                self._name.close()
                self._name = None

    def default_key(self) -> Path:
        """There is no place beside a server: the settings name one."""
        sentence = 'a PostgreSQL store needs the place of its key: write key = "FILE" under [store]'
        raise StoreError(sentence, code="key")

    def turn(self) -> AbstractContextManager[object]:
        """Threads do not wait for each other: each has a connection."""
        return nullcontext()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """SQLAlchemy's own connection, with no transaction open: for making and changing tables."""
        with self.translated(), self._engine.connect() as connection:
            raw = raw_of(connection.connection)
            raw.autocommit = False
            try:
                yield connection
            finally:
                if not raw.closed:
                    connection.rollback()
                    raw.autocommit = True

    def enter(self, connection: Connection) -> None:
        """For the length of this transaction no other gateway makes or changes tables."""
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_OPENING})"))

    def driver(self, connection: Connection) -> PostgresDriver:
        """Our driver in the transaction of SQLAlchemy's connection."""
        return PostgresDriver(raw_of(connection.connection))

    def keep_copy(self, version: int) -> None:
        """A migration is one transaction of the server; copies of a server are its keeper's work."""
        del version

    @contextmanager
    def transaction(self, *, writing: bool) -> Iterator[PostgresDriver]:
        """One transaction: durable when this is left without an error, undone otherwise."""
        begin = _WRITING if writing else _VIEWING
        with self.translated():
            held = self._begun(begin)
            raw = raw_of(held)
            try:
                yield PostgresDriver(raw)
                self._commit(raw)
            except BaseException:
                with suppress(psycopg.Error):
                    raw.execute("ROLLBACK")
                if raw.closed:
                    self._engine.dispose()
                raise
            finally:
                held.invalidate() if raw.closed else held.close()

    def _begun(self, begin: str) -> PoolProxiedConnection:
        """A connection with a transaction open; one that the server has dropped meanwhile is replaced."""
        if self._closed:
            raise StoreError("the store is closed", code="closed")
        held = self._engine.raw_connection()
        try:
            raw_of(held).execute(cast(Any, begin))
        except psycopg.OperationalError:
            if not raw_of(held).closed:
                held.close()
                raise
            held.invalidate()
            self._engine.dispose()  # the others in the pool are of the same server
            self._hold_name()
            held = self._engine.raw_connection()
            raw_of(held).execute(cast(Any, begin))
        return held

    def _commit(self, raw: psycopg.Connection[Any]) -> None:
        if raw.info.transaction_status is TransactionStatus.INERROR:
            raise StoreError(f"the store {self.place} refused a part of this step and kept nothing of it")
        try:
            raw.execute("COMMIT")
        except psycopg.OperationalError as problem:
            if raw.closed:
                sentence = (
                    f"the store {self.place} went away while it kept this step, and may have kept it: "
                    "look whether it is there before you do it again"
                )
                raise StoreError(sentence, code="unsure") from None
            raise problem from None

    @contextmanager
    def alone_with(self, name: str) -> Iterator[None]:
        """While this is held nobody else, here or elsewhere, holds the same name; busy after a while."""
        with self.translated():
            held = self._begun("SELECT 1")
            raw, key = raw_of(held), (_SEALING, name)
            try:
                raw.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", key)
                yield
            finally:
                with suppress(psycopg.Error):
                    raw.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", key)
                held.invalidate() if raw.closed else held.close()

    def is_passing(self, problem: StoreError) -> bool:
        """Whether doing the same step again may help: it met a step of another gateway, and lost."""
        return problem.code == "conflict"

    def _hold_name(self) -> None:
        """The name is this gateway's for as long as this connection lives."""
        if self._read_only:
            return
        with self._guard:
            if self._name is not None and not self._name.closed:
                with suppress(psycopg.Error):
                    self._name.execute("SELECT 1")
                    return
            held = self._engine.raw_connection()
            self._name = raw_of(held)
            held.detach()
            try:
                self._name.execute(cast(Any, f"SET lock_timeout TO '{NAME_SECONDS}s'"))
                self._name.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (_NAMES, self._owner))
            except psycopg.errors.LockNotAvailable:
                self._name.close()
                taken = True
            else:
                taken = False
        if taken:
            what = f"another gateway works on the store {self.place} under the name {self._owner}"
            sentence = f"{what}: stop that one first, or give this one a name of its own"
            raise StoreError(sentence, code="in-use")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What PostgreSQL says, in one sentence of ours."""
        try:
            yield
        except NoneFree:
            sentence = (
                f"the store {self.place} has no connection free: try again, or run fewer things at a time"
            )
            raise StoreError(sentence, code="busy") from None
        except DBAPIError as problem:
            raise sentence_of(self.place, problem.orig) from None
        except psycopg.Error as problem:
            raise sentence_of(self.place, problem) from None


def raw_of(held: PoolProxiedConnection) -> psycopg.Connection[Any]:
    """What SQLAlchemy's connection stands on."""
    return cast("psycopg.Connection[Any]", held.driver_connection)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or not parsed.database:
        sentence = "the address of the store makes no sense: write postgresql://user:password@host/database"
        raise StoreError(sentence, code="url")
    return parsed.set(drivername="postgresql+psycopg")


def _engine(url: URL, read_only: bool, owner: str) -> Engine:
    engine = sa.create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=LOCK_SECONDS,
        pool_use_lifo=True,  # what is not needed any more is what grows old
        connect_args={
            "application_name": f"vitale-gateway {owner}"[:63],
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "prepare_threshold": 2,
        },
    )
    settings = {
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "lock_timeout": f"{LOCK_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
        "default_transaction_read_only": "on" if read_only else "off",
        "timezone": "UTC",
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "client_encoding": "UTF8",
        "synchronous_commit": "on",
    }

    def set_up(raw: psycopg.Connection[Any], _record: object) -> None:
        raw.prepared_max = 1000
        raw.execute(cast(Any, "; ".join(f"SET {name} TO '{value}'" for name, value in settings.items())))
        raw.commit()
        raw.autocommit = True  # steps say BEGIN and COMMIT themselves

    event.listen(engine, "connect", set_up)
    return engine


def _assert_fit(connection: Connection, place: str) -> None:
    """Refuse a server that could lose an acknowledged commit, or that cannot write every name."""
    found = {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in _DURABLE}
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if "off" in found.values():
        raise StoreError(
            f"the store {place} is not durable ({found}): switch these settings of the server on",
            code="not-durable",
        )
    if encoding != "UTF8":
        sentence = f"the store {place} has the encoding {encoding}: make its database anew with UTF8"
        raise StoreError(sentence, code="open")
