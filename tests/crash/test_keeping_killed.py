"""What keeps a store killed at each of its places: a migration leaves the old store or the new one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import gateway.failpoint
from gateway.clock import SimulatedClock
from gateway.failpoint import EXIT_CODE
from gateway.store import migrations, schema
from gateway.store.store import Store
from tests.gateway.store.line import PRACTICE, START
from tests.gateway.store.old import dump, write_old_store

LATER = SimulatedClock(START + timedelta(days=2))


def killed_at(name: str, work: Callable[[], object]) -> int:
    """Run some work in a fork that dies at this failpoint; its exit code (0: it never passed there)."""
    child = os.fork()
    if child == 0:
        gateway.failpoint._name, gateway.failpoint._left = name, 1
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the store of an earlier release stands."""
    write_old_store(tmp_path / "var", early=True)
    return tmp_path / "var"


@pytest.mark.parametrize("name", migrations.POINTS)
def test_a_migration_killed(folder: Path, name: str) -> None:
    """Killed at any of its places, the store is the old one, byte for byte as it said, or the new one."""
    url, path = f"sqlite:///{folder / 'gateway.db'}", folder / "gateway.db"
    before = dump(path)
    assert killed_at(name, lambda: Store(url, LATER)) == EXIT_CODE, f"nothing passes {name}"
    after = dump(path)
    assert (after == before) is (name != "migrate-after")
    if name != "migrate-before":
        assert dump(folder / "gateway.db.schema-0") == before
    with Store(url, LATER) as store:
        assert len(store.fse_list(PRACTICE)) == 7
        done = [record.entry.detail for record in store.audit_records() if "migrated" in record.entry.what]
        assert done == [f"schema 0 to {schema.SCHEMA_VERSION}"]
        assert store.verify_audit() > 0
