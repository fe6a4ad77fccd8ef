"""The trail that the store writes: complete, sealed, redacted, and aware of its clock."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.clock import SimulatedClock
from gateway.errors import StoreError
from gateway.store.schema import metadata
from gateway.store.statements import Runner
from gateway.store.store import Store
from gateway.store.trail import verify_trail
from tests.gateway.store.line import PRACTICE, START, Line, raw_of
from tests.gateway.store.old import write_old_store


def test_every_step_is_recorded(line: Line) -> None:
    """Each step of a life leaves a record, in the same transaction; the trail survives closing."""
    sealed = line.lot()
    line.send(sealed)
    arl = line.arl(sealed)
    line.store.post_receipt(arl, raw_of(arl), "m", PRACTICE)
    what = [record.entry.what for record in line.store.audit_records(PRACTICE)]
    assert what == [
        "FSE numbers reserved", "FSE kept", "lot numbers reserved", "lot kept", "lot SENDING", "lot SENT",
        "message kept: arl", "lot ACKNOWLEDGED",
    ]  # fmt: skip
    line.reopen()
    assert line.store.verify_audit() == len(what) + 1  # the gateway's own chain names this one


@pytest.mark.parametrize(
    "tampering",
    [
        "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE audit SET who = 'nobody' WHERE seq = 3",
        "UPDATE audit SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = 1",
        "UPDATE audit_head SET seq = seq - 1",
        "UPDATE audit_head SET seal = digest",
        "DELETE FROM audit_head",
        "DELETE FROM audit",
    ],
)
def test_tampering_in_the_database_is_detected(line: Line, tampering: str) -> None:
    """Whatever is edited with a database tool is detected; the same trail untouched is believed."""
    line.lot(3)
    line.store.verify_audit()
    line.sql(tampering)
    with pytest.raises(StoreError, match="audit trail"):
        line.store.verify_audit()


def test_an_undone_step_leaves_no_record(line: Line) -> None:
    """What was refused is not in the trail, and the trail goes on behind it."""
    with pytest.raises(StoreError):
        line.store.keep_fse(line.fse(7))
    line.keep()
    assert [one.entry.what for one in line.store.audit_records(PRACTICE)][1:] == ["FSE kept"]
    line.store.verify_audit()


def test_a_clock_that_goes_back_is_recorded(line: Line) -> None:
    """When the clock steps back, the trail says so once; forward steps are ordinary."""
    line.keep()
    line.clock.advance(timedelta(hours=-1))
    line.keep()
    line.clock.advance(timedelta(hours=3))
    line.keep()
    assert [record.entry.what for record in line.store.audit_records()].count("clock went back") == 1
    line.store.verify_audit()


def test_no_nir_reaches_the_trail_or_a_reason(line: Line) -> None:
    """A NIR in a peer's answer is removed before it is recorded; the rest of the answer stays."""
    sealed = line.lot()
    nir = "2501962643002" + "68"
    line.store.claim_due(line.clock.now(), 1, timedelta(minutes=1))
    line.store.park(sealed.id, f"550 {nir} unknown")
    line.store.audit("note", "1", f"seen {nir[:13]}")
    shown = repr(line.store.audit_records()) + repr(line.store.lot_list()) + line.store.status()
    shown += repr(line.store.history(1))
    assert nir[:13] not in shown
    assert "550 [removed] unknown" in shown


def tampered(line: Line, *texts: str) -> str:
    """What verifying says once these were run behind the store's back; they are undone afterwards."""
    backend, database = line.store._database.backend, line.store._database
    with backend.connect() as connection, connection.begin() as change:
        for text in texts:
            assert connection.exec_driver_sql(text).rowcount, f"nothing was changed by {text}"
        try:
            verify_trail(Runner(backend.driver(connection)), database._vault.audit_key)
        except StoreError as refusal:
            assert refusal.code == "audit"
            return str(refusal)
        finally:
            change.rollback()
    raise AssertionError(f"not noticed: {texts}")


_EDITS = {
    "practice": "'another'", "seq": "seq + 1000", "at": "'2026-03-02T09:00:00.000001Z'", "who": "'nobody'",
    "what": "'nothing'", "ref": "ref || '.'", "detail": "detail || '.'",
    "digest": "'{zeros}'", "seal": "'{zeros}'",
}  # fmt: skip


def test_every_single_edit_is_noticed(line: Line) -> None:
    """Promise B12: each column of each record and head edited, each deleted; several practices' chains."""
    line.lot(2)
    line.lot(1, practice="other")
    line.store.audit("reader taken", "pcsc")
    count = line.store.verify_audit()
    zeros = "\\x" + "00" * 32 if line.on_server else "0" * 32
    heads = [f"practice = '{practice}'" for practice in ("", "cabinet", "other")]
    records = [
        f"practice = '{record.practice}' AND seq = {record.seq}" for record in line.store.audit_records()
    ]
    assert len(records) == count
    for table, rows in (("audit", records), ("audit_head", heads)):
        for where in rows:
            assert tampered(line, f"DELETE FROM {table} WHERE {where}")
            for column in (one.name for one in metadata.tables[table].columns):
                said = _EDITS[column].replace("{zeros}", zeros)
                assert tampered(line, f"UPDATE {table} SET {column} = {said} WHERE {where}")
    assert line.store.verify_audit() == count


@pytest.mark.parametrize(
    "texts",
    [
        ("DELETE FROM audit WHERE practice = 'other'", "DELETE FROM audit_head WHERE practice = 'other'"),
        ("DELETE FROM audit WHERE practice = 'other'",),
        ("DELETE FROM audit", "DELETE FROM audit_head"),
        ("DELETE FROM audit WHERE practice = ''", "DELETE FROM audit_head WHERE practice = ''"),
        ("UPDATE audit SET practice = 'third' WHERE practice = 'other'",
         "UPDATE audit_head SET practice = 'third' WHERE practice = 'other'"),
        ("INSERT INTO audit SELECT practice, seq + 1, at, who, what, ref, detail, digest FROM audit "
         "WHERE practice = 'other' AND seq = (SELECT max(seq) FROM audit WHERE practice = 'other')",),
        ("INSERT INTO audit SELECT 'third', seq, at, who, what, ref, detail, digest FROM audit "
         "WHERE practice = 'other'",),
        ("INSERT INTO audit SELECT 'third', seq, at, who, what, ref, detail, digest FROM audit "
         "WHERE practice = 'other'",
         "INSERT INTO audit_head SELECT 'third', seq, at, digest, seal FROM audit_head "
         "WHERE practice = 'other'"),
    ],
)  # fmt: skip
def test_a_chain_that_is_gone_or_too_many(line: Line, texts: tuple[str, ...]) -> None:
    """Promise B12: whole chains removed, renamed, doubled or grown; also when all of one practice is gone."""
    line.lot(2)
    line.lot(1, practice="other")
    assert "tampered with" in tampered(line, *texts)
    line.store.verify_audit()


def test_one_practice_is_verified_alone(line: Line) -> None:
    """A chain is verified with the gateway's own; what was done to another practice's does not disturb it."""
    line.lot(2)
    line.lot(1, practice="other")
    line.sql("UPDATE audit SET who = 'nobody' WHERE practice = 'other' AND what = 'lot kept'")
    assert line.store.verify_audit(PRACTICE) > 0
    for practice in ("other", None):
        with pytest.raises(StoreError, match="of practice other was tampered with: record"):
            line.store.verify_audit(practice)
    line.sql("DELETE FROM audit_head WHERE practice = 'cabinet'")
    with pytest.raises(StoreError, match="of practice cabinet was tampered with: its head is missing"):
        line.store.verify_audit(PRACTICE)


def test_practices_do_not_wait_for_each_other(line_on_server: Line) -> None:
    """While one practice's step is under way in a gateway, another practice's is kept in the next."""
    line_on_server.keep()
    line_on_server.keep(practice="other")
    with line_on_server.open(owner="next") as following, line_on_server.store.batch():
        line_on_server.store.audit("seen", "1", practice=PRACTICE)
        line_on_server.store._database._current.finish()  # type: ignore[union-attr]
        following.audit("seen", "1", practice="other")
        assert following.verify_audit("other") == 5


def test_the_one_chain_of_an_older_release(tmp_path: Path) -> None:
    """It stays as the gateway's own and holds; a practice reads on from it into its chain, page by page."""
    with Store(write_old_store(tmp_path), SimulatedClock(START + timedelta(days=9))) as store:
        old = store.audit_of(PRACTICE, limit=1000)
        number = store.reserve_fse_number(PRACTICE)
        whole = store.audit_of(PRACTICE, limit=1000)
        assert [record.entry.ref for record in whole[len(old) :]] == [f"{PRACTICE}/{number}"]
        assert {record.practice for record in whole} == {"", PRACTICE}
        paged, after = [], 0
        while page := store.audit_of(PRACTICE, after, limit=5):
            paged += page
            after = page[-1].seq
        assert paged == whole
        assert store.verify_audit() == store.verify_audit(PRACTICE) > len(whole)
    database = sqlite3.connect(tmp_path / "gateway.db")
    database.execute("UPDATE audit SET who = 'nobody' WHERE practice = '' AND seq = 3")
    database.commit()
    database.close()
    store = Store(f"sqlite:///{tmp_path / 'gateway.db'}", SimulatedClock(START), read_only=True)
    with store, pytest.raises(StoreError, match="record 3 was altered"):
        store.verify_audit(PRACTICE)
