"""A day of one practice and its receiver, with real cards, the real line and a real socket, for tests.

Only back-off and calendar are hurried; the clock stands still until the test moves it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
from gateway.lots.sealing import SealedLot
from gateway.pipeline import bill, make_lots
from gateway.practice import Practice
from gateway.returns import opener
from gateway.store.states import LotState
from reader.emulated import EmulatedReader
from tools.bench import PRACTICE, TEST_PIN, Bench
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import RunningReceiver, start_receiver

SOON = Backoff(first=0.01, cap=0.02)
DEADLINE = 0.4
PATIENCE = 10.0


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

    def lots(self, count: int = 1, third_party: str = "none", card: str = "vitale-single") -> list[SealedLot]:
        """Bill one act for each lot, and close the lots."""
        with EmulatedReader() as reader:
            reader.insert("CPS", self.bench.card("cps-gp-sector1"))
            reader.insert("Vitale", self.bench.card(card))
            desk = Desk(reader)
            cps = desk.unlock(TEST_PIN)
            for _ in range(count):
                with desk.vitale() as vitale:
                    today = legal_day(self.clock.now())
                    bill(self.practice, cps, vitale, CareAct(today, (Act("G"),), third_party=third_party))
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

    def pay(self) -> None:
        """Every payment that is still to come is due now."""
        assert self.receiver is not None
        self.receiver.advance(10, 86_400)

    def sheets(self) -> list[str]:
        """The sheets' states, oldest first."""
        return [row.state.value for row in reversed(self.practice.store.fse_list())]

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
        accepted = [row.number for row in store.fse_list() if row.state.value in ("ACCEPTED", "PAID")]
        claims = receiver.ledger.rows("SELECT number, count(*) FROM claim GROUP BY number")
        assert sorted(claims) == sorted((number, 1) for number in accepted)
        assert set(self.sent) <= {lot.message for lot in self.sealed}, "a resend is not the sealed bytes"
        assert store.counts().unmatched == unmatched
        assert store.verify_audit() > 0


def _counts(done: Collected) -> tuple[int, ...]:
    return done.posted, done.repeated, done.unmatched, done.unreadable


@contextmanager
def begin(bench: Bench) -> Iterator[Day]:
    """A practice that puts every FSE into a lot of its own, under a clock that the test moves."""
    clock = SimulatedClock(datetime.now(UTC))
    bench.clock = clock
    with ExitStack() as stack:
        practice = replace(bench.practice(), lot_size=1)
        stack.callback(practice.store.close)
        yield Day(bench, practice, clock, stack)
