"""Backup while the gateway writes, and the way back: what is there, what is refused, what is skipped."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.lots.numbering import MAX_INVOICE_NUMBER
from gateway.store import schema
from gateway.store.backup import Backup, backup, backup_folders, read_backup, restore
from gateway.store.restored import DAILY, LOT_STEP
from gateway.store.store import Store
from tests.gateway.store.line import CAISSE, PRACTICE, Line, body_of
from tests.gateway.store.old import dump, write_old_store


@pytest.fixture
def safe(tmp_path: Path) -> Path:
    """Where backups go."""
    return tmp_path / "backups"


def made(line: Line, safe: Path) -> Backup:
    """A backup of this line's store, its key put away too."""
    return backup(line.url, safe, line.clock, key_folder=safe.parent / "keys")


def test_a_backup_while_the_gateway_writes(line: Line, safe: Path) -> None:
    """Taken in the middle of the work: whole, private, checked; the writer is never refused."""
    line.keep(20)
    ended, kept = threading.Event(), []

    def write() -> None:
        while not ended.is_set():
            kept.extend(line.keep(1))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = []
        for _ in range(5):
            taken.append(backup(line.url, safe, line.clock))
            line.clock.advance(timedelta(seconds=1))
    finally:
        ended.set()
        writer.join()
    assert [read_backup(path).path.name for path in backup_folders(safe)] == [one.path.name for one in taken]
    assert line.store.counts().fse["SIGNED"] == 20 + len(kept)
    line.store.close()
    for one in taken:
        copy = one.path / "store.db"
        shutil.copy(line.root / "gateway.db.key", one.path / "store.db.key")
        with Store(f"sqlite:///{copy}", line.clock, read_only=True) as store:
            rows = store.fse_list(PRACTICE, limit=100_000)
            assert len(rows) >= 20
            numbers = sorted(row.number for row in rows)
            assert store.fse_bodies(PRACTICE, numbers) == [body_of(number) for number in numbers]
            assert store.verify_audit() == one.records
    line.reopen()


def test_what_a_backup_is(line: Line, safe: Path) -> None:
    """Its files are 0600 in folders of 0700, its manifest says what is in it, and no key lies with it."""
    line.lot(2)
    one = made(line, safe)
    assert {path.name for path in one.path.iterdir()} == {"store.db", "manifest.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in one.path.iterdir()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (safe, one.path)} == {0o700}
    said = json.loads((one.path / "manifest.json").read_text())
    assert said["schema"] == schema.SCHEMA_VERSION
    assert (one.records, one.made_at) == (said["records"], line.clock.now())
    assert read_backup(one.path) == replace(one, key=None)
    assert one.key is not None
    assert one.key.read_bytes() == (line.root / "gateway.db.key").read_bytes()
    assert stat.S_IMODE(one.key.stat().st_mode) == 0o600


def test_what_is_not_backed_up(line: Line, safe: Path) -> None:
    """No store, a key into the same folder, a damaged store: one sentence each, and no new backup."""
    line.keep(20)
    for folder in (safe, safe / "keys"):
        with pytest.raises(StoreError, match="may not lie with the backup"):
            backup(line.url, safe, line.clock, key_folder=folder)
    with pytest.raises(StoreError, match="there is no store"):
        backup(f"sqlite:///{safe / 'none.db'}", safe, line.clock)
    line.store.close()
    path = line.root / "gateway.db"
    whole = path.read_bytes()
    with closing(sqlite3.connect(path)) as database:
        root = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'fse_number'").fetchone()
        page = root[0] if root else database.execute("PRAGMA page_count").fetchone()[0] // 2
    path.write_bytes(whole[: page * 4096] + bytes(4096) + whole[page * 4096 + 4096 :])
    with pytest.raises(StoreError, match="damaged"):
        backup(line.url, safe, line.clock)
    assert backup_folders(safe) == []
    path.write_bytes(whole)
    line.reopen()
    assert len([read_backup(path) for path in backup_folders(safe)]) == 0
    made(line, safe)
    assert len([read_backup(path) for path in backup_folders(safe)]) == 1


def test_there_and_back(line: Line, safe: Path) -> None:
    """The machine is gone, key and all: the backup and its key give every sheet, lot and body again."""
    sealed = line.lot(2)
    line.keep(1, practice="other")
    one = made(line, safe)
    before = [(row.number, row.state) for row in line.store.fse_list()]
    line.store.close()
    shutil.rmtree(line.root)
    with pytest.raises(StoreError, match="name the key that was put away"):
        restore(one.path, line.url, line.clock)
    assert not (line.root / "gateway.db").exists()
    back = restore(one.path, line.url, line.clock, key_copy=one.key)
    assert (back.kept, back.unsent) == (None, 1)
    line.store = line.open()
    assert [(row.number, row.state) for row in line.store.fse_list()] == before
    assert line.store.fse_bodies(PRACTICE, [1, 2]) == [body_of(1), body_of(2)]
    [due] = line.store.claim_due(line.clock.now(), 9, timedelta(minutes=1))
    assert due.message == sealed.message
    assert {path.name for path in line.root.iterdir() if path.suffix not in (".lock",)} >= {"gateway.db.key"}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in line.root.iterdir() if path.is_file()}
    assert modes == {0o600}


def test_no_number_comes_back(line: Line, safe: Path) -> None:
    """Numbers given after the backup are not given again, nor to a practice that the backup did not know."""
    line.lot(2)
    one = made(line, safe)
    lost = {*line.store.reserve_fse_numbers(PRACTICE, 300), *line.keep(5)}
    given = [line.store.reserve_lot(PRACTICE, CAISSE, line.clock.now().date()) for _ in range(50)]
    strange = set(line.store.reserve_fse_numbers("after", 4))
    line.store.close()
    line.clock.advance(timedelta(days=3))
    restore(one.path, line.url, line.clock, over=True)
    line.store = line.open()
    again = line.store.reserve_fse_number(PRACTICE)
    assert again == 2 + 4 * DAILY + 1
    assert again not in lost
    assert line.store.reserve_fse_number("after") == 4 * DAILY + 1
    assert line.store.reserve_fse_number("after") not in strange
    lot = line.store.reserve_lot(PRACTICE, CAISSE, given[0].lot_date)
    assert lot.lot_number == 1 + LOT_STEP + 1
    assert (lot.lot_number, lot.lot_date) not in {(each.lot_number, each.lot_date) for each in given}
    assert lot.file_id not in {each.file_id for each in given}
    assert lot.compostage not in {each.compostage for each in given}
    said = [record.entry for record in line.store.audit_records() if "restore" in record.entry.detail]
    assert {entry.what for entry in said} == {
        f"{kind} numbers moved on" for kind in ("fse", "lot", "file", "mail")
    }
    assert [r.entry.what for r in line.store.audit_records()].count("store restored") == 1
    line.reopen()
    assert line.store.reserve_fse_number(PRACTICE) == again + 1, "the counters are moved once"
    assert line.store.verify_audit() > 0


def test_the_last_number_that_a_person_knows(line: Line, safe: Path) -> None:
    """Who says the last number that was used goes on right behind it; a number that cannot be is refused."""
    line.keep(10)
    one = made(line, safe)
    line.store.close()
    for known in (9, -1, MAX_INVOICE_NUMBER):
        with pytest.raises(StoreError, match=f"cannot be {known}") as refusal:
            restore(one.path, line.url, line.clock, known={PRACTICE: known})
        assert refusal.value.code == "number"
    back = restore(one.path, line.url, line.clock, known={PRACTICE: 12})
    assert [(each.kind, each.last) for each in back.numbers] == [("fse", 12)]
    line.store = line.open()
    assert line.store.reserve_fse_number(PRACTICE) == 13


def test_numbers_at_their_end(line: Line, safe: Path) -> None:
    """Where the margin does not fit any more, the last number has to be said."""
    line.keep(1)
    line.store.close()
    with closing(sqlite3.connect(line.root / "gateway.db")) as database, database:
        database.execute("UPDATE number SET last = ?", (MAX_INVOICE_NUMBER - 5,))
    one = made(line, safe)
    with pytest.raises(StoreError, match="too few FSE numbers left"):
        restore(one.path, line.url, line.clock)
    restore(one.path, line.url, line.clock, known={PRACTICE: MAX_INVOICE_NUMBER - 2})
    line.store = line.open()
    assert list(line.store.reserve_fse_numbers(PRACTICE, 2)) == [MAX_INVOICE_NUMBER - 1, MAX_INVOICE_NUMBER]


def test_a_store_that_went_on_is_not_replaced_by_mistake(line: Line, safe: Path) -> None:
    """In use, open for looking, or gone on since the backup: refused; told to, it is kept aside."""
    line.keep(1)
    one = made(line, safe)
    line.clock.advance(timedelta(minutes=1))
    line.keep(1)
    with pytest.raises(StoreError, match="already used by another gateway"):
        restore(one.path, line.url, line.clock)
    line.store.close()
    with line.open(read_only=True), pytest.raises(StoreError, match="open in another program"):
        restore(one.path, line.url, line.clock, over=True)
    before = dump(line.root / "gateway.db")
    with pytest.raises(StoreError, match="has gone on since the backup") as refusal:
        restore(one.path, line.url, line.clock)
    assert refusal.value.code == "newer"
    assert dump(line.root / "gateway.db") == before
    back = restore(one.path, line.url, line.clock, over=True)
    assert back.kept is not None
    assert dump(back.kept) == before
    line.store = line.open()
    assert [row.number for row in line.store.fse_list()] == [1]


def test_over_a_damaged_store(line: Line, safe: Path) -> None:
    """A store that cannot be opened any more is put aside unasked, and the backup takes over."""
    line.keep(3)
    one = made(line, safe)
    line.store.close()
    path = line.root / "gateway.db"
    path.write_bytes(b"x" * 8192)
    back = restore(one.path, line.url, line.clock)
    assert back.kept is not None
    assert back.kept.read_bytes() == b"x" * 8192
    line.store = line.open()
    assert len(line.store.fse_list()) == 3


def test_backups_that_are_not_taken(line: Line, safe: Path, tmp_path: Path) -> None:
    """Altered, half, of a later release, or under another key: the store stays as it was."""
    line.keep(1)
    one = made(line, safe)
    line.store.close()
    before = dump(line.root / "gateway.db")

    def altered(name: str, content: bytes) -> Path:
        copy = tmp_path / "altered"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(one.path, copy)
        (copy / name).write_bytes(content)
        return copy

    manifest = json.loads((one.path / "manifest.json").read_bytes())
    later = json.dumps(manifest | {"schema": schema.SCHEMA_VERSION + 1}).encode()
    cases = [
        (altered("store.db", (one.path / "store.db").read_bytes() + b"\0"), "was altered"),
        (tmp_path, "is no whole backup"),
    ]
    for path, sentence in cases:
        with pytest.raises(StoreError, match=sentence):
            restore(path, line.url, line.clock, over=True)
    with pytest.raises(StoreError, match="use the release that made it"):
        restore(altered("manifest.json", later), line.url, line.clock, over=True)
    for content in (b"[]", b"{", json.dumps(manifest | {"format": 9}).encode()):
        with pytest.raises(StoreError):
            restore(altered("manifest.json", content), line.url, line.clock, over=True)
    key = line.root / "gateway.db.key"
    good = key.read_bytes()
    key.write_bytes(bytes(32))
    with pytest.raises(StoreError, match="does not open this backup"):
        restore(one.path, line.url, line.clock, over=True)
    key.write_bytes(good)
    assert dump(line.root / "gateway.db") == before
    assert not list(line.root.glob("*.restoring"))
    restore(one.path, line.url, line.clock, over=True)
    line.store = line.open()


def test_a_backup_of_an_earlier_release(tmp_path: Path, line: Line, safe: Path) -> None:
    """What an earlier release wrote is brought up to date as it is restored."""
    line.keep(1)
    one = made(line, safe)
    old = tmp_path / "old"
    write_old_store(old)
    shutil.copy(old / "gateway.db", one.path / "store.db")
    manifest = json.loads((one.path / "manifest.json").read_text())
    manifest |= {"schema": 1, "digest": hashlib.sha256((one.path / "store.db").read_bytes()).hexdigest()}
    (one.path / "manifest.json").write_text(json.dumps(manifest))
    back = restore(
        one.path, f"sqlite:///{tmp_path / 'new' / 'gateway.db'}", line.clock, key_copy=old / "gateway.db.key"
    )
    assert {each.practice for each in back.numbers} == {PRACTICE, "other"}


def test_one_backup_at_a_time(line: Line, safe: Path) -> None:
    """What an interrupted backup has left is cleared away; a folder that cannot be used is said."""
    (safe / "vitale-20260101T000000Z.partial").mkdir(parents=True)
    one = made(line, safe)
    assert {path.name for path in safe.iterdir()} == {".lock", one.path.name}
    with pytest.raises(StoreError, match="is there already"):
        made(line, safe)
    (safe.parent / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        backup(line.url, safe.parent / "file" / "folder", line.clock)
