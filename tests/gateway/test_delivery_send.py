"""Sending: the same bytes until acknowledged, no lot holds up another, nothing is given up silently."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.delivery import PATIENCE, RELAY_UNWELL, receipt_due, send_due
from gateway.exchange.calendar import is_working_day, legal_day
from gateway.exchange.smtp import Permanent, Transient
from tests.gateway.store.line import PRACTICE, Line, Relay, raw_of


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A store with its surroundings."""
    made = Line(tmp_path / "var")
    yield made
    made.store.close()


def half(count: int) -> bytes:
    """Chance that always lies in the middle."""
    return b"\x80" * count


def turn(line: Line, relay: Relay, passes: int = 1, pause: timedelta = timedelta(seconds=20)) -> None:
    """Some passes with time between them."""
    for _ in range(passes):
        send_due(line.store, relay, line.clock, half)
        line.clock.advance(pause)


def refuse(marker: bytes, problem: Exception) -> Relay:
    """A relay that takes everything but one message."""

    def mood(raw: bytes) -> None:
        if marker in raw:
            raise problem

    return Relay(mood)


def test_due_lots_are_sent_once(line: Line) -> None:
    """Every lot leaves once, to its organism, under the practice's address, with its sealed bytes."""
    lots = [line.lot(2) for _ in range(3)]
    relay = Relay()
    assert send_due(line.store, relay, line.clock, half).sent == 3
    assert send_due(line.store, relay, line.clock, half).sent == 0
    assert relay.taken == [(lot.sender, lot.recipient, lot.message) for lot in lots]


def test_retries_are_byte_identical(line: Line) -> None:
    """After failures the same bytes go again, later each time; the reason is shown in between."""
    lot = line.lot()
    seen: list[bytes] = []

    def mood(raw: bytes) -> None:
        seen.append(raw)
        if len(seen) < 4:
            raise Transient("the relay closed the connection", uncertain=True)

    relay = Relay(mood)
    send_due(line.store, relay, line.clock, half)
    row = line.store.lot_list()[0]
    assert (row.state.value, row.attempts, row.reason) == ("SEALED", 1, "the relay closed the connection")
    waits = []
    while len(seen) < 4:
        before = len(seen)
        line.clock.advance(timedelta(seconds=1))
        send_due(line.store, relay, line.clock, half)
        if len(seen) > before:
            waits.append(line.clock.monotonic())
    assert set(seen) == {lot.message}
    assert line.lot_state(lot.id) == "SENT"
    gaps = [b - a for a, b in zip([0.0, *waits], waits, strict=False)]
    assert gaps == sorted(gaps)


def test_poison_does_not_stop_the_rest(line: Line) -> None:
    """One poison lot among 40: the others leave at once, it is parked after five attempts with its reason."""
    lots = [line.lot() for _ in range(40)]
    poison = lots[17]
    relay = refuse(poison.message, Transient("the relay closed the connection"))
    turn(line, relay, passes=12)
    assert {raw for _, _, raw in relay.taken} == {lot.message for lot in lots} - {poison.message}
    row = next(row for row in line.store.lot_list() if row.id == poison.id)
    assert row.state.value == "PARKED"
    assert row.attempts == 5
    assert "5 attempts failed, the last one: the relay closed the connection" in row.reason
    line.store.release(poison.id, "looked at it")
    turn(line, Relay())
    assert line.lot_state(poison.id) == "SENT"


def test_permanent_refusal_parks_at_once(line: Line) -> None:
    """A lot that the relay refuses for good is parked at once with the relay's words; its twin leaves."""
    lot, twin = line.lot(), line.lot()
    done = send_due(line.store, refuse(lot.message, Permanent("550 no such organism")), line.clock, half)
    assert (done.parked, done.sent) == (1, 1)
    assert (line.lot_state(lot.id), line.lot_state(twin.id)) == ("PARKED", "SENT")
    assert line.store.lot_list()[1].reason == "550 no such organism"


def test_a_relay_that_is_down_parks_nothing(line: Line) -> None:
    """When the relay takes nothing for hours, no lot is parked and all leave when it is back."""
    lots = [line.lot() for _ in range(6)]
    down = Relay()

    def mood(raw: bytes) -> None:
        raise Transient("connection refused")

    down.mood = mood
    turn(line, down, passes=60, pause=timedelta(minutes=5))
    assert line.store.counts().lots["PARKED"] == 0
    line.clock.advance(timedelta(minutes=15))
    relay = Relay()
    turn(line, relay)
    assert len(relay.taken) == 1, "one lot is tried before the others"
    turn(line, relay)
    assert {raw for _, _, raw in relay.taken} == {lot.message for lot in lots}


def test_a_lone_lot_is_parked_after_a_day(line: Line) -> None:
    """Even with nothing to compare, a lot that failed for a whole day is handed to a person."""
    lot = line.lot()
    relay = refuse(lot.message, Transient("451 try later"))
    while line.lot_state(lot.id) != "PARKED":
        turn(line, relay, pause=timedelta(minutes=15))
    waited = line.clock.monotonic()
    assert PATIENCE.total_seconds() <= waited < PATIENCE.total_seconds() + 3600


def test_an_unwell_relay_ends_the_pass(line: Line) -> None:
    """After three failures in a row the rest of the pass is given back untried."""
    for _ in range(10):
        line.lot()
    relay = Relay()

    def mood(raw: bytes) -> None:
        raise Transient("connection refused")

    relay.mood = mood
    done = send_due(line.store, relay, line.clock, half)
    assert (done.failed, relay.asked) == (RELAY_UNWELL, RELAY_UNWELL)
    assert [row.attempts for row in line.store.lot_list()].count(0) == 7


def test_silence_is_answered_with_the_same_bytes(line: Line) -> None:
    """No receipt within two working days: the same lot again; an acknowledged lot is left alone."""
    silent, answered = line.lot(), line.lot()
    relay = Relay()
    turn(line, relay)
    arl = line.arl(answered)
    line.store.post_receipt(arl, raw_of(arl), "m", PRACTICE)
    line.clock.advance(timedelta(days=2))  # Monday 9 h to Wednesday: still in time
    assert send_due(line.store, relay, line.clock, half).overdue == 0
    line.clock.advance(timedelta(days=1))
    done = send_due(line.store, relay, line.clock, half)
    assert (done.overdue, done.sent) == (1, 1)
    assert [raw for _, _, raw in relay.taken].count(silent.message) == 2
    assert [raw for _, _, raw in relay.taken].count(answered.message) == 1


@pytest.mark.parametrize("hour", [0, 9, 21, 22, 23])
def test_receipt_is_late_after_two_whole_working_days(hour: int) -> None:
    """On every day of 2026: the third working day's first moment in Paris, never a moment earlier."""
    moment = datetime(2026, 1, 1, hour, 30, tzinfo=UTC)
    for _ in range(365):
        due, sent = receipt_due(moment), legal_day(moment)
        days = [sent + timedelta(days=n) for n in range(1, (legal_day(due) - sent).days)]
        assert sum(is_working_day(day) for day in days) == 2
        assert legal_day(due) != legal_day(due - timedelta(microseconds=1))
        moment += timedelta(days=1)


def test_an_outage_after_a_good_hour_parks_nothing(line: Line) -> None:
    """A relay out of reach says nothing about a lot, even if it took others just before; a refusal does."""
    line.lot()
    turn(line, Relay())
    lots = [line.lot() for _ in range(3)]
    down = Relay()

    def mood(raw: bytes) -> None:
        raise Transient("connection refused", unreached=True)

    down.mood = mood
    turn(line, down, passes=60, pause=timedelta(minutes=1))
    assert line.store.counts().lots["PARKED"] == 0
    assert down.asked < 60, "the pauses grow"
    line.clock.advance(timedelta(minutes=15))
    poison, relay = lots[0], refuse(lots[0].message, Transient("451 not this one"))
    turn(line, relay, passes=3, pause=timedelta(seconds=2))
    assert {raw for _, _, raw in relay.taken} == {lot.message for lot in lots[1:]}
    assert line.lot_state(poison.id) == "SEALED", "its first refusals are not its last"
    turn(line, relay, passes=12)
    assert line.lot_state(poison.id) == "PARKED"
