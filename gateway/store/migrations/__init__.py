"""Bringing the store of an earlier release to the schema of this one, in one transaction.

`meta.schema` says which schema a store has; a release refuses a number that it does not know. Alembic keeps
its own book beside it (`alembic_version`), moved in the same transaction; a store without that book was made
before there were migrations and counts as schema 0, whichever of the early tables it has.

A revision is a module in `versions/`: `rNNNN_what.py` with `revision`, `down_revision` and `upgrade()`. It
writes out what it needs (never `schema.metadata`, which is that of the newest release), works on SQLite and
PostgreSQL, and changes `schema.SCHEMA_VERSION` with it. What only the open store knows (its audit key, the
moment) is in `given()`. There is no way down: the copy beside the store is the way back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import StoreError
from gateway.failpoint import failpoint
from gateway.store import schema

if TYPE_CHECKING:
    from alembic.config import Config

POINTS = ("migrate-before", "migrate-copied", "migrate-commit", "migrate-after")
"""Where a test kills a migration: nothing done, the copy is there, all written and not durable, done."""

_BOOK = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
_LOCK = 0x56474D49  # one migration of a PostgreSQL store at a time


@dataclass(frozen=True, slots=True)
class Given:
    """What a revision may need from the open store: its moment (a stamp) and the key of its audit trail."""

    at: str
    audit_key: bytes = field(repr=False)


def given() -> Given:
    """For revisions: what the store that is being migrated gives."""
    from alembic import op  # noqa: PLC0415 - alembic is loaded only when a migration is due

    return cast(Given, op.get_context().opts["given"])


def version_of(connection: Connection) -> int | None:
    """The schema that a store has: 0 before there were migrations, None for what is not a store.

    StoreError (schema) when its number makes no sense. Reads only; the caller has begun a transaction.
    """
    inspector = sa.inspect(connection)
    if not inspector.has_table("meta"):
        return None
    query = sa.select(schema.meta.c.value).where(schema.meta.c.name == "schema")
    text = bytes(connection.execute(query).scalar() or b"?").decode(errors="replace")
    if not text.isascii() or not text.isdigit():
        raise StoreError(f"the store has schema {text!r}: it is no number of a release", code="schema")
    version = int(text)
    return 0 if version == 1 and not inspector.has_table(_BOOK.name) else version


def check_version(version: int, name: object, *, read_only: bool) -> None:
    """Refuse a store that is newer than this program, and an older one to who only looks."""
    if version > schema.SCHEMA_VERSION:
        raise StoreError(
            f"the store {name} has schema {version}, this gateway knows {schema.SCHEMA_VERSION}: "
            "use the release that wrote it, or a later one",
            code="schema",
        )
    if read_only and version < schema.SCHEMA_VERSION:
        sentence = "was made by an earlier release: start the gateway once, which brings it up to date"
        raise StoreError(f"the store {name} {sentence}", code="schema")


def enter(connection: Connection) -> None:
    """Write into a new store that it has the schema of this release."""
    _BOOK.create(connection)
    connection.execute(_BOOK.insert(), [{"version_num": revision_of(schema.SCHEMA_VERSION)}])


def revision_of(version: int) -> str:
    """The name of the revision that leads to a schema."""
    return f"{version:04d}"


def migrate(
    connection: Connection,
    what: Given,
    *,
    copy: Callable[[int], object],
    record: Callable[[int, int], None],
) -> None:
    """Bring an older store to the schema of this release; nothing when it has it already.

    The connection has no transaction open. `copy(version)` keeps the store as it is, durably, before
    anything is changed; `record(before, after)` writes what belongs into the same transaction.
    """
    with connection.begin():
        before = version_of(connection)
    if before is None or before >= schema.SCHEMA_VERSION:
        return
    failpoint("migrate-before")
    copy(before)
    failpoint("migrate-copied")
    with _references_unchecked(connection), connection.begin():
        _alone(connection)
        before = version_of(connection)  # another gateway may have been first
        if before is not None and before < schema.SCHEMA_VERSION:
            _run(connection, what)
            _check_references(connection)
            record(before, schema.SCHEMA_VERSION)
        failpoint("migrate-commit")
    failpoint("migrate-after")


def configuration() -> Config:
    """Alembic's settings for this package: no file, the scripts that are packaged here."""
    from alembic.config import Config  # noqa: PLC0415 - a start without a migration does not load it

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _run(connection: Connection, what: Given) -> None:
    from alembic import command  # noqa: PLC0415 - see configuration

    config = configuration()
    config.attributes |= {"connection": connection, "given": what}
    command.upgrade(config, "head")
    done = str(schema.SCHEMA_VERSION).encode()
    connection.execute(schema.meta.update().where(schema.meta.c.name == "schema").values(value=done))


@contextmanager
def _references_unchecked(connection: Connection) -> Iterator[None]:
    """SQLite alters a table by making it anew; the rows that refer to it must not notice meanwhile."""
    raw = connection.connection.driver_connection if _is_sqlite(connection) else None
    if raw is None:
        yield
        return
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


def _check_references(connection: Connection) -> None:
    if not _is_sqlite(connection):
        return
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise StoreError(f"the migration left rows of {broken[0]} without what they refer to", code="schema")


def _alone(connection: Connection) -> None:
    """On PostgreSQL several gateways may start at once; on SQLite the lock of the file has decided."""
    if not _is_sqlite(connection):
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
