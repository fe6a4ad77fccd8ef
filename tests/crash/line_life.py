"""Two children that can be killed: a gateway that takes sheets down the whole line, and its receiver.

    python -m tests.crash.line_life gateway|receiver DIRECTORY

The directory is a copy of a `tools.bench` world. The gateway says on its standard output what a caller would
hear; run again after a kill, it goes on where its store says it was.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.clock import SystemClock
from gateway.delivery import collect, send_due
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.exchange.retry import Backoff
from gateway.exchange.smtp import SmtpSender, Transient
from gateway.pipeline import bill, make_lots
from gateway.practice import Practice
from gateway.returns import opener
from gateway.store.states import FseState
from gateway.store.store import Store
from reader.emulated import EmulatedReader
from tools.bench import PRACTICE, TEST_PIN, Bench
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import start_receiver

PROFILES = ("cps-gp-sector1", "vitale-single")
ACTS, PER_LOT = 7, 2
PATIENCE = 20.0
SOON = Backoff(first=0.02, cap=0.05)


@dataclass
class World:
    """A bench, and the practice on it without a store: read once, used by every child."""

    bench: Bench
    practice: Practice

    @classmethod
    def at(cls, root: Path) -> World:
        """Open the world of this directory, made if it is not there."""
        bench = Bench(root)
        bench.make_cards(PROFILES)
        return cls(bench, bench.practice(cast("Any", object())))


class Gateway:
    """One run of the gateway's child."""

    def __init__(self, world: World, root: Path) -> None:
        self.started, self.first_sent = time.monotonic(), False
        self.clock, self.root = SystemClock(), root
        store = Store(f"sqlite:///{root / 'gateway.db'}", self.clock)
        self.practice = replace(world.practice, store=store, lot_size=PER_LOT)
        self.box = Maildir(root / "mailbox")
        self.reader = EmulatedReader()
        self.bench = replace(world.bench, root=root)

    def run(self) -> None:
        """Everything, until every sheet is paid."""
        for slot, profile in zip(("CPS", "Vitale"), PROFILES, strict=True):
            self.reader.insert(slot, self.bench.card(profile))
        self.bill_acts()
        while not self.is_done():
            send_due(self.practice.store, self, self.clock, self.practice.rng, backoff=SOON)
            collect(self.practice.store, self.box, opener(self.practice), PRACTICE)
            if time.monotonic() > self.started + PATIENCE:
                sys.exit(f"not done: {self.practice.store.status()}")
            self.clock.sleep(0.01)
        self.practice.store.forget_bodies(self.clock.now())
        self.practice.store.close()

    def bill_acts(self) -> None:
        """Bill what is not kept yet, and tell the caller each time; then close the lots."""
        desk, store = Desk(self.reader), self.practice.store
        cps = desk.unlock(TEST_PIN)
        while len(store.fse_list()) < ACTS:
            act = CareAct(legal_day(self.clock.now()), (Act("G"),), third_party="amo")
            with desk.vitale() as vitale:
                print("accepted", bill(self.practice, cps, vitale, act).number, flush=True)
        make_lots(self.practice, cps)
        desk.lock()

    def is_done(self) -> bool:
        """Nothing is left to send, to receive or to post."""
        settled = {row.state for row in self.practice.store.fse_list()} == {FseState.PAID}
        return settled and not self.box.pending(1)

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Send through the receiver of the moment, and say how long after the start the first lot left."""
        try:
            port = int((self.root / "port").read_text())
        except FileNotFoundError:
            raise Transient("the receiver is not up yet", unreached=True) from None
        sender = SmtpSender("127.0.0.1", port)
        try:
            sender.send(envelope_from, envelope_to, raw)
        finally:
            sender.close()
        if not self.first_sent:
            self.first_sent = True
            print("sending-after", time.monotonic() - self.started, flush=True)


def live_gateway(world: World, root: Path) -> None:
    """The gateway's child: ends when every sheet is paid."""
    Gateway(world, root).run()


def live_receiver(world: World, root: Path, *faults: str) -> None:
    """The receiver's child: serves until it is killed; the port stands in the file `port`."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    running = start_receiver(
        ReceiverConfig(
            authority=world.bench.directory("authority"),
            state=root / "receiver",
            maildir=root / "mailbox",
            practice=PRACTICE,
            day_seconds=0.0,
            faults=faults,
            say=lambda _: None,
        )
    )
    partial = root / "port.partial"
    partial.write_text(str(running.port))
    partial.rename(root / "port")
    ended.wait()
    running.stop()


if __name__ == "__main__":
    place = Path(sys.argv[2])
    {"gateway": live_gateway, "receiver": live_receiver}[sys.argv[1]](World.at(place), place)
