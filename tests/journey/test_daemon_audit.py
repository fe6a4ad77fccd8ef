"""B12 at the daemon: of everything that is done the trail says who, what, when, which id; no edit hides."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.audit import AuditRecord, acting
from gateway.clock import SimulatedClock, SystemClock
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.errors import StoreError
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import Permanent
from gateway.inbox import Inbox
from gateway.seat import Seat
from gateway.secret import Secret
from gateway.store.store import Store
from tools.bench import PRACTICE, TEST_PIN, Bench


class Relay:
    """A relay that refuses until it is told to take."""

    takes = False

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """One attempt."""
        if not self.takes:
            raise Permanent("550 no such organism")

    def abort(self) -> None:
        """Nothing is under way."""


def worked(desk: Desk, bench: Bench) -> Daemon:
    """A day: a wrong PIN, the right one, three acts, one cancelled, a lot parked and released, clock set."""
    clock = SimulatedClock(SystemClock().now())
    bench.clock = clock
    practice = bench.practice()
    relay = Relay()
    inbox, box = Inbox(bench.directory("inbox")), Maildir(bench.directory("mailbox"))
    seat = Seat(practice, desk, inbox, box, lambda _: None, lot_after=timedelta(days=9))
    seat._lots_at = clock.monotonic()  # no lot is closed by itself today
    daemon = Daemon([seat], relay, seat.say)
    with pytest.raises(Exception, match="PIN"):
        seat.unlock(Secret(b"0000"))
    seat.unlock(TEST_PIN)
    act = {"date": legal_day(clock.now()).isoformat(), "acts": [{"code": "G"}], "third_party": "amo"}
    for name in ("a", "b", "c"):
        (inbox.path / f"{name}.json").write_text(json.dumps(act), encoding="utf-8")
    daemon.turn()
    with acting("command line"):
        practice.store.cancel(PRACTICE, 3, "cancelled by hand")
    (lot,) = seat.close_lots()
    daemon.turn()
    with acting("soft"):
        practice.store.release(lot.id, "released by hand")
    relay.takes = True
    clock._now += timedelta(hours=3)  # the wall clock alone: somebody has set it
    daemon.turn()
    seat.leave()
    return daemon


def test_everything_that_is_done_is_there(desk: Desk, bench: Bench) -> None:
    """Acts, sessions, cancellation, parking, release, sending, clock: each once, with who and which id."""
    daemon = worked(desk, bench)
    store = daemon.store
    lot = store.lot_list()[0].id
    records = store.audit_records(PRACTICE)
    told = [(one.entry.who, one.entry.what, one.entry.ref) for one in records]
    practitioner = store.fse_list()[0].practitioner
    for expected in (
        ("gateway", "PIN refused", f"{PRACTICE}/desk"),
        ("gateway", "session opened", f"{PRACTICE}/desk"),
        (practitioner, "FSE kept", f"{PRACTICE}/1"),
        (practitioner, "FSE kept", f"{PRACTICE}/2"),
        ("command line", "FSE CANCELLED", f"{PRACTICE}/3"),
        ("gateway", "lot kept", lot),
        ("gateway", "lot PARKED", lot),
        ("soft", "lot SEALED", lot),
        ("gateway", "lot SENT", lot),
        ("gateway", "clock stepped", f"{PRACTICE}/clock"),
        ("gateway", "session closed", f"{PRACTICE}/desk"),
    ):
        assert told.count(expected) == 1, (expected, told)
    assert "550 no such organism" in next(
        one.entry.detail for one in records if one.entry.what == "lot PARKED"
    )
    assert "+10800 s" in next(one.entry.detail for one in records if one.entry.what == "clock stepped")
    moments = [datetime.fromisoformat(one.entry.at) for one in records]
    assert all(moment.tzinfo is not None for moment in moments)
    assert [one.seq for one in records] == list(range(records[0].seq, records[0].seq + len(records)))
    assert store.verify_audit() == len(store.audit_records())
    store.close()


EDITS: dict[str, Callable[[AuditRecord], list[str]]] = {
    "removed": lambda one: [f"DELETE FROM audit WHERE seq = {one.seq} AND practice = '{one.practice}'"],
    "cut off": lambda one: [f"DELETE FROM audit WHERE seq >= {one.seq} AND practice = '{one.practice}'"],
    "who": lambda one: [_set(one, "who", "nobody")],
    "what": lambda one: [_set(one, "what", "nothing")],
    "which": lambda one: [_set(one, "ref", "elsewhere")],
    "when": lambda one: [_set(one, "at", "2020-01-01T00:00:00.000000Z")],
    "detail": lambda one: [_set(one, "detail", "all is well")],
    "moved": lambda one: [
        f"UPDATE audit SET seq = 900000 WHERE seq = {one.seq} AND practice = '{one.practice}'"
    ],
    "given away": lambda one: [f"UPDATE audit SET practice = 'x' WHERE seq = {one.seq}"],
}


def _set(one: AuditRecord, column: str, value: str) -> str:
    return f"UPDATE audit SET {column} = '{value}' WHERE seq = {one.seq} AND practice = '{one.practice}'"


def test_every_single_edit_of_a_days_trail_is_found(
    desk: Desk,
    bench: Bench,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Each record of the day edited, removed, moved, cut off with all behind it, exchanged with the next."""
    daemon = worked(desk, bench)
    records = daemon.store.audit_records()
    daemon.store.close()
    edits = [edit(one) for one in records for edit in EDITS.values()]
    for one, other in itertools.pairwise(records):
        if one.practice == other.practice:
            edits.append(_exchange(one, other))
    place = tmp_path / "copy"
    found = 0
    for statements in edits:
        with (
            closing(_copy(bench.root, place, statements)) as store,
            pytest.raises(StoreError, match="audit trail"),
        ):
            store.verify_audit()
        found += 1
    with closing(_copy(bench.root, place, [])) as store:
        assert store.verify_audit() == len(records)
    record_property("promise B12", {"edits": len(edits), "found": found})


def _exchange(one: AuditRecord, other: AuditRecord) -> list[str]:
    """Two neighbours in each other's place."""
    mine = f"practice = '{one.practice}'"
    return [
        f"UPDATE audit SET seq = 900000 WHERE seq = {one.seq} AND {mine}",
        f"UPDATE audit SET seq = {one.seq} WHERE seq = {other.seq} AND {mine}",
        f"UPDATE audit SET seq = {other.seq} WHERE seq = 900000 AND {mine}",
    ]


def _copy(root: Path, place: Path, statements: list[str]) -> Store:
    """The store copied, changed with a database tool, opened to look."""
    place.mkdir(exist_ok=True)
    for name in ("gateway.db", "gateway.db.key"):
        shutil.copyfile(root / name, place / name)
    with closing(sqlite3.connect(place / "gateway.db")) as raw:
        for statement in statements:
            assert raw.execute(statement).rowcount >= 1, statement
        raw.commit()
    return Store(f"sqlite:///{place / 'gateway.db'}", SystemClock(), read_only=True)
