"""Opening the database and making each step one durable transaction, whichever database it is.

What SQLite or PostgreSQL says and wants stands in `sqlite.py` and `postgres.py`, behind `Backend`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy.engine import Connection

from gateway.audit import AuditEntry, who_acts
from gateway.clock import Clock, Rng
from gateway.errors import StoreError
from gateway.failpoint import failpoint
from gateway.store import migrations, schema
from gateway.store.keys import key_place
from gateway.store.opening import take_up
from gateway.store.sqlite import SqliteFile
from gateway.store.statements import Driver, Runner
from gateway.store.trail import Trail
from gateway.store.vault import Vault

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
    "line",
    "take-reader",
    "post-receipt",
    "post-payment",
    "post-unreadable",
    "purge",
    "audit",
    "batch",
)
"""Every durable step; each has the failpoints `<step>-before`, `<step>-commit` (written, not yet
durable) and `<step>-after`."""


_Result = TypeVar("_Result")
_TRIES = 4

POSTGRES = ("postgresql:", "postgres:")
"""How the address of a store in PostgreSQL begins."""


class Backend(Protocol):
    """What a kind of database does for the store."""

    place: str
    """How sentences name the store: a path, or the name of a database; never a password."""

    alone: bool
    """Whether one gateway at a time works on it."""

    def default_key(self) -> Path:
        """Where the key stands unless the settings name another place."""
        ...

    def turn(self) -> AbstractContextManager[object]:
        """Held by a thread while it is in a step or a view."""
        ...

    def connect(self) -> AbstractContextManager[Connection]:
        """SQLAlchemy's own connection, with no transaction open: for making and changing tables."""
        ...

    def enter(self, connection: Connection) -> None:
        """For the length of this transaction no other gateway makes or changes tables."""
        ...

    def driver(self, connection: Connection) -> Driver:
        """Our driver in the transaction of SQLAlchemy's connection."""
        ...

    def keep_copy(self, version: int) -> None:
        """Keep the store as it is, durably, before it is migrated from this version."""
        ...

    def transaction(self, *, writing: bool) -> AbstractContextManager[Driver]:
        """One transaction: durable when it is left without an error, undone otherwise."""
        ...

    def alone_with(self, name: str) -> AbstractContextManager[None]:
        """While this is held nobody else on this store holds the same name."""
        ...

    def is_passing(self, problem: StoreError) -> bool:
        """Whether doing the same step again may help."""
        ...

    def close(self) -> None:
        """Give everything up; closing twice is harmless."""
        ...


class Transaction(Runner):
    """What the parts of the store work with inside one step: statements, the moment, the trail."""

    def __init__(self, driver: Driver, at: str, vault: Vault, trail: Trail) -> None:
        super().__init__(driver)
        self.at = at
        self.vault = vault
        self._trail = trail
        self._told: dict[str, list[AuditEntry]] = {}
        self.undone = False

    def audit(self, what: str, ref: str, detail: str = "", who: str = "", *, practice: str = "") -> None:
        """Record something in a practice's chain of the trail, or in the gateway's own.

        It is chained at the end of the transaction, and becomes durable with it. `who`: whoever acts now,
        when nobody is named.
        """
        entry = AuditEntry(self.at, who or who_acts(), what, ref, detail)
        self._told.setdefault(practice, []).append(entry)

    def finish(self) -> None:
        """Write what belongs to the end of the transaction."""
        if self._told:
            self._trail.write(self, self._told)
            self._told = {}


class Database:
    """The open database of one gateway."""

    def __init__(
        self, url: str, clock: Clock, rng: Rng, *, read_only: bool, owner: str = "", key: str = ""
    ) -> None:
        self._clock = clock
        self._key = key
        self._mine = threading.local()  # the transaction that a thread is in
        self.backend = _backend(url, read_only=read_only, owner=owner)
        try:
            self._open(rng, read_only)
        except BaseException:
            self.close()
            raise

    def _open(self, rng: Rng, read_only: bool) -> None:
        key_at = key_place(self._key, self.backend.default_key)
        with self.backend.connect() as connection:
            with connection.begin():
                self.backend.enter(connection)
                runner, place = Runner(self.backend.driver(connection)), self.backend.place
                found = take_up(connection, runner, place, key_at, rng, read_only=read_only)
                self._vault, self._trail = found
            if not read_only:
                key_at.settle()
                self._migrate(connection)

    def _migrate(self, connection: Connection) -> None:
        """Bring the store of an earlier release to the schema of this one; one record says so."""
        at = schema.stamp(self._clock.now())

        def record(before: int, after: int) -> None:
            transaction = self._new_transaction(self.backend.driver(connection))
            transaction.audit("store migrated", "", f"schema {before} to {after}")
            transaction.finish()

        what = migrations.Given(at, self._vault.audit_key)
        migrations.migrate(connection, what, copy=self.backend.keep_copy, record=record)

    def close(self) -> None:
        """Close the database and give up the lock; closing twice is harmless."""
        self.backend.close()

    def do(self, name: str, work: Callable[[Transaction], _Result]) -> _Result:
        """One step and what it gives; when it meets a step of another gateway and loses, it is done again.

        Inside `batch` it is not: the whole batch is undone, and its caller decides.
        """
        for _ in range(_TRIES - 1):
            try:
                with self.step(name) as transaction:
                    return work(transaction)
            except StoreError as problem:
                if self.in_batch or not self.backend.is_passing(problem):
                    raise
        with self.step(name) as transaction:
            return work(transaction)

    @contextmanager
    def step(self, name: str) -> Iterator[Transaction]:
        """One durable transaction with its failpoints; inside `batch` it joins the one that is open."""
        failpoint(f"{name}-before")
        with self.backend.turn():
            current = self._current
            if current is None:
                with self._transaction(name) as transaction:
                    yield transaction
            else:
                with self._joined(current):
                    yield current
                failpoint(f"{name}-commit")
        failpoint(f"{name}-after")

    @contextmanager
    def batch(self) -> Iterator[None]:
        """One transaction around several steps."""
        failpoint("batch-before")
        with self.backend.turn():
            if self._current is not None:
                yield
                return
            with self._transaction("batch"):
                yield
        failpoint("batch-after")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A consistent view for queries; sees the open batch when there is one."""
        with self.backend.turn():
            current = self._current
            if current is not None:
                yield current
                return
            with self.backend.transaction(writing=False) as driver:
                yield self._new_transaction(driver)

    @property
    def in_batch(self) -> bool:
        """Whether this thread is inside `batch`."""
        return self._current is not None

    @property
    def _current(self) -> Transaction | None:
        return getattr(self._mine, "transaction", None)

    @contextmanager
    def _transaction(self, name: str) -> Iterator[Transaction]:
        try:
            with self.backend.transaction(writing=True) as driver:
                self._mine.transaction = transaction = self._new_transaction(driver)
                yield transaction
                if transaction.undone:
                    raise StoreError(
                        "nothing of this batch was kept: one of its steps was refused", code="batch"
                    )
                transaction.finish()
                failpoint(f"{name}-commit")
        finally:
            self._mine.transaction = None

    def _new_transaction(self, driver: Driver) -> Transaction:
        return Transaction(driver, schema.stamp(self._clock.now()), self._vault, self._trail)

    @contextmanager
    def _joined(self, transaction: Transaction) -> Iterator[None]:
        try:
            yield
        except BaseException:
            transaction.undone = True
            raise


def _backend(url: str, *, read_only: bool, owner: str) -> Backend:
    if not url.startswith(POSTGRES):
        return SqliteFile(url, read_only=read_only)
    try:
        from gateway.store.postgres import PostgresDatabase  # noqa: PLC0415 - its driver is an extra
    except ImportError:
        sentence = "the store is in PostgreSQL, and the extra postgres is not installed"
        raise StoreError(f"{sentence}: pip install 'vitale-gateway[postgres]'", code="driver") from None
    return PostgresDatabase(url, read_only=read_only, owner=owner)
