"""A gateway with its API at a free port of loopback: cards in this process, a relay that takes everything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.api.client import Client
from gateway.api.server import serving
from gateway.api.service import Service
from gateway.api.tokens import Tokens
from gateway.clock import system_rng
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.inbox import Inbox
from gateway.practice import Practice
from gateway.seat import Seat
from gateway.sitting import Sitting
from reader.emulated import EmulatedReader
from tools.bench import Bench

PIN = "1234"
SOFTWARE, OTHER = "soft", "other-soft"


class Relay:
    """A sender that takes every lot and keeps what it was given."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Take it."""
        self.taken.append(raw)

    def abort(self) -> None:
        """Nothing is under way."""


@dataclass
class Rig:
    """The gateway under test, and two programs: one of its practice, one of another practice."""

    bench: Bench
    practice: Practice
    reader: EmulatedReader
    service: Service
    port: int
    token: str
    stranger: str
    said: list[str]
    relay: Relay
    _stack: ExitStack = field(repr=False)

    def client(self, token: str | None = None) -> Client:
        """A client with this token, of the practice's own software when none is named."""
        made = Client("127.0.0.1", self.port, self.token if token is None else token, timeout=20)
        return self._stack.enter_context(closing(made))

    def act(self, **changes: Any) -> dict[str, Any]:
        """A care act of today."""
        today = legal_day(self.practice.clock.now()).isoformat()
        return {"date": today, "acts": [{"code": "G"}], "third_party": "amo", **changes}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority and personalised cards."""
    root = tmp_path_factory.mktemp("world")
    Bench(root).make_cards(["cps-gp-sector1", "vitale-family"])
    return root


@pytest.fixture
def rig(world: Path, tmp_path: Path) -> Iterator[Rig]:
    """A gateway of its own for each test, CPS locked."""
    root = tmp_path / "bench"
    shutil.copytree(world, root)
    with ExitStack() as stack:
        yield open_rig(Bench(root), stack)


def open_rig(bench: Bench, stack: ExitStack) -> Rig:
    """The gateway over this world; everything ends with the stack."""
    practice, said, relay = bench.practice(), list[str](), Relay()
    stack.enter_context(closing(practice.store))
    reader = stack.enter_context(EmulatedReader())
    reader.insert("CPS", bench.card("cps-gp-sector1"))
    reader.insert("Vitale", bench.card("vitale-family"))
    inbox, mailbox = Inbox(bench.directory("inbox")), Maildir(bench.directory("mailbox"))
    seat = Seat(practice, Desk(reader), inbox, mailbox, said.append, has_api=True)
    daemon = Daemon([seat], relay, said.append)
    daemon.desk.sitting = Sitting(practice.clock, timedelta(hours=1), 1000)
    tokens = Tokens(bench.root / "tokens.json")
    token = tokens.new(SOFTWARE, practice.id, practice.clock, system_rng)
    stranger = tokens.new(OTHER, "elsewhere", practice.clock, system_rng)
    service = Service(daemon, tokens)
    port = stack.enter_context(serving(service, "127.0.0.1", 0))
    return Rig(bench, practice, reader, service, port, token, stranger, said, relay, stack)


@pytest.fixture
def client(rig: Rig) -> Client:
    """The practice's own software, with the CPS unlocked."""
    made = rig.client()
    made.open_session(PIN)
    return made
