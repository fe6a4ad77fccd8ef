"""What is PostgreSQL's own: a server that goes away, settings that must hold, sentences for what it says."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from gateway.clock import SimulatedClock
from gateway.errors import StoreError
from gateway.store import postgres
from gateway.store.store import Store
from tests.gateway.store import servers
from tests.gateway.store.line import PRACTICE, START, Line, body_of
from tests.gateway.store.servers import server
from tools.postgres import PostgresServer


def name_of(line: Line) -> str:
    """The database of a line."""
    return line.url.partition("@/")[2].partition("?")[0]


def test_settings_are_durable(line_on_server: Line) -> None:
    """Every connection waits for the disk, even in a database that is set not to; limits of time are on."""
    line_on_server.sql(f'ALTER DATABASE "{name_of(line_on_server)}" SET synchronous_commit TO off')
    line_on_server.reopen()
    with line_on_server.store._database.reading() as tx:
        raw = tx._driver._raw  # type: ignore[attr-defined]
        shown = {name: raw.execute(f"SHOW {name}").fetchone()[0] for name in (
            "synchronous_commit", "fsync", "statement_timeout", "lock_timeout", "transaction_isolation",
            "transaction_read_only",
        )}  # fmt: skip
    assert shown == {
        "synchronous_commit": "on", "fsync": "on", "statement_timeout": "2min", "lock_timeout": "10s",
        "transaction_isolation": "repeatable read", "transaction_read_only": "on",
    }  # fmt: skip


def test_a_server_that_may_forget_is_refused(tmp_path: Path) -> None:
    """A server with fsync off keeps no store; every other test here has one with fsync on."""
    server()  # says why there is none
    with PostgresServer(servers.parent(), fsync="off") as careless:
        with pytest.raises(StoreError, match=r"is not durable .*'fsync': 'off'") as refused:
            Store(careless.create("store"), SimulatedClock(START), key=str(tmp_path / "key"))
        assert refused.value.code == "not-durable"


def test_a_connection_that_was_cut_off(line_on_server: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off between two steps, the store connects again and nobody notices; in a view as well."""
    line = line_on_server
    line.keep()
    server().disconnect(name_of(line))
    assert line.keep() == [2]
    server().disconnect(name_of(line))
    assert line.store.counts().fse["SIGNED"] == 2
    monkeypatch.setattr(postgres, "NAME_SECONDS", 1)
    with pytest.raises(StoreError, match="under the name desk"):  # it was taken again with the connection
        line.open()


def test_cut_off_within_a_step(line_on_server: Line) -> None:
    """Cut off while a step is under way, nothing of it is kept and one sentence says so; then it works."""
    line = line_on_server

    def step() -> None:
        with line.store.batch():
            line.store.keep_fse(line.fse(1))
            server().disconnect(name_of(line))
            line.store.keep_fse(line.fse(2))

    line.store.reserve_fse_numbers(PRACTICE, 2)
    with pytest.raises(StoreError, match="cannot be reached, and nothing of this step was kept") as refused:
        step()
    assert refused.value.code == "unreachable"
    assert line.store.fse_list(PRACTICE) == []
    line.keep()
    line.store.verify_audit()


def test_cut_off_while_it_commits(line_on_server: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the answer to COMMIT is lost, the sentence does not claim to know; doing it again is harmless."""
    line = line_on_server
    [number] = line.store.reserve_fse_numbers(PRACTICE, 1)
    commit = postgres.PostgresDatabase._commit

    def cut_off(database: postgres.PostgresDatabase, raw: psycopg.Connection[object]) -> None:
        server().disconnect(name_of(line))
        commit(database, raw)

    monkeypatch.setattr(postgres.PostgresDatabase, "_commit", cut_off)
    with pytest.raises(StoreError, match="may have kept it: look whether it is there") as refused:
        line.store.keep_fse(line.fse(number))
    assert refused.value.code == "unsure"
    monkeypatch.undo()
    for _ in range(2):
        line.store.keep_fse(line.fse(number))
    assert len(line.store.fse_list(PRACTICE)) == 1


def test_a_server_that_is_away_and_comes_back(tmp_path: Path) -> None:
    """Switched off, it is said in one sentence at each step; switched on, all that was kept is there."""
    server()
    with PostgresServer(servers.parent()) as own:
        key = str(tmp_path / "key")
        with closing(Store(own.create("store"), SimulatedClock(START), key=key)) as store:
            line = Line(tmp_path, url=own.create("other"), key=str(tmp_path / "other.key"))
            line.keep(2)
            own.stop()
            for step in (line.keep, line.store.counts, store.counts):
                with pytest.raises(StoreError, match="cannot be reached") as refused:
                    step()
                assert refused.value.code == "unreachable"
            own.start()
            assert line.keep() == [3]
            assert line.store.fse_bodies(PRACTICE, [1, 3]) == [body_of(1), body_of(3)]
            line.store.verify_audit()
            line.store.close()


Change = Callable[[str], str]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda url: url.replace("@/", "@/not-there-", 1), "open", "is not there: make the database"),
        (lambda url: url.replace("vitale@", "nobody:hush@", 1), "open", "does not let this user in"),
        (lambda url: url.partition("?")[0] + "?host=/nowhere", "unreachable", "cannot be reached"),
        (lambda url: "postgresql://user:hush@", "url", "makes no sense: write postgresql"),
        (lambda url: "postgresql://user:hush@host:port/x", "url", "makes no sense"),
        (lambda url: "mysql://user:hush@host/x", "url", "write sqlite:///"),
    ],
)
def test_unusable_addresses(line_on_server: Line, change: Change, code: str, words: str) -> None:
    """Each is refused in one sentence that repeats no password; the right address opens."""
    with pytest.raises(StoreError, match=words) as refused:
        Store(change(line_on_server.url), line_on_server.clock, key=line_on_server.key)
    assert refused.value.code == code
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)
    line_on_server.reopen()


def test_without_the_driver(line_on_server: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the sentence names it; SQLite needs none of it."""
    monkeypatch.delitem(sys.modules, "gateway.store.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'vitale-gateway\[postgres\]'") as refused:
        line_on_server.open(owner="another")
    assert refused.value.code == "driver"


def test_the_place_of_the_key_is_said(line_on_server: Line, tmp_path: Path) -> None:
    """There is no place beside a server: without one in the settings the sentence asks for it."""
    with pytest.raises(StoreError, match=r"write key = .FILE. under \[store\]") as refused:
        Store(line_on_server.url, line_on_server.clock)
    assert refused.value.code == "key"
    with pytest.raises(StoreError, match="is missing"):
        Store(line_on_server.url, line_on_server.clock, key=str(tmp_path / "elsewhere"))
    shutil.copy(line_on_server.key, tmp_path / "elsewhere")
    Store(line_on_server.url, line_on_server.clock, key=str(tmp_path / "elsewhere")).close()


def test_a_new_store_and_a_foreign_database(tmp_path: Path) -> None:
    """An empty database becomes a store, one of another program is left alone; who only looks says so."""
    clock, key = SimulatedClock(START), str(tmp_path / "key")
    url = server().create("made")
    with pytest.raises(StoreError, match="is empty: start the gateway once"):
        Store(url, clock, key=key, read_only=True)
    with Store(url, clock, key=key) as store:
        assert store.reserve_fse_number(PRACTICE) == 1
        with Store(url, clock, key=key, read_only=True) as looking:
            assert looking.verify_audit() == 2
            with pytest.raises(StoreError, match="may only be read"):
                looking.reserve_fse_number(PRACTICE)
    with psycopg.connect(server().create("foreign")) as connection:
        connection.execute("CREATE TABLE t (a int)")
    with pytest.raises(StoreError, match="but not a store of this gateway"):
        Store(server().url("foreign"), clock, key=str(tmp_path / "other"))
    for name in ("made", "foreign"):
        server().drop(name)


def test_text_that_the_server_does_not_take(line_on_server: Line) -> None:
    """A NUL in a word from outside is written as a mark, and the trail that tells of it holds."""
    line_on_server.store.audit("seen\0", "1", "of a\0peer")
    [record] = line_on_server.store.audit_records()
    mark = "\N{REPLACEMENT CHARACTER}"
    assert (record.entry.what, record.entry.detail) == (f"seen{mark}", f"of a{mark}peer")
    assert line_on_server.store.verify_audit() == 1
    line_on_server.lot()
    line_on_server.store.post_unreadable(b"raw", "key", "said \0 what", PRACTICE)
    assert [found.reason for found in line_on_server.store.unmatched()] == [f"said {mark} what"]
