"""Promises A4, B9 and B10: a receiver and a network that misbehave; each day ends with every lot settled.

Real cards, the real line, the real receiver behind a real socket; only back-off and calendar are hurried.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.clock import SimulatedClock, system_rng
from gateway.delivery import Collected, collect, send_due
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.exchange.retry import Backoff
from gateway.exchange.smtp import SmtpSender
from gateway.lots.sealing import Envelope, SealedLot, seal_content
from gateway.pipeline import bill, make_lots
from gateway.practice import Practice
from gateway.returns import opener
from gateway.store.states import LotState
from reader.emulated import EmulatedReader
from tools.bench import ADDRESS, PRACTICE, TEST_PIN, Bench
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import RunningReceiver, start_receiver

SOON = Backoff(first=0.01, cap=0.02)
DEADLINE = 0.4
PATIENCE = 10.0
ORGANISM = "01349@349.01.rss.fr"


@dataclass
class Day:
    """One practice and its receiver; `door` is the port where lots are handed in."""

    bench: Bench
    practice: Practice
    clock: SimulatedClock
    stack: ExitStack
    receiver: RunningReceiver | None = None
    door: int = 0
    sealed: list[SealedLot] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    seen: Collected = field(default_factory=Collected)

    def start(self, *faults: str, port: int = 0) -> None:
        """The receiver comes up, on its old state."""
        config = ReceiverConfig(
            authority=self.bench.directory("authority"), state=self.bench.directory("receiver"),
            maildir=self.bench.directory("mailbox"), practice=PRACTICE, port=port, faults=faults,
            clock=self.clock, say=lambda _: None,
        )  # fmt: skip
        self.receiver = start_receiver(config)
        self.door = self.receiver.port
        self.stack.callback(self.receiver.stop)

    def stop(self) -> int:
        """The receiver goes down; the port it had."""
        assert self.receiver is not None
        self.receiver.stop()
        return self.receiver.port

    def lots(self, count: int = 1) -> list[SealedLot]:
        """Bill one act for each lot, and close the lots."""
        with EmulatedReader() as reader:
            reader.insert("CPS", self.bench.card("cps-gp-sector1"))
            reader.insert("Vitale", self.bench.card("vitale-single"))
            desk = Desk(reader)
            cps = desk.unlock(TEST_PIN)
            for _ in range(count):
                with desk.vitale() as vitale:
                    bill(self.practice, cps, vitale, CareAct(legal_day(self.clock.now()), (Act("G"),)))
            made = make_lots(self.practice, cps)
        self.sealed += made
        return made

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """The sender of the gateway, with a short deadline; every attempt is noted."""
        self.sent.append(raw)
        sender = SmtpSender("127.0.0.1", self.door, DEADLINE)
        try:
            sender.send(envelope_from, envelope_to, raw)
        finally:
            sender.close()

    def turn(self) -> None:
        """One pass of sending and one of collecting."""
        self.clock.advance(timedelta(seconds=0.02))
        send_due(self.practice.store, self, self.clock, system_rng, backoff=SOON)
        box = Maildir(self.bench.directory("mailbox"))
        done = collect(self.practice.store, box, opener(self.practice), PRACTICE)
        self.seen = Collected(*(sum(pair) for pair in zip(_counts(self.seen), _counts(done), strict=True)))

    def until(self, reached: Callable[[], bool]) -> None:
        """Turn after turn until something holds."""
        end = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < end, self.practice.store.status()
            self.turn()
            time.sleep(0.005)

    def states(self) -> list[str]:
        """The lots' states, oldest lot first."""
        return [row.state.value for row in reversed(self.practice.store.lot_list())]

    def all_are(self, *states: str) -> Callable[[], bool]:
        """Whether every lot is in one of these states."""
        return lambda: set(self.states()) <= set(states)

    def pass_silent_days(self) -> None:
        """Two whole working days go by and no receipt comes: the lot is overdue and leaves again."""
        before = len(self.sent)
        for _ in range(20):
            self.clock.advance(timedelta(hours=12))
            self.bench.authority.renew_crls(self.clock.now())
            self.practice = replace(self.practice, trust=self.bench.authority.trust())
            self.turn()
            if len(self.sent) > before:
                return
        pytest.fail("a silent lot is never sent again")

    def judge(self, *, parked: int = 0, rejected: int = 0, unmatched: int = 0) -> None:
        """Every lot is settled or parked with a reason; each FSE is in the ledger once; resends are equal."""
        store, receiver = self.practice.store, self.receiver
        assert receiver is not None
        rows = store.lot_list()
        states = [row.state for row in rows]
        assert states.count(LotState.PARKED) == parked
        assert states.count(LotState.REJECTED) == rejected
        assert states.count(LotState.ACKNOWLEDGED) == len(rows) - parked - rejected
        for row in rows:
            assert row.reason or row.state is LotState.ACKNOWLEDGED
            assert row.state is not LotState.PARKED or row.id in store.status()
        accepted = [row.number for row in store.fse_list() if row.state.value == "ACCEPTED"]
        claims = receiver.ledger.rows("SELECT number, count(*) FROM claim GROUP BY number")
        assert sorted(claims) == sorted((number, 1) for number in accepted)
        assert set(self.sent) <= {lot.message for lot in self.sealed}, "a resend is not the sealed bytes"
        assert store.counts().unmatched == unmatched
        assert store.verify_audit() > 0


def _counts(done: Collected) -> tuple[int, ...]:
    return done.posted, done.repeated, done.unmatched, done.unreadable


@pytest.fixture
def day(bench: Bench) -> Iterator[Day]:
    """A practice that puts every FSE into a lot of its own, under a clock that the test moves."""
    clock = SimulatedClock(datetime.now(UTC))
    bench.clock = clock
    with ExitStack() as stack:
        practice = replace(bench.practice(), lot_size=1)
        stack.callback(practice.store.close)
        yield Day(bench, practice, clock, stack)


def test_a_good_day(day: Day) -> None:
    """The twin of all that follows: two lots leave once and are acknowledged."""
    day.start()
    day.lots(2)
    day.until(day.all_are("ACKNOWLEDGED"))
    assert day.sent == [lot.message for lot in day.sealed]
    day.judge()


def test_the_receiver_is_down_then_up(day: Day) -> None:
    """Down for long after a good hour: nothing is parked, status says why, all leave when it is back."""
    day.start()
    day.lots(1)
    day.until(day.all_are("ACKNOWLEDGED"))
    port = day.stop()
    day.lots(2)
    for _ in range(40):
        day.turn()
    assert day.states() == ["ACKNOWLEDGED", "SEALED", "SEALED"]
    assert "cannot be reached" in day.practice.store.status()
    day.start(port=port)
    day.until(day.all_are("ACKNOWLEDGED"))
    day.judge()


@pytest.mark.parametrize(
    "faults",
    [("refuse:3",), ("slow=1:2", "drop-arl:2"), ("close-mid-message:2",), ("reply-lost:2", "drop-arl:2")],
)
def test_the_line_breaks(day: Day, faults: tuple[str, ...]) -> None:
    """Refused, slower than our deadline, cut in the middle, the last reply lost: the same bytes again."""
    day.start(*faults)
    day.lots(2)
    day.until(day.all_are("ACKNOWLEDGED"))
    assert len(day.sent) > 2
    day.judge()


@pytest.mark.parametrize("fault", ["slow=1:2", "reply-lost:2"])
def test_the_arl_is_faster_than_the_reply(day: Day, fault: str) -> None:
    """An ARL that comes although the relay never said 250 is believed: the lot never goes again."""
    day.start(fault)
    day.lots(2)
    day.until(day.all_are("ACKNOWLEDGED"))
    before = len(day.sent)
    for _ in range(10):
        day.turn()
    assert len(day.sent) == before
    day.judge()


def test_the_arl_is_doubled(day: Day) -> None:
    """An ARL that comes twice is posted once."""
    day.start("duplicate-arl:1")
    day.lots()
    day.until(lambda: day.seen.repeated == 1)
    assert (day.seen.posted, len(day.sent)) == (1, 1)
    day.judge()


@pytest.mark.parametrize(
    ("fault", "unmatched"), [("drop-arl:1", 0), ("arl-wrong-digest:1", 1), ("arl-other-lot:1", 1)]
)
def test_the_true_arl_does_not_come(day: Day, fault: str, unmatched: int) -> None:
    """Lost, of another digest or lot: nothing moves, and after two working days the lot goes again."""
    day.start(fault)
    day.lots(2)
    day.until(lambda: "ACKNOWLEDGED" in day.states() and day.seen.unmatched == unmatched)
    assert sorted(day.states()) == ["ACKNOWLEDGED", "SENT"]
    day.pass_silent_days()
    day.until(day.all_are("ACKNOWLEDGED"))
    assert len(day.sent) == 3
    day.judge(unmatched=unmatched)


def test_the_arl_is_negative(day: Day) -> None:
    """A refused lot is REJECTED with class and code, its FSE with it; the other lot is not touched."""
    day.start("negative-arl:1")
    day.lots(2)
    day.until(day.all_are("ACKNOWLEDGED", "REJECTED"))
    reasons = {row.reason for row in day.practice.store.fse_list() if row.state.value == "REJECTED"}
    assert len(reasons) == 1
    assert "code 2003" in reasons.pop()
    day.judge(rejected=1)


class Proxy:
    """An SMTP relay's wire: `change` sees what the client sends, connection by connection; None cuts it."""

    def __init__(self, target: int, change: Callable[[bytes], bytes | None]) -> None:
        self._target, self._change = target, change
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """No more connections."""
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for source, sink, change in ((client, server, self._change), (server, client, bytes)):
                    threading.Thread(target=_pump, args=(source, sink, change), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes | None]) -> None:
    with suppress(OSError):
        while (data := source.recv(1 << 20)) and (changed := change(data)) is not None:
            sink.sendall(changed)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@dataclass
class Flip:
    """Changes one octet of the first mail that passes, at `find(mail)`; every later mail passes whole."""

    find: Callable[[bytes], int]
    held: bytes = b""
    done: bool = False

    def __call__(self, data: bytes) -> bytes:
        if self.done or not (self.held or b"Subject:" in data):
            return data
        self.held += data
        if not self.held.endswith(b"\r\n.\r\n"):
            return b""
        self.done, mail = True, bytearray(self.held)
        place = self.find(self.held)
        mail[place] = ord("8") if mail[place] != ord("8") else ord("9")
        return bytes(mail)


def in_subject(field_number: int) -> Callable[[bytes], int]:
    """The last octet of one field of the subject."""

    def find(mail: bytes) -> int:
        start = mail.index(b"Subject: ") + len(b"Subject: ")
        fields = mail[start : mail.index(b"\r\n", start)].split(b"/")
        return start + len(b"/".join(fields[: field_number + 1])) - 1

    return find


CORRUPTIONS = {
    "sender": in_subject(1),
    "compostage": in_subject(2),
    "count": in_subject(3),
    "header-name": lambda mail: mail.index(b"Content-Type") + 2,
    "first-line": lambda mail: mail.index(b"\r\n\r\n") + 10,
    "middle": lambda mail: mail.index(b"\r\n", len(mail) // 2) - 9,
    "last-line": lambda mail: len(mail) - 20,
}


@pytest.mark.parametrize("place", CORRUPTIONS)
def test_one_octet_changes_on_the_way(day: Day, place: str) -> None:
    """Whatever octet is hit, the damaged mail does not count as ours: the sealed bytes go again."""
    day.start()
    proxy = Proxy(day.door, Flip(CORRUPTIONS[place]))
    day.stack.callback(proxy.close)
    day.door = proxy.port
    day.lots()
    assert day.receiver is not None
    refused = "SELECT count(*) FROM refusal"
    day.until(lambda: day.receiver is not None and day.receiver.ledger.rows(refused) == [(1,)])
    day.turn()
    day.turn()
    assert day.states() == ["SENT"], "an ARL about damaged bytes moved our lot"
    day.pass_silent_days()
    day.until(day.all_are("ACKNOWLEDGED"))
    day.judge(unmatched=day.practice.store.counts().unmatched)


def test_the_network_doubles_every_lot(day: Day) -> None:
    """Each lot is handed over twice: one claim each, the same ARL again is harmless."""
    day.start()
    day.lots(2)
    for lot in day.sealed:
        day.send(lot.sender, lot.recipient, lot.message)
    day.until(lambda: day.all_are("ACKNOWLEDGED")() and day.seen.posted + day.seen.repeated == 4)
    assert day.seen.posted == 2
    day.judge()


def test_junk_and_bombs_at_the_receiver(day: Day) -> None:
    """Junk, a bomb of 32 MB in 32 KB, half a lot: refused, and no answer to them moves a lot of ours."""
    day.start()
    (lot,) = day.lots()
    now = day.clock.now()
    stranger = day.bench.authority.software_cps("899999999990", now)
    outside = Envelope(ADDRESS, ORGANISM, "0" * 14, "2026010100000000001", 1, "SESAM/FSE/Z")
    bomb = seal_content(
        bytes(32 << 20), outside, recipient_certificate=day.practice.receiver_certificate,
        policy=day.practice.policy, signer=stranger, rng=system_rng, now=now,
    )  # fmt: skip
    assert len(bomb) < 100_000
    half = lot.message[: len(lot.message) // 2].rpartition(b"\r\n")[0] + b"\r\n"
    for junk in (b"Subject: junk\r\n\r\nnothing\r\n", bomb, half, b"\r\n"):
        day.send(ADDRESS, ORGANISM, junk)
    day.sent.clear()
    day.until(day.all_are("ACKNOWLEDGED"))
    assert day.receiver is not None
    assert day.receiver.ledger.rows("SELECT count(*) FROM refusal") == [(4,)]
    day.judge(unmatched=day.practice.store.counts().unmatched)


def test_the_receiver_restarts_in_between(day: Day) -> None:
    """Taken before, answered after: a receiver that was down in between still knows every lot."""
    day.start("drop-arl")
    day.lots(2)
    day.until(day.all_are("SENT"))
    day.start(port=day.stop())
    day.lots(1)
    day.until(lambda: day.states()[2] == "ACKNOWLEDGED")
    day.pass_silent_days()
    day.until(day.all_are("ACKNOWLEDGED"))
    day.judge()


def test_one_lot_is_poison(day: Day) -> None:
    """A lot at which the relay always breaks is parked with its reason; released, the same bytes arrive."""
    day.start()
    poison, good = day.lots(2)
    mark = poison.compostage.encode()
    proxy = Proxy(day.door, lambda data: None if mark in data else data)
    day.stack.callback(proxy.close)
    straight, day.door = day.door, proxy.port
    day.until(lambda: sorted(day.states()) == ["ACKNOWLEDGED", "PARKED"])
    assert day.sent.count(poison.message) == 5
    assert day.sent.count(good.message) == 1
    day.judge(parked=1)
    day.door = straight
    day.practice.store.release(poison.id, "the relay was mended")
    day.until(day.all_are("ACKNOWLEDGED"))
    day.judge()
