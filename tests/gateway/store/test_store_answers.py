"""Answers under idempotency keys, and each practice's own view of the store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import StoreError
from gateway.store.rows import KeptAnswer
from tests.gateway.store.line import PRACTICE, Line

OTHER = "other"


def answer(key: str = "k1", practice: str = PRACTICE, client: str = "software") -> KeptAnswer:
    """An answer with a name in its body."""
    return KeptAnswer(practice, client, key, bytes(32), 201, b'{"name": "CANARY"}')


def test_an_answer_survives_a_restart(line: Line) -> None:
    """What was answered under a key is found again after the store was closed and opened."""
    line.store.keep_answer(answer())
    line.reopen()
    assert line.store.kept_answer(PRACTICE, "software", "k1") == answer()


def test_an_answer_is_for_its_practice_and_program(line: Line) -> None:
    """The same key of another practice or another program has no answer."""
    line.store.keep_answer(answer())
    assert line.store.kept_answer(OTHER, "software", "k1") is None
    assert line.store.kept_answer(PRACTICE, "another", "k1") is None


def test_a_key_is_answered_once(line: Line) -> None:
    """A second answer under one key is refused, and undoes the batch it is in; a new key is fine."""
    line.store.keep_answer(answer())
    number = line.store.reserve_fse_number(PRACTICE)
    with pytest.raises(StoreError, match="key"), line.store.batch():  # noqa: PT012 - the batch is the point
        line.store.keep_fse(line.fse(number))
        line.store.keep_answer(answer())
    assert line.store.fse_list() == []
    with line.store.batch():
        line.store.keep_fse(line.fse(number))
        line.store.keep_answer(answer("k2"))
    assert [row.number for row in line.store.fse_list()] == [number]


def test_answers_are_closed_at_rest(line: Line) -> None:
    """No file of the store shows what was answered."""
    line.store.keep_answer(answer())
    assert b"CANARY" not in line.everything()
    line.reopen()


def test_old_answers_are_forgotten(line: Line) -> None:
    """After the time of retention an answer is gone, a younger one stays."""
    line.store.keep_answer(answer("old"))
    line.clock.advance(timedelta(days=91))
    line.store.keep_answer(answer("young"))
    line.store.forget_bodies(line.clock.now())
    assert line.store.kept_answer(PRACTICE, "software", "old") is None
    assert line.store.kept_answer(PRACTICE, "software", "young") is not None


def test_a_practice_sees_its_own(line: Line) -> None:
    """FSE, lots, changes and trail of one practice; of the other one nothing, by any question."""
    mine, store = line.lot(2), line.store
    numbers = line.keep(1, practice=OTHER)
    theirs = replace(line.seal(numbers, OTHER), id="11111111111111-000001-2026030209000000001")
    store.keep_lot(OTHER, theirs, numbers)
    assert store.fse(PRACTICE, 2).number == 2
    assert store.lot(PRACTICE, mine.id).count == 2
    assert (store.fse_of_lot(PRACTICE, mine.id), store.fse_of_lot(PRACTICE, theirs.id)) == ([1, 2], [])
    for unknown in (lambda: store.fse(OTHER, 2), lambda: store.lot(PRACTICE, theirs.id)):
        with pytest.raises(StoreError) as refused:
            unknown()
        assert refused.value.code == "unknown"
    assert {change.id for change in store.changes_after(OTHER, 0)} == {"1", theirs.id}
    trail = {record.entry.ref for record in store.audit_of(OTHER)}
    assert trail >= {f"{OTHER}/1", theirs.id}
    assert all(ref == theirs.id or ref.startswith(f"{OTHER}/") for ref in trail)
    assert store.payments(OTHER) == store.receipts(OTHER, theirs.id) == []


def test_changes_go_on_from_their_place(line: Line) -> None:
    """Asked again from the last place, only what is new comes."""
    line.keep(2)
    first = line.store.changes_after(PRACTICE, 0)
    assert [(change.id, change.before, change.after) for change in first] == [
        ("1", "", "SIGNED"),
        ("2", "", "SIGNED"),
    ]
    assert line.store.last_change() == first[-1].place
    line.keep(1)
    assert [change.id for change in line.store.changes_after(PRACTICE, first[-1].place)] == ["3"]
