"""Several desks in one daemon: readers that come late, PINs that wait, a broken desk that stops no other."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.clock import SimulatedClock
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.errors import GatewayError, StoreError
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.inbox import Inbox
from gateway.lease import LEASE, ReaderLease
from gateway.practice import Practice
from gateway.seat import PIN_SECONDS, Seat
from reader.emulated import EmulatedReader
from reader.errors import ReaderError
from tools.bench import TEST_PIN, Bench

PATIENCE = 20.0


class Relay:
    """Takes everything."""

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Taken."""

    def abort(self) -> None:
        """Nothing is under way."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority and the cards of one desk."""
    root = tmp_path_factory.mktemp("seats") / "bench"
    Bench(root).make_cards(["cps-gp-sector1", "vitale-single"])
    return root


@dataclass
class Room:
    """A practice whose clock stands still until it is moved, and what it says."""

    bench: Bench
    practice: Practice
    clock: SimulatedClock
    said: list[str] = field(default_factory=list)

    def seat(self, name: str = "demo", desk: Desk | None = None) -> Seat:
        """A seat of a practice of that name."""
        place = self.bench.root / name
        practice = (
            self.practice
            if name == self.practice.id
            else self.bench.practice(self.practice.store, practice=name)
        )
        return Seat(practice, desk, Inbox(place), Maildir(place / "mail"), self.said.append)

    def desk(self, *cards: str) -> Desk:
        """A desk of its own with these cards."""
        reader = EmulatedReader()
        for card in cards:
            reader.insert("CPS" if card.startswith("cps") else "Vitale", self.bench.card(card))
        return Desk(reader)

    def drop(self, seat: Seat, name: str) -> None:
        """One care act of today in the inbox of this seat."""
        act = {"date": legal_day(self.clock.now()).isoformat(), "acts": [{"code": "G"}], "third_party": "amo"}
        (seat.inbox.path / f"{name}.json").write_text(json.dumps(act), encoding="utf-8")

    def billed(self, seat: Seat, name: str) -> bool:
        """Whether that act was answered."""
        return (seat.inbox.path / "done" / f"{name}.answer.json").exists()


@pytest.fixture
def room(world: Path, tmp_path: Path) -> Iterator[Room]:
    """A practice on a store of its own."""
    root = tmp_path / "bench"
    shutil.copytree(world, root)
    clock = SimulatedClock(datetime.now(UTC))
    bench = Bench(root, clock)
    practice = bench.practice()
    with closing(practice.store):
        yield Room(bench, practice, clock)


def turn(seat: Seat) -> None:
    """One turn of a desk."""
    seat.turn(threading.Event())


def test_a_reader_that_is_not_there_is_waited_for(room: Room) -> None:
    """Said once, tried again every two seconds; when it is there, the care act that waited is billed."""
    seat, there = room.seat(), threading.Event()
    desk = room.desk("cps-gp-sector1", "vitale-single")
    desk.unlock(TEST_PIN)

    def opens() -> Desk:
        if not there.is_set():
            raise ReaderError("The reader on /dev/ttyUSB0 does not answer: plug it in.")
        return desk

    seat.opens = opens
    room.drop(seat, "a")
    for _ in range(4):
        turn(seat)
        room.clock.advance(timedelta(seconds=2))
    assert room.said == [
        "the reader reader is waited for: The reader on /dev/ttyUSB0 does not answer: plug it in."
    ]
    with pytest.raises(GatewayError, match=r"has no desk here: The reader on /dev/ttyUSB0") as none:
        _ = seat.at_desk
    assert none.value.code == "no-reader"
    there.set()
    turn(seat)
    assert "the reader reader is there" in room.said
    assert room.billed(seat, "a")


def test_a_pin_that_waits_is_used_once(room: Room) -> None:
    """The PIN typed at start opens the first CPS that comes, and no second one."""
    seat = room.seat(desk=room.desk("vitale-single"))
    seat.hold(TEST_PIN)
    turn(seat)
    assert not seat.at_desk.is_unlocked
    slot = seat.at_desk.slots[1]
    slot.insert(room.bench.card("cps-gp-sector1"))
    turn(seat)
    assert seat.at_desk.is_unlocked
    slot.remove()
    slot.insert(room.bench.card("cps-gp-sector1"))
    turn(seat)
    assert not seat.at_desk.is_unlocked


def test_a_pin_that_waits_is_forgotten(room: Room) -> None:
    """After ten minutes, by a clock that nobody sets; when the gateway stops, too."""
    seat = room.seat(desk=room.desk())
    seat.hold(TEST_PIN)
    room.clock.advance(timedelta(seconds=PIN_SECONDS))
    turn(seat)
    assert room.said == ["no CPS came within ten minutes: its PIN is forgotten and has to be given again"]
    other = room.seat(desk=room.desk())
    other.hold(TEST_PIN)
    other.leave()
    for one in (seat, other):
        one.at_desk.slots[1].insert(room.bench.card("cps-gp-sector1"))
        turn(one)
        assert not one.at_desk.is_unlocked


def test_one_owner_for_each_reader(room: Room) -> None:
    """A second gateway that opens a reader of the same name waits until the first one gives it back."""
    first, second = room.seat(), room.seat()
    store, named = room.practice.store, "desk-1"
    for seat, owner in ((first, "one"), (second, "two")):
        seat.lease, seat.opens = ReaderLease(store, named, room.clock, owner=owner), room.desk
    first.open()
    with pytest.raises(StoreError, match="the reader desk-1 is used by one") as taken:
        second.open()
    assert taken.value.code == "reader-taken"
    turn(second)
    assert second.desk is None
    first.leave()
    room.clock.advance(timedelta(seconds=2))
    turn(second)
    assert second.desk is not None


def test_a_lost_lease_ends_the_use_of_the_reader(room: Room) -> None:
    """A gateway that did not renew in time finds its reader taken, locks the CPS and waits."""
    seat, store = room.seat(), room.practice.store
    seat.lease = ReaderLease(store, "desk-1", room.clock, owner="one")
    desk = room.desk("cps-gp-sector1")
    seat.opens = lambda: desk
    seat.open()
    desk.unlock(TEST_PIN)
    room.clock.advance(LEASE / 2)
    turn(seat)
    assert seat.desk is desk, "renewed in time"
    room.clock.advance(LEASE * 2)
    store.take_reader("desk-1", "two", LEASE)
    turn(seat)
    assert seat.desk is None
    assert not desk.is_unlocked
    assert any("is used by two" in line for line in room.said)


def until(reached: Callable[[], object]) -> None:
    """Wait for what other threads do."""
    waiting = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if reached():
            return
        waiting.wait(0.01)
    raise AssertionError("it never came")


def test_a_broken_desk_stops_no_other(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of the program at one desk of two: said with its place, not its words; the other works."""
    good, bad = room.seat(desk=room.desk("cps-gp-sector1", "vitale-single")), room.seat("other", room.desk())
    good.at_desk.unlock(TEST_PIN)
    daemon, stop = Daemon([good, bad], Relay(), room.said.append, pause=0.01), threading.Event()

    def broken(_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(bad, "turn", broken)
    thread = threading.Thread(target=daemon.run, args=(stop,))
    thread.start()
    room.drop(good, "a")
    until(lambda: room.billed(good, "a"))
    until(lambda: any("this desk made a mistake" in line for line in room.said))
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert "secret" not in " ".join(room.said)
    assert not good.at_desk.is_unlocked, "locked at the end"


def test_a_part_beside_that_ends_stops_the_gateway(room: Room) -> None:
    """`fail` ends the work in good order, and `run` says why."""
    daemon = Daemon([room.seat(desk=room.desk())], Relay(), room.said.append, pause=0.01)
    stop = threading.Event()
    threading.Timer(
        0.05, lambda: daemon.fail(GatewayError("the API ended by itself", code="api-ended"))
    ).start()
    with pytest.raises(GatewayError, match="the API ended by itself"):
        daemon.run(stop)
    assert stop.is_set()


def test_a_worker_sends_and_collects_only(room: Room) -> None:
    """Without a reader a seat takes no care act and writes no paper; its loops are sending and collecting."""
    seat = room.seat()
    daemon = Daemon([seat], Relay(), room.said.append)
    room.drop(seat, "a")
    daemon.turn()
    assert not room.billed(seat, "a")
    assert set(daemon._works()) == {"send", "collect", "keep"}
    seat.desk = room.desk()
    assert set(daemon._works()) == {"desk demo", "send", "collect", "keep"}
    daemon.sends = False
    assert set(daemon._works()) == {"desk demo", "keep"}
