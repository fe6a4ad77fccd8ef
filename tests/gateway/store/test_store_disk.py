"""The store on its disk: durable settings, one gateway only, private files, full disk, damage, keys."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

import gateway.store
from gateway.clock import SimulatedClock
from gateway.errors import StoreError
from gateway.store.sqlite import SqliteFile, assert_durable
from gateway.store.store import Store
from tests.gateway.store.line import PRACTICE, START, Line, body_of


def test_settings_are_durable(line: Line) -> None:
    """WAL, synchronous FULL and foreign keys are on, and a connection without FULL is refused."""
    with line.store._database.backend.connect() as connection:
        assert_durable(connection)
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
        connection.rollback()
        with pytest.raises(StoreError, match="not durable"):
            assert_durable(connection)


def test_one_gateway_per_store(line: Line) -> None:
    """A second gateway is refused with a sentence; a reader is not; after closing it may open."""
    line.keep()
    with pytest.raises(StoreError, match="already used by another gateway"):
        line.open()
    with line.open(read_only=True) as looking:
        assert looking.counts().fse["SIGNED"] == 1
        assert looking.fse_bodies(PRACTICE, [1]) == [body_of(1)]
        with pytest.raises(StoreError, match="may only be read"):
            looking.reserve_fse_number(PRACTICE)
    line.reopen()


def test_lock_follows_links(line: Line, tmp_path: Path) -> None:
    """The same store under another name is still the same store."""
    (tmp_path / "alias.db").symlink_to(line.root / "gateway.db")
    with pytest.raises(StoreError, match="already used"):
        Store(f"sqlite:///{tmp_path / 'alias.db'}", line.clock)


def test_no_file_is_ever_readable_by_others(tmp_path: Path) -> None:
    """With the most open umask, every file of the store is 0600 and its directory 0700 at all times."""
    before = os.umask(0)
    try:
        line = Line(tmp_path / "var")
        line.lot()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in line.root.iterdir()}
        line.store.close()
    finally:
        os.umask(before)
    assert len(modes) == 5
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700


def test_bodies_are_encrypted_at_rest(line: Line) -> None:
    """The text of a sheet is nowhere in the files of the store; what no patient is in can be found."""
    line.lot()
    files = b"".join(path.read_bytes() for path in line.root.iterdir())
    assert body_of(1)[:12] not in files
    assert PRACTICE.encode() in files


def test_full_disk_loses_nothing(line: Line) -> None:
    """A full disk refuses with one sentence and no acknowledgement; with space again, work goes on."""
    line.keep(2)
    numbers = line.store.reserve_fse_numbers(PRACTICE, 500)
    with line.store._database.backend.connect() as connection, connection.begin():
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    line.sql(f"PRAGMA max_page_count={pages + 20}")
    kept: list[int] = []
    with pytest.raises(StoreError, match="is full: nothing was lost") as refusal:
        _keep_until_refused(line, numbers, kept)
    assert refusal.value.code == "no-space"
    assert line.store.counts().fse["SIGNED"] == 2 + len(kept)
    line.sql("PRAGMA max_page_count=1000000")
    line.store.keep_fse(line.fse(numbers[len(kept)]))
    line.store.verify_audit()
    line.reopen()
    assert line.store.counts().fse["SIGNED"] == 3 + len(kept)


def _keep_until_refused(line: Line, numbers: range, kept: list[int]) -> None:
    for number in numbers:
        line.store.keep_fse(line.fse(number, body=body_of(number) * 20))
        kept.append(number)


def test_failing_disk_stops_the_store(line: Line) -> None:
    """After a disk error the store refuses everything until it is opened again: no retry into success."""
    file = line.store._database.backend
    assert isinstance(file, SqliteFile)
    assert file._sentence("too many sql variables").code == "store"
    line.keep()
    assert file._sentence("disk i/o error").code == "broken"
    with pytest.raises(StoreError, match="start the gateway again"):
        line.keep()
    line.reopen()
    line.keep()


@pytest.mark.parametrize("damage", ["not a database", "torn"])
def test_damaged_file_is_said_in_one_sentence(line: Line, damage: str) -> None:
    """A file that is no database, or a database with torn pages, is refused in one clear sentence."""
    line.keep(20)
    line.store.close()
    path = line.root / "gateway.db"
    content = path.read_bytes()
    broken = b"x" * 8192 if damage == "not a database" else content[:100] + os.urandom(len(content) - 100)
    path.write_bytes(broken)
    with pytest.raises(StoreError, match="damaged"):
        line.open()
    path.write_bytes(content)
    line.reopen()
    assert line.store.counts().fse["SIGNED"] == 20


def test_foreign_database_is_refused(tmp_path: Path) -> None:
    """A database of another program is not touched."""
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (a)")
    other.close()
    with pytest.raises(StoreError, match="not a store of this gateway"):
        Store(f"sqlite:///{tmp_path / 'other.db'}", SimulatedClock(START))


def test_key_must_be_the_stores_own(line: Line) -> None:
    """A missing, short or foreign key file is refused; with its own key the store opens."""
    line.keep()
    line.store.close()
    key = line.root / "gateway.db.key"
    good = key.read_bytes()
    for content, sentence in (
        (b"short", "damaged"),
        (bytes(32), "belongs to another store"),
        (None, "missing"),
    ):
        key.unlink()
        if content is not None:
            key.write_bytes(content)
        with pytest.raises(StoreError, match=sentence):
            line.open()
        key.write_bytes(good)
    line.reopen()
    assert line.store.fse_bodies(PRACTICE, [1]) == [body_of(1)]


@pytest.mark.parametrize("gone", ["deleted", "emptied"])
def test_a_store_that_vanished_is_not_started_afresh(line: Line, gone: str) -> None:
    """Deleted or emptied beside its key, a store is refused: a new one would give out used numbers (B11)."""
    assert line.store.reserve_fse_number(PRACTICE) == 1
    line.store.close()
    path = line.root / "gateway.db"
    kept = path.read_bytes()
    path.unlink()
    if gone == "emptied":
        path.write_bytes(b"")
    with pytest.raises(StoreError, match="empty or gone although its key is there"):
        line.open()
    path.write_bytes(kept)
    line.reopen()
    assert line.store.reserve_fse_number(PRACTICE) == 2


def test_a_store_whose_making_was_interrupted(line: Line) -> None:
    """Stopped before its tables were durable, a store is made again; stopped after, its key is found."""
    line.store.close()
    path, key = line.root / "gateway.db", line.root / "gateway.db.key"
    key.rename(line.root / "gateway.db.key.new")  # stopped after the tables, before the key had its name
    line.reopen()
    assert line.store.reserve_fse_number(PRACTICE) == 1
    assert key.exists()
    line.store.close()
    key.rename(line.root / "gateway.db.key.new")
    path.write_bytes(b"")  # stopped before the tables
    line.reopen()
    assert line.store.reserve_fse_number(PRACTICE) == 1


def test_swapped_bodies_are_noticed(line: Line) -> None:
    """A body moved to another sheet's row does not pass for that sheet's."""
    line.keep(2)
    line.sql("UPDATE fse_body SET body = (SELECT body FROM fse_body WHERE fse_id = 1) WHERE fse_id = 2")
    assert line.store.fse_bodies(PRACTICE, [1]) == [body_of(1)]
    with pytest.raises(StoreError, match="altered"):
        line.store.fse_bodies(PRACTICE, [2])


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://user:hush@host/db"]
)
def test_unusable_addresses(url: str) -> None:
    """An address that is not an SQLite file is refused without repeating a password."""
    with pytest.raises(StoreError, match="sqlite:///") as refusal:
        Store(url, SimulatedClock(START))
    assert "hush" not in str(refusal.value)


def test_closed_and_missing_stores(line: Line, tmp_path: Path) -> None:
    """A closed store, a store that is not there and a folder that cannot be made each say so."""
    line.store.close()
    line.store.close()
    with pytest.raises(StoreError, match="closed"):
        line.keep()
    with pytest.raises(StoreError, match="no store at"):
        Store(f"sqlite:///{tmp_path / 'none.db'}", line.clock, read_only=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(f"sqlite:///{tmp_path / 'file' / 'gateway.db'}", line.clock)


def test_threads_share_one_store(line: Line) -> None:
    """Sheets kept from several threads at once are all there, each under its own number."""

    def work() -> None:
        for _ in range(20):
            line.keep()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert line.store.counts().fse["SIGNED"] == 80
    assert {row.number for row in line.store.fse_list(limit=100)} == set(range(1, 81))
    line.store.verify_audit()


def test_every_error_code_is_explained() -> None:
    """Each code that the store may give is in the README of the room, and none that it never gives."""
    room = Path(gateway.store.__file__).parent
    sources = "".join(path.read_text() for path in [*room.rglob("*.py"), room.parent / "audit.py"])
    given = set(re.findall(r'code="([a-z-]+)"', sources)) | {"store"}
    table = (room / "README.md").read_text().split("## Error codes")[1].split("## Failpoints")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == given
