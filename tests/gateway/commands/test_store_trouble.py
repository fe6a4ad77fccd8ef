"""A store that another gateway works on, another program holds, or that is damaged: one sentence each."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import gateway.store.sqlite
from gateway.cli import main
from tests.gateway.store.line import PRACTICE, Line
from tools.bench import Bench


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A store with a parked lot."""
    made = Line(tmp_path / "var")
    made.store.park(made.lot().id, "looked at by hand")
    return made


@pytest.fixture
def settings(line: Line, tmp_path: Path) -> str:
    """Settings that name this store."""
    Bench(tmp_path / "world").write_settings(9)
    text = (tmp_path / "world" / "vitale-gateway.toml").read_text(encoding="utf-8")
    text = text.replace("sqlite:///gateway.db", line.url).replace('id = "demo"', f'id = "{PRACTICE}"')
    path = tmp_path / "world" / "other.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_two_gateways(
    line: Line, settings: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second gateway says so and stops; who only looks is not refused; the first gone, it works."""
    lot = line.store.lot_list()[0].id
    monkeypatch.setattr("sys.stdin", io.StringIO("1234\n"))
    assert main(["serve", "--pin-stdin", "--config", settings]) != 0
    assert "already used by another gateway" in capsys.readouterr().err
    assert main(["send", "--config", settings]) != 0
    assert "a gateway works on this store" in capsys.readouterr().err
    assert main(["status", "--config", settings]) == 0
    line.store.close()
    assert main(["release", lot, "--config", settings]) == 0


def test_a_store_that_is_held(
    line: Line, settings: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that keeps the file locked is named as the cause, nothing is changed, and then it works."""
    monkeypatch.setattr(gateway.store.sqlite, "_BUSY_MS", 20)
    lot = line.store.lot_list()[0].id
    line.store.close()
    with closing(sqlite3.connect(line.root / "gateway.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert main(["release", lot, "--config", settings]) != 0
        assert "held by another program: close that program and try again" in capsys.readouterr().err
        other.execute("ROLLBACK")
    assert main(["release", lot, "--config", settings]) == 0


def test_a_store_that_is_damaged(line: Line, settings: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no database any more is said with the way back: the last backup."""
    line.store.close()
    path = line.root / "gateway.db"
    whole = path.read_bytes()
    path.write_bytes(b"x" * 8192)
    assert main(["status", "--config", settings]) != 0
    said = capsys.readouterr().err
    assert "is damaged" in said
    assert "restore the last backup" in said
    path.write_bytes(whole)
    assert main(["status", "--config", settings]) == 0
