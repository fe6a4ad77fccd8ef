"""Backup of a store on PostgreSQL and the way back, by the server's own tools."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.store.backup import backup, restore
from gateway.store.restored import DAILY
from tests.gateway.store.line import PRACTICE, Line, body_of

pytestmark = pytest.mark.skipif(shutil.which("pg_dump") is None, reason="pg_dump is not installed")


def test_there_and_back(line_on_server: Line, tmp_path: Path) -> None:
    """Taken while the gateway is at work; in use or gone on it is not replaced; no number comes back."""
    line = line_on_server
    line.lot(2)
    one = backup(line.url, tmp_path / "backups", line.clock, key=line.key)
    line.clock.advance(timedelta(minutes=1))
    lost = line.keep(3)
    with pytest.raises(StoreError, match="is open in another program") as refusal:
        restore(one.path, line.url, line.clock, key=line.key, over=True)
    assert refusal.value.code == "in-use"
    line.store.close()
    with pytest.raises(StoreError, match="has gone on since the backup"):
        restore(one.path, line.url, line.clock, key=line.key)
    back = restore(one.path, line.url, line.clock, key=line.key, over=True)
    assert (back.kept, back.unsent) == (None, 0)
    line.store = line.open()
    assert [row.number for row in line.store.fse_list()] == [2, 1]
    assert line.store.fse_bodies(PRACTICE, [1, 2]) == [body_of(1), body_of(2)]
    assert line.store.reserve_fse_number(PRACTICE) == 2 + DAILY + 1 > max(lost)
    assert line.store.verify_audit() > 0


def test_a_tool_that_is_missing(
    line_on_server: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the server's tools one sentence says what to install; nothing of a backup is left."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match="postgresql-client"):
        backup(line_on_server.url, tmp_path / "backups", line_on_server.clock, key=line_on_server.key)
    assert not list((tmp_path / "backups").glob("vitale-*"))
