"""Agents and lobbies joined without TLS, for tests: a socket pair, both ends at work in threads."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from reader.agent.borrowed import AgentReader
from reader.agent.lending import Lending, PinDesk
from reader.agent.lobby import Lobby, Peer
from reader.emulated import EmulatedReader
from reader.pinpad import CANCELLED, TIMED_OUT, Digits, NotEntered, PinEntry

PATIENCE = 40.0
PEER = Peer("desk", "cabinet", 7, datetime(2099, 1, 1, tzinfo=UTC))


def until(reached: Callable[[], object], what: str = "it") -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.005)


class PlainStream:
    """A `Stream` over a socket; `cut_after`: how many sends pass before the network breaks."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._guard = threading.Lock()
        self.sends = 0
        self.cut_after = -1

    def send(self, data: bytes) -> None:
        with self._guard:
            if self.sends == self.cut_after:
                self.close()
                raise ConnectionResetError("cut")
            self.sends += 1
            self._socket.sendall(data)

    def receive(self, seconds: float) -> bytes:
        if self._socket.fileno() < 0:
            raise ConnectionResetError("closed")
        if not select.select([self._socket], [], [], seconds)[0]:
            return b""
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionResetError("hung up")
        return data

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def pair() -> tuple[PlainStream, PlainStream]:
    """Two ends of one connection."""
    one, other = socket.socketpair()
    return PlainStream(one), PlainStream(other)


@dataclass
class Typist(PinDesk):
    """A person who types what is in `digits`, one entry each; None: the red key; "": nobody."""

    digits: list[str | None] = field(default_factory=list)
    asked: list[PinEntry] = field(default_factory=list)
    waits: bool = False
    said: list[bytes] = field(default_factory=list)

    def heard(self, slot: str, status: bytes) -> None:
        self.said.append(status)

    def ask(self, slot: str, entry: PinEntry, cancelled: threading.Event) -> Digits | NotEntered:
        self.asked.append(entry)
        if self.waits:
            return CANCELLED if cancelled.wait(PATIENCE) else TIMED_OUT
        typed = self.digits.pop(0)
        return CANCELLED if typed is None else TIMED_OUT if typed == "" else Digits(typed)


@dataclass
class Away:
    """One agent with a local reader, and the gateway's reader that borrows it."""

    local: EmulatedReader
    typist: Typist | None
    lobby: Lobby
    borrowed: AgentReader
    threads: list[threading.Thread] = field(default_factory=list)
    lending: Lending | None = None
    streams: tuple[PlainStream, PlainStream] | None = None

    def join(self, peer: Peer = PEER) -> None:
        """The agent dials; back when both slots are lent."""
        agent_end, gateway_end = self.streams = pair()
        lending = self.lending = Lending(self.local.slots, agent_end, self.typist)

        def lend() -> None:
            try:
                lending.run()
            except OSError:
                return

        for work in (lend, lambda: self.lobby.arrived(gateway_end, peer)):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self.threads.append(thread)

    def joined(self) -> None:
        """The agent dials and is welcome; its cards are seen."""
        self.join()
        until(self.matches, "the cards are seen")

    def matches(self) -> bool:
        """Our slots are as those of the agent."""
        pairs = zip(self.local.slots, self.borrowed.slots, strict=True)
        return self.is_here and all(one.is_present == other.is_present for one, other in pairs)

    @property
    def is_here(self) -> bool:
        """The lobby counts the agent as connected."""
        return self.lobby.connected()[self.borrowed.agent]

    def cut(self) -> None:
        """The network breaks."""
        assert self.streams is not None
        for stream in self.streams:
            stream.close()
        until(lambda: not self.is_here, "the break is noticed")


@contextmanager
def away(local: EmulatedReader, typist: Typist | None = None, admits: bool = True) -> Iterator[Away]:
    """An agent and a gateway that do not know each other yet; every thread ends on the way out."""
    lobby = Lobby(lambda _peer: admits)
    made = Away(local, typist, lobby, lobby.reader(PEER.name, PEER.practice))
    try:
        yield made
    finally:
        if made.lending is not None:
            made.lending.stop()
        lobby.close()
        for thread in made.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        made.borrowed.close()
