"""A gateway's side of the agents' line, and agents as their program runs them, in one process over real
TLS.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gateway.agent.enrolment import AUTHORITY, CERTIFICATE, KEY, enrol
from gateway.agent.hosted import agents_admitted, make_lobby
from gateway.agent.program import Agent
from gateway.agent.settings import AgentSettings
from gateway.clock import SystemClock, system_rng
from gateway.config import AgentsConfig, ReaderConfig
from reader.agent.borrowed import AgentReader
from reader.agent.lending import PinDesk
from reader.agent.lobby import Lobby
from reader.emulated import EmulatedReader
from reader.slot import Card
from reader.transport.tls import Identity

PATIENCE = 40.0


def until(reached: Callable[[], object], what: str = "it") -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.005)


@dataclass
class Running:
    """One agent at work in a thread, with a local reader of the test's own."""

    agent: Agent
    local: EmulatedReader
    thread: threading.Thread

    def says(self, text: str) -> None:
        """Wait until it has said this."""
        until(lambda: any(text in line for line in self.agent.lines), f"{text!r} in {list(self.agent.lines)}")

    def stop(self) -> None:
        """End it in good order."""
        self.agent.stop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@dataclass
class Hosting:
    """The gateway's folder, its lobby, and its open port."""

    config: AgentsConfig
    lobby: Lobby
    stack: ExitStack
    stop: threading.Event
    port: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the authority is."""
        return self.config.authority.parent

    def enrolled(self, name: str, practice: str, now: datetime | None = None) -> Identity:
        """Admit an agent; its files."""
        folder = enrol(self.config, name, practice, now or datetime.now(UTC)).folder
        return Identity(folder / CERTIFICATE, folder / KEY, folder / AUTHORITY)

    def reader(self, name: str, practice: str) -> AgentReader:
        """The reader of the gateway that waits for this agent."""
        return self.lobby.reader(name, practice)

    def opens(self) -> None:
        """The door is open from now on."""
        admitted = agents_admitted(self.config, self.lobby, SystemClock(), self.said.append, self.stop)
        self.port = self.stack.enter_context(admitted)

    def settings(self, identity: Identity, port: int = 0) -> AgentSettings:
        """The settings of an agent that dials this gateway."""
        reader = ReaderConfig("test", ())
        return AgentSettings("127.0.0.1", port or self.port, identity, reader, 0, "fr", self.folder)

    def agent(
        self, identity: Identity, *, pins: PinDesk | None = None, port: int = 0, **cards: Card
    ) -> Running:
        """An agent at work with these cards in its slots."""
        local = EmulatedReader()
        for name, card in cards.items():
            local.insert(name, card)
        agent = Agent(self.settings(identity, port), pins, SystemClock(), system_rng, self.said.append)
        agent.open_reader = lambda _config: local
        running = Running(agent, local, threading.Thread(target=agent.run, daemon=True))
        running.thread.start()
        self.stack.callback(running.stop)
        return running


@contextmanager
def hosting(folder: Path) -> Iterator[Hosting]:
    """A gateway's side whose authority is made at its first enrolment; everything ends on the way out."""
    home = folder / "agents"
    config = AgentsConfig(
        "127.0.0.1", 0, home / "gateway.cert.pem", home / "gateway.key.pem", home / "authority.cert.pem"
    )
    said: list[str] = []
    with ExitStack() as stack:
        stop = threading.Event()
        stack.callback(stop.set)
        lobby = make_lobby(config, SystemClock(), said.append)
        yield Hosting(config, lobby, stack, stop, said=said)
