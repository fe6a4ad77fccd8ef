"""Taking up a store: its tables, its key, its release; and making a new one."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.clock import Rng
from gateway.errors import StoreError
from gateway.store import migrations, schema
from gateway.store.keys import KeyPlace
from gateway.store.statements import Runner
from gateway.store.trail import Trail
from gateway.store.vault import Vault


def take_up(
    connection: Connection, runner: Runner, place: str, key_at: KeyPlace, rng: Rng, *, read_only: bool
) -> tuple[Vault, Trail]:
    """Create the tables in a new database, or check that an old one is ours and has its key.

    `runner` works in the same transaction as `connection`; `place` is how sentences name the store.
    """
    if sa.inspect(connection).get_table_names():
        return _recognise(connection, place, key_at, rng, read_only=read_only)
    if read_only:
        raise StoreError(f"the store {place} is empty: start the gateway once", code="no-store")
    if key_at.read() is not None:
        raise StoreError(
            f"the store {place} is empty or gone although its key is there: restore it from the backup "
            "(a new store would give out used numbers); to start anew on purpose, move the key file away too",
            code="no-store",
        )
    return _make(connection, runner, Vault(key_at.make(rng), rng))


def _make(connection: Connection, runner: Runner, vault: Vault) -> tuple[Vault, Trail]:
    schema.metadata.create_all(connection)
    migrations.enter(connection)
    version = str(schema.SCHEMA_VERSION).encode()
    connection.execute(schema.meta.insert(), [{"name": "schema", "value": version}])
    connection.execute(schema.meta.insert(), [{"name": "key", "value": vault.proof()}])
    trail = Trail(vault.audit_key)
    trail.start(runner)
    return vault, trail


def _recognise(
    connection: Connection, place: str, key_at: KeyPlace, rng: Rng, *, read_only: bool
) -> tuple[Vault, Trail]:
    version = migrations.version_of(connection)
    if version is None:
        raise StoreError(f"{place} is a database, but not a store of this gateway", code="foreign")
    migrations.check_version(version, place, read_only=read_only)
    known = {row.name: row.value for row in connection.execute(sa.select(schema.meta))}
    key = key_at.read() or key_at.read_unsettled()
    if key is None:
        raise StoreError(f"{key_at.name} is missing: put it back from the backup", code="key")
    vault = Vault(key, rng)
    if not vault.fits(bytes(known.get("key", b""))):
        raise StoreError(f"{key_at.name} belongs to another store: restore the right one", code="key")
    return vault, Trail(vault.audit_key)
