"""Stores of past releases (promise C3): they open, nothing of them is lost, and new work is kept."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.clock import SimulatedClock
from gateway.errors import StoreError
from gateway.store import migrations, schema
from gateway.store.copies import KEPT, copy_beside
from gateway.store.rows import StoredShare
from gateway.store.store import Store
from tests.gateway.store.line import PRACTICE, START, Line, body_of
from tests.gateway.store.old import dump, write_old_store

LATER = SimulatedClock(START + timedelta(days=2))


@pytest.mark.parametrize("early", [False, True])
def test_a_store_of_the_first_release_opens(tmp_path: Path, early: bool) -> None:
    """Sheets, lots, payments and numbers are all there, the trail holds, and new sheets are kept."""
    url = write_old_store(tmp_path, early=early)
    with Store(url, LATER) as store:
        assert [(row.number, row.state) for row in store.fse_list(PRACTICE)] == [
            (7, "SIGNED"), (6, "SIGNED"), (5, "AWAITING_CPS"), (4, "IN_LOT"), (3, "SENT"), (2, "RECTIFIED"),
            (1, "PAID"),
        ]  # fmt: skip
        assert store.fse_bodies(PRACTICE, [1, 7]) == [body_of(1), body_of(7)]
        assert [row.state for row in store.lot_list(PRACTICE)] == ["PARKED", "SENT", "ACKNOWLEDGED"]
        assert [line.amo_cents for line in store.payments_of(PRACTICE, 1)] == [2100]
        assert store.reserve_fse_number(PRACTICE) == 8
        store.keep_fse(Line.fse(None, 8, share=StoredShare(900)))  # type: ignore[arg-type]
        assert store.fse_list(PRACTICE, 1)[0].amc_state == "RELAYED"
        assert store.verify_audit() > 36
        done = [record.entry for record in store.audit_records() if record.entry.what == "store migrated"]
        assert [entry.detail for entry in done] == [f"schema 0 to {schema.SCHEMA_VERSION}"]


def test_what_was_beside_an_old_sheet_is_there(tmp_path: Path) -> None:
    """Paper twin, care act, DRE, place of practice and kept answer of the first release are read again."""
    with Store(write_old_store(tmp_path), LATER) as store:
        assert store.twin_of(PRACTICE, 5) == "paper twin"
        assert store.act_of(PRACTICE, 5) == b"{}"
        assert store.fse_bodies(PRACTICE, [3], demands=True) == [b"DRE body"]
        assert store.place_of(PRACTICE, "990000000") == b"a place of practice"
        assert store.kept_answer(PRACTICE, "software", "key-1") is not None
        assert store.fse(PRACTICE, 7).rectifies == 2


@pytest.mark.parametrize("early", [False, True])
def test_migrated_and_new_stores_have_one_schema(tmp_path: Path, early: bool) -> None:
    """After all revisions an old store has exactly the tables, columns and indexes of a new one."""
    Store(write_old_store(tmp_path / "old", early=early), LATER).close()
    Store(f"sqlite:///{tmp_path / 'new.db'}", LATER).close()
    for path in (tmp_path / "old" / "gateway.db", tmp_path / "new.db"):
        engine = sa.create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
            with connection.begin_nested():
                assert migrations.version_of(connection) == schema.SCHEMA_VERSION
        engine.dispose()


def test_revisions_are_one_line() -> None:
    """One revision per schema, in one line, the last of them that of this release; no way down."""
    scripts = ScriptDirectory.from_config(migrations.configuration())
    known = [script.revision for script in scripts.walk_revisions()][::-1]
    assert known == [migrations.revision_of(version) for version in range(1, schema.SCHEMA_VERSION + 1)]
    assert not any(hasattr(script.module, "downgrade") for script in scripts.walk_revisions())


def test_the_store_before_its_migration_stays_beside_it(tmp_path: Path) -> None:
    """A private copy holds exactly what was there; the next opening copies nothing more."""
    url = write_old_store(tmp_path)
    before = dump(tmp_path / "gateway.db")
    Store(url, LATER).close()
    copy = tmp_path / "gateway.db.schema-0"
    assert dump(copy) == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    copy.unlink()
    Store(url, LATER).close()
    assert not copy.exists()


def test_the_last_copies_stay(tmp_path: Path) -> None:
    """Copies of more migrations than are kept: the oldest go, whatever else lies there stays."""
    write_old_store(tmp_path)
    (tmp_path / "gateway.db.schema-note").write_text("mine")
    for version in (1, 9, 10, 11):
        copy_beside(tmp_path / "gateway.db", version)
    left = {path.name for path in tmp_path.glob("*.schema-*")}
    assert left == {"gateway.db.schema-note", "gateway.db.schema-10", "gateway.db.schema-11"}
    assert len(left) == KEPT + 1


def test_without_a_copy_nothing_is_migrated(tmp_path: Path) -> None:
    """A copy that cannot be made is said in one sentence, and the store is as it was; then it opens."""
    url = write_old_store(tmp_path)
    before = dump(tmp_path / "gateway.db")
    in_the_way = tmp_path / "gateway.db.schema-0.partial"
    in_the_way.mkdir()
    with pytest.raises(StoreError, match="cannot be copied to") as refusal:
        Store(url, LATER)
    assert refusal.value.code == "copy"
    assert dump(tmp_path / "gateway.db") == before
    in_the_way.rmdir()
    Store(url, LATER).close()


@pytest.mark.parametrize("early", [False, True])
def test_looking_at_an_old_store(tmp_path: Path, early: bool) -> None:
    """Who only looks changes nothing: one sentence says what to do, and then it works."""
    url = write_old_store(tmp_path, early=early)
    before = dump(tmp_path / "gateway.db")
    with pytest.raises(StoreError, match="start the gateway once") as caught:
        Store(url, LATER, read_only=True)
    assert caught.value.code == "schema"
    assert dump(tmp_path / "gateway.db") == before
    Store(url, LATER).close()
    with Store(url, LATER, read_only=True) as looking:
        assert "1 IN_LOT" in looking.status()


@pytest.mark.parametrize("number", ["99", "x", ""])
def test_a_newer_store_is_refused(line: Line, number: str) -> None:
    """A store with a schema of another release is not touched, for work or for looking."""
    line.store.close()
    with closing(sqlite3.connect(line.root / "gateway.db")) as database:
        database.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (number.encode(),))
        database.commit()
    before = dump(line.root / "gateway.db")
    for read_only in (False, True):
        with pytest.raises(StoreError, match="schema") as refusal:
            line.open(read_only=read_only)
        assert refusal.value.code == "schema"
    assert dump(line.root / "gateway.db") == before


def test_the_wrong_key_migrates_nothing(tmp_path: Path) -> None:
    """An old store beside another key is refused as it is."""
    url = write_old_store(tmp_path)
    (tmp_path / "gateway.db.key").write_bytes(bytes(32))
    before = dump(tmp_path / "gateway.db")
    with pytest.raises(StoreError, match="another store"):
        Store(url, LATER)
    assert dump(tmp_path / "gateway.db") == before
    assert not (tmp_path / "gateway.db.schema-0").exists()


def test_a_start_without_a_migration_does_not_load_alembic(line: Line) -> None:
    """Opening a store of this release costs no import of the migration library."""
    line.store.close()
    code = (
        "import sys; from gateway.clock import SystemClock; from gateway.store.store import Store; "
        "Store(sys.argv[1], SystemClock()).close(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, line.url], check=False).returncode == 0


def test_what_is_beside_a_sheet_is_closed(line: Line) -> None:
    """Care act, paper twin and place of practice: no byte of them can be read in the file."""
    [number] = line.keep(
        1, act=b"CANARY-ACT", twin=b"CANARY-TWIN", share=StoredShare(9, "amc-1", "a@b", b"CANARY-DRE")
    )
    line.store.keep_place(PRACTICE, "990000000", b"CANARY-PLACE")
    assert line.store.act_of(PRACTICE, number) == b"CANARY-ACT"
    assert line.store.fse_bodies(PRACTICE, [number], demands=True) == [b"CANARY-DRE"]
    line.store.close()
    raw = b"".join(path.read_bytes() for path in line.root.iterdir() if path.is_file())
    assert b"CANARY" not in raw
    line.store = line.open()


def test_history_tells_of_the_share(line: Line) -> None:
    """The life of a share stands in the history of its sheet."""
    [number] = line.keep(1, share=StoredShare(900))
    line.store.cancel(PRACTICE, number, "by mistake")
    lines = [(one.what, one.id, one.after) for one in line.store.history(number)]
    assert lines == [
        ("fse", "1", "SIGNED"),
        ("dre", "1", "RELAYED"),
        ("fse", "1", "CANCELLED"),
        ("dre", "1", "CANCELLED"),
    ]
