"""B16: no FSE is late in silence: status, the practice's due list and the trail name each one, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from gateway.exchange.calendar import legal_day
from tests.gateway.store.line import PRACTICE, START, Line

DAY = timedelta(days=1)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A store with its surroundings."""
    made = Line(tmp_path / "var")
    yield made
    made.store.close()


def recorded(line: Line) -> list[tuple[str, str]]:
    """What the trail says of late FSE: id and detail."""
    entries = [one.entry for one in line.store.audit_records(PRACTICE)]
    return [(one.ref, one.detail) for one in entries if one.what == "FSE late"]


def test_each_late_sheet_is_named_everywhere(line: Line) -> None:
    """Ten days, a sheet due on each: from the next day on status, due list and trail name it."""
    today = legal_day(START)
    numbers = [line.keep(deadline=today + n * DAY)[0] for n in range(10)]
    for n in range(11):
        line.store.note_late()
        late = numbers[:n]
        status = line.store.status().splitlines()
        assert [one for one in status if one.startswith("LATE: FSE")] == [
            f"LATE: FSE {number} had to leave by {today + at * DAY}, it is SIGNED: "
            "look why its lot has not left"
            for at, number in enumerate(late)
        ]
        due = line.store.due(PRACTICE, legal_day(line.clock.now()))
        assert {one.id for one in due.items if one.urgency == "late"} == {str(number) for number in late}
        assert recorded(line) == [
            (f"{PRACTICE}/{number}", f"due {today + at * DAY}") for at, number in enumerate(late)
        ]
        assert line.store.queue().late == n
        line.clock.advance(DAY)


def test_what_left_in_time_is_not_late(line: Line) -> None:
    """The twin: sent before its day it is named nowhere; sent late, until then, and once in the trail."""
    in_time = line.lot(deadline=legal_day(START))
    line.send(in_time)
    line.clock.advance(DAY)
    line.store.note_late()
    assert "LATE" not in line.store.status()
    assert recorded(line) == []
    late = line.lot(deadline=legal_day(START), elaborated=line.clock.now() + timedelta(seconds=1))
    assert [one.number for one in line.store.note_late()] == [], "once a day"
    line.clock.advance(DAY)
    assert [one.number for one in line.store.note_late()] == [2], "its day was over when it was made"
    line.send(late)
    line.clock.advance(DAY)
    assert line.store.note_late() == []
    assert "LATE" not in line.store.status()
    assert len(recorded(line)) == 1


def test_a_restart_and_a_pause_name_each_once(line: Line) -> None:
    """The gateway was off for a week: what became late meanwhile is named at its next look, and not again."""
    numbers = [line.keep(deadline=date(2026, 3, 3) + n * DAY)[0] for n in range(3)]
    line.store.note_late()
    line.clock.advance(7 * DAY)
    line.reopen()
    assert [one.number for one in line.store.note_late()] == numbers
    line.reopen()
    assert line.store.note_late() == []
    line.clock.advance(DAY)
    assert line.store.note_late() == []
    assert len(recorded(line)) == 3
    line.store.verify_audit()
