"""What keeps a store killed at each of its places: migration, backup and restore leave the old or the new."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import gateway.failpoint
from gateway.clock import SimulatedClock
from gateway.errors import StoreError
from gateway.failpoint import EXIT_CODE
from gateway.store import migrations, schema
from gateway.store.backup import (
    BACKUP_POINTS,
    RESTORE_POINTS,
    Restored,
    backup,
    backup_folders,
    read_backup,
    restore,
)
from gateway.store.restored import DAILY
from gateway.store.store import Store
from tests.gateway.store.line import PRACTICE, START, Line
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
def line(tmp_path: Path) -> Iterator[Line]:
    """A store with its surroundings."""
    made = Line(tmp_path / "line")
    yield made
    made.store.close()


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


@pytest.mark.parametrize("name", BACKUP_POINTS)
def test_a_backup_killed(line: Line, tmp_path: Path, name: str) -> None:
    """Killed anywhere, there is a whole backup or none; the store goes on, and the next backup clears up."""
    line.keep(3)
    line.store.close()
    safe = tmp_path / "backups"
    assert killed_at(name, lambda: backup(line.url, safe, line.clock)) == EXIT_CODE, f"nothing passes {name}"
    left = [read_backup(path) for path in backup_folders(safe)]
    assert len(left) == (name == "backup-named")
    line.clock.advance(timedelta(seconds=1))
    line.reopen()
    line.keep(1)
    whole = backup(line.url, safe, line.clock)
    assert {path.name for path in safe.iterdir()} == {".lock", *(one.path.name for one in (*left, whole))}


@pytest.mark.parametrize("there", ["the store went on", "nothing is there"])
@pytest.mark.parametrize("name", RESTORE_POINTS)
def test_a_restore_killed(line: Line, tmp_path: Path, name: str, there: str) -> None:
    """Killed anywhere, the old store is there or the new one, with no number twice; restoring again works."""
    line.keep(2)
    one = backup(line.url, tmp_path / "backups", line.clock, key_folder=tmp_path / "keys")
    line.clock.advance(timedelta(minutes=1))
    line.keep(1)
    line.store.close()
    path = line.root / "gateway.db"
    if there == "nothing is there":
        shutil.rmtree(line.root)
    before = dump(path) if path.exists() else []

    def again() -> Restored:
        return restore(one.path, line.url, line.clock, key_copy=one.key, over=True)

    assert killed_at(name, again) == EXIT_CODE, f"nothing passes {name}"
    assert path.exists() is (bool(before) or name == "restore-named")
    if path.exists():
        with line.open() as store:
            is_new = store.reserve_fse_number(PRACTICE) > DAILY
            assert is_new is (name == "restore-named")
            assert len(store.fse_list()) == (2 if is_new else 3)
            assert store.verify_audit() > 0
    elif name == "restore-key":  # never started afresh: the key says that a store was there
        with pytest.raises(StoreError, match="empty or gone although its key is there"):
            line.open()
    again()
    line.store = line.open()
    assert [row.number for row in line.store.fse_list()] == [2, 1]
    assert line.store.reserve_fse_number(PRACTICE) > DAILY
    assert not list(line.root.glob("*.restoring*"))
