"""The clock is set, forwards and backwards, by hours and days: nothing waits for it, and it is on record."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.clock import SimulatedClock
from gateway.clock_watch import ClockWatch
from gateway.daemon import Daemon
from gateway.delivery import receipt_due
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import Transient
from gateway.inbox import Inbox
from gateway.practice import Practice
from gateway.seat import Seat
from gateway.sitting import Sitting
from gateway.store.rows import LotRow
from gateway.store.store import Store
from reader.emulated import EmulatedReader
from tools.bench import TEST_PIN, Bench

STEPS = [timedelta(hours=hours) for hours in (5, 24 * 9, -5, -24 * 9)]
LONGEST = timedelta(minutes=15)


class SteppingClock(SimulatedClock):
    """A clock whose wall time can be set, as an administrator or NTP does; its seconds go on as they were."""

    def step(self, by: timedelta) -> None:
        """Set the wall clock."""
        self._now += by


class Relay:
    """Takes lots, or is closed."""

    def __init__(self) -> None:
        self.closed = False
        self.taken: list[bytes] = []

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Taken, unless closed."""
        if self.closed:
            raise Transient("The relay is closed; it will be tried again.", unreached=True)
        self.taken.append(raw)

    def abort(self) -> None:
        """Nothing is under way."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority and the cards of one desk."""
    root = tmp_path_factory.mktemp("clock") / "bench"
    Bench(root).make_cards(["cps-gp-sector1", "vitale-single"])
    return root


@dataclass
class Room:
    """A daemon whose clock is set by hand; it works when `turn` is called."""

    clock: SteppingClock
    relay: Relay
    daemon: Daemon
    said: list[str] = field(default_factory=list)

    def bill(self) -> None:
        """One sheet of today, in a lot of its own at the next turn."""
        seat = self.daemon.seats[0]
        day = legal_day(self.clock.now())
        name = f"{self.clock.monotonic():.0f}-{len(self.lots())}.json"
        act = CareAct(day, (Act("G"),), third_party="amo")
        text = f'{{"date": "{act.date}", "acts": [{{"code": "G"}}], "third_party": "amo"}}'
        (seat.inbox.path / name).write_text(text, encoding="utf-8")

    def turn(self, seconds: float = 1.0) -> None:
        """One turn, and the time until the next."""
        self.daemon.turn()
        self.clock.advance(timedelta(seconds=seconds))

    def lots(self) -> list[LotRow]:
        """Every lot."""
        return self.daemon.store.lot_list()

    def recorded(self) -> list[str]:
        """The steps in the audit trail."""
        return [
            record.entry.detail
            for record in self.daemon.store.audit_records()
            if record.entry.what == "clock stepped"
        ]


@pytest.fixture
def room(world: Path, tmp_path: Path) -> Iterator[Room]:
    """One practice at work, its CPS unlocked, lots closed at once."""
    root = tmp_path / "bench"
    shutil.copytree(world, root)
    clock, relay, said = SteppingClock(datetime.now(UTC)), Relay(), list[str]()
    bench = Bench(root, clock)
    practice = bench.practice()
    with closing(practice.store), EmulatedReader() as reader:
        reader.insert("CPS", bench.card("cps-gp-sector1"))
        reader.insert("Vitale", bench.card("vitale-single"))
        yield Room(clock, relay, daemon_of(practice, Desk(reader), root, relay, said), said)


def daemon_of(practice: Practice, desk: Desk, root: Path, relay: Relay, said: list[str]) -> Daemon:
    """A daemon that closes each lot at once."""
    desk.unlock(TEST_PIN)
    seat = Seat(
        practice, desk, Inbox(root / "inbox"), Maildir(root / "mail"), said.append, lot_after=timedelta()
    )
    return Daemon([seat], relay, said.append)


def test_a_step_is_noticed_a_drift_is_not() -> None:
    """Half a minute and more at once is a step, and is told once; a clock that is a little fast is not."""
    clock = SteppingClock(datetime(2026, 11, 23, 9, tzinfo=UTC))
    watch = ClockWatch(clock)
    for step in STEPS:
        clock.step(step)
        clock.advance(timedelta(seconds=1))
        assert watch.look() == step.total_seconds()
        assert watch.look() is None
    for _ in range(10):
        clock.step(timedelta(seconds=2))
        clock.advance(timedelta(seconds=1))
        assert watch.look() is None


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_step_is_on_record(room: Room, step: timedelta) -> None:
    """Said, and chained in the audit trail of the practice; without a step there is no such record."""
    for _ in range(3):
        room.turn()
    assert room.recorded() == []
    room.clock.step(step)
    for _ in range(3):
        room.turn()
    assert room.recorded() == [f"{step.total_seconds():+.0f} s"]
    assert sum("the clock stepped" in line for line in room.said) == 1
    assert room.daemon.store.verify_audit() > 0


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_what_waits_for_the_relay_waits_for_no_clock(room: Room, step: timedelta) -> None:
    """The relay is closed, the clock is set, the relay opens: the lot leaves within its usual back-off."""
    room.relay.closed = True
    room.bill()
    for _ in range(3):
        room.turn(20)
    room.clock.step(step)
    room.turn(20)
    room.relay.closed = False
    for _ in range(int(LONGEST.total_seconds() / 20) + 1):
        room.turn(20)
    assert len(room.relay.taken) == 1
    assert [lot.state.value for lot in room.lots()] == ["SENT"]


@pytest.mark.parametrize("step", [timedelta(hours=-5), timedelta(days=-9)], ids=str)
def test_a_clock_set_back_while_the_gateway_was_stopped(room: Room, step: timedelta) -> None:
    """Turns and days of receipts that a wrong clock wrote far ahead are brought back at the next start."""
    room.bill()
    room.turn()
    room.bill()
    room.relay.closed = True
    room.turn()
    room.clock.step(step)
    store = room.daemon.store
    assert max(lot.next_attempt_at for lot in room.lots() if lot.next_attempt_at) > room.clock.now()
    room.daemon._catch_up()
    now = room.clock.now()
    sent, waits = (
        next(lot for lot in room.lots() if lot.state.value == state) for state in ("SENT", "SEALED")
    )
    assert sent.ack_due is not None
    assert sent.ack_due <= receipt_due(now)
    assert waits.next_attempt_at is not None
    assert waits.next_attempt_at <= now + LONGEST
    assert store.clock_stepped(now, receipt_due(now)) == 0, "once is enough"


def test_a_clock_that_is_right_moves_nothing(room: Room) -> None:
    """The twin: turns and receipts as they should be stay where they are."""
    room.bill()
    room.turn()
    before = room.lots()
    room.daemon._catch_up()
    assert room.lots() == before
    assert not any("ahead" in line for line in room.said)


def test_lots_of_both_days_have_numbers_of_their_own(room: Room) -> None:
    """The clock is set over midnight and back, twice: no lot's number comes back."""
    for step in (0, 20, -20, 20, -20):
        room.clock.step(timedelta(hours=step))
        room.bill()
        room.turn()
    lots = room.lots()
    assert len(lots) == len({lot.id for lot in lots}) == 5
    assert len({(lot.destination, lot.lot_date, lot.lot_number) for lot in lots}) == 5
    assert len(set(room.relay.taken)) == 5


def test_nothing_is_forgotten_by_a_clock_that_leapt(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a leap of 100 days nothing is purged for a day, so that a wrong clock deletes no proof."""
    purged: list[datetime] = []
    monkeypatch.setattr(Store, "forget_bodies", lambda _self, now, _days: purged.append(now))
    room.turn()
    assert len(purged) == 1
    room.clock.step(timedelta(days=100))
    room.turn(3600)
    room.turn(23 * 3600 - 10)
    assert len(purged) == 1
    room.clock.advance(timedelta(days=1))
    room.turn()
    assert len(purged) == 2


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_pin_is_good_as_long_as_it_was(step: timedelta) -> None:
    """The session of the CPS lasts its hour whatever the clock says, and the end shown follows the clock."""
    clock = SteppingClock(datetime(2026, 11, 23, 9, tzinfo=UTC))
    sitting = Sitting(clock, timedelta(hours=1), 100)
    sitting.begin()
    clock.advance(timedelta(minutes=30))
    clock.step(step)
    assert not sitting.is_over
    assert sitting.ends == clock.now() + timedelta(minutes=30)
    clock.advance(timedelta(minutes=31))
    assert sitting.is_over
