"""Stores of an earlier release: they open, nothing of them changes, and what is new works from then on."""

from __future__ import annotations

import sqlite3

import pytest

from gateway.errors import StoreError
from gateway.store.rows import StoredShare
from tests.gateway.store.line import PRACTICE, Line

ADDED = ("share_body", "share", "rectification", "fse_twin", "fse_act", "place")


def made_older(line: Line) -> None:
    """Take from a store what later releases added."""
    line.store.close()
    database = sqlite3.connect(line.root / "gateway.db")
    for table in ADDED:
        database.execute(f"DROP TABLE {table}")
    database.commit()
    database.close()


def test_an_old_store_opens(line: Line) -> None:
    """Sheets and lots of the earlier release are all there; a share is kept beside a new sheet."""
    sealed = line.lot(2)
    line.send(sealed)
    before = [(row.number, row.state) for row in line.store.fse_list()]
    made_older(line)
    line.store = line.open()
    assert [(row.number, row.state) for row in line.store.fse_list()] == before
    assert line.store.act_of(PRACTICE, 1) == b""
    number = line.store.reserve_fse_number(PRACTICE)
    line.store.keep_fse(line.fse(number, share=StoredShare(900)))
    assert line.store.fse_list()[0].amc_state == "RELAYED"
    line.store.cancel(PRACTICE, number, "by mistake")
    assert line.store.verify_audit() > 0


def test_looking_at_an_old_store(line: Line) -> None:
    """Who only looks changes nothing: one sentence says what to do, and then it works."""
    line.lot(1)
    made_older(line)
    with pytest.raises(StoreError, match="start the gateway once") as caught:
        line.open(read_only=True)
    assert caught.value.code == "schema"
    line.store = line.open()
    looking = line.open(read_only=True)
    assert "1 IN_LOT" in looking.status()
    looking.close()


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
