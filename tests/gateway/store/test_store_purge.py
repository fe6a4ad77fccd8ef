"""Retention: everything that may be forgotten is, nothing that is open, in slices that let others work."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.store import purge, schema
from gateway.store.rows import KeptAnswer, StoredShare
from tests.gateway.store.line import PRACTICE, Line, body_of, payment, raw_of

BODIES = (
    schema.fse_body, schema.fse_act, schema.fse_twin, schema.share_body, schema.lot_body, schema.message,
    schema.answer,
)  # fmt: skip


def kept(line: Line) -> dict[str, int]:
    """How many bodies of each sort are kept."""
    with line.store._database.reading() as tx:
        return {
            table.name: sum(row.body is not None for row in tx.rows(sa.select(body.label("body"))))
            for table in BODIES
            for body in [table.c.message if table is schema.lot_body else table.c.body]
        }


def lives(line: Line) -> None:
    """A sheet that ended with all that can be beside one, and the same again of one that is open."""
    beside = {"act": b"{}", "twin": b"paper", "share": StoredShare(900, "amc-1", "a@b.test", b"DRE")}
    ended, waiting = line.lot(1, **beside), line.lot(1, **beside)
    for sealed in (ended, waiting):
        line.send(sealed)
    arl = line.arl(ended)
    line.store.post_receipt(arl, raw_of(arl), "m1", PRACTICE)
    paid = [payment(1, ended), payment(1, ended, complementary=True, amo_cents=0, amc_cents=900)]
    line.store.post_payment(paid, b"noemie", "m2", PRACTICE)
    line.store.twin_written(PRACTICE, 1)
    line.store.cancel(PRACTICE, line.keep(1, **beside)[0], "by mistake")
    line.store.keep_answer(KeptAnswer(PRACTICE, "software", "key-1", bytes(32), 201, b"{}"))
    line.store.keep_place(PRACTICE, "990000000", b"place")


@pytest.mark.parametrize("size", [1, 250])
def test_every_sort_of_body(line: Line, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Double, care act, paper twin, DRE, sealed lot, returned files and answers go; what is open stays."""
    monkeypatch.setattr(purge, "SLICE", size)
    lives(line)
    before = kept(line)
    assert line.store.forget_bodies(line.clock.now()) == 0
    assert kept(line) == before
    line.clock.advance(timedelta(days=91))
    line.store.keep_answer(KeptAnswer(PRACTICE, "software", "key-2", bytes(32), 201, b"{}"))
    assert line.store.forget_bodies(line.clock.now()) == 10
    assert kept(line) == {
        "fse_body": 1, "fse_act": 1, "fse_twin": 2, "share_body": 2, "lot_body": 1, "message": 0, "answer": 1,
    }  # fmt: skip
    assert line.store.fse_bodies(PRACTICE, [2]) == [body_of(2)]
    assert line.store.fse_bodies(PRACTICE, [2], demands=True) == [b"DRE"]
    assert line.store.place_of(PRACTICE, "990000000") == b"place"
    assert [row.number for row in line.store.fse_list(PRACTICE)] == [3, 2, 1]
    said = [r.entry.detail for r in line.store.audit_records() if r.entry.what == "bodies forgotten"]
    assert sum(int(detail.split()[0]) for detail in said) == 10
    assert line.store.forget_bodies(line.clock.now()) == 0
    assert line.store.verify_audit() > 0


def test_a_twin_that_is_not_written_stays(line: Line) -> None:
    """The paper of a sheet that ended is kept until it is in its folder."""
    [number] = line.keep(1, twin=b"paper")
    line.store.cancel(PRACTICE, line.keep(1, twin=b"other")[0], "by mistake")
    line.store.cancel(PRACTICE, number, "by mistake")
    line.clock.advance(timedelta(days=91))
    line.store.forget_bodies(line.clock.now())
    assert line.store.twin_of(PRACTICE, number) == "paper"
    line.store.twin_written(PRACTICE, number)
    line.store.forget_bodies(line.clock.now())
    assert kept(line)["fse_twin"] == 1


def test_others_work_between_the_slices(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a long purge goes on, a thread keeps sheets, and all of them are there."""
    monkeypatch.setattr(purge, "SLICE", 2)
    for number in line.keep(60):
        line.store.cancel(PRACTICE, number, "by mistake")
    line.clock.advance(timedelta(days=91))
    purging = threading.Thread(target=lambda: line.store.forget_bodies(line.clock.now()))
    purging.start()
    numbers = line.keep(10)
    purging.join()
    assert line.store.fse_bodies(PRACTICE, numbers) == [body_of(number) for number in numbers]
    assert kept(line)["fse_body"] == 10
