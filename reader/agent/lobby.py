"""Where agents arrive: each is led to the one reader that waits for it, of its own practice, or sent away.

A second connection of an agent takes the place of one that gives no sign of life any more, never of one
that does.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from reader.agent.borrowed import AgentReader
from reader.agent.frames import LentSlot, Reason
from reader.agent.link import Link
from reader.errors import ReaderError
from reader.stream import Stream


@dataclass(frozen=True, slots=True)
class Peer:
    """Who showed a certificate of the authority: the agent's name, its practice, serial number and last
    moment.
    """

    name: str
    practice: str
    serial: int
    ends: datetime


MOST_OF_ONE = 4
"""Connections with one agent's certificate at a time; more are hung up on unheard."""

Admits = Callable[[Peer], bool]
"""Is this certificate in the register, not taken back, not ended? Asked at the door and every second."""

Say = Callable[[str], None]


class Lobby:
    """The agents of one gateway. `arrived` is called by the thread of each connection and returns at its
    end.
    """

    def __init__(self, admits: Admits, say: Say = lambda _text: None) -> None:
        self._admits, self._say = admits, say
        self._guard = threading.Lock()
        self._readers: dict[str, AgentReader] = {}
        self._links: dict[str, Link] = {}
        self._arriving: Counter[str] = Counter()
        self._closed = False

    def reader(self, agent: str, practice: str) -> AgentReader:
        """The reader that waits for this agent; ReaderError when another one does already."""
        with self._guard:
            if agent in self._readers:
                raise ReaderError(
                    f"Two readers of the settings name the agent {agent}: give each reader an agent of its "
                    f"own."
                )
            made = self._readers[agent] = AgentReader(agent, practice, lambda: self._forget(made))
            return made

    def connected(self) -> dict[str, bool]:
        """Every agent a reader waits for, and whether it is here."""
        with self._guard:
            return {name: name in self._links for name in self._readers}

    def arrived(self, stream: Stream, peer: Peer) -> None:
        """One connection, from the greeting to its end. Nothing is raised for what the other end does."""
        link = Link(stream)
        with self._guard:
            self._arriving[peer.name] += 1
            is_crowd = self._arriving[peer.name] > MOST_OF_ONE
        try:
            if not is_crowd:
                self._receive(link, peer)
        except OSError:
            return
        finally:
            link.end()
            with self._guard:
                self._arriving[peer.name] -= 1
                if not self._arriving[peer.name]:
                    del self._arriving[peer.name]

    def cancel_entries(self) -> None:
        """No PIN is awaited any more: the gateway is about to stop."""
        with self._guard:
            links = tuple(self._links.values())
        for link in links:
            link.cancel_entries()

    def close(self) -> None:
        """Send every agent away; later arrivals too."""
        with self._guard:
            self._closed = True
            links = tuple(self._links.values())
        for link in links:
            link.hang_up()

    def _receive(self, link: Link, peer: Peer) -> None:
        slots = link.greeted()
        reason = self._objection(peer) or self._claim(peer, link)
        if reason is not None:
            self._say(f"agent {peer.name}: sent away ({_WHY[reason]})")
            link.hang_up(reason)
            return
        try:
            self._serve(link, peer, slots)
        finally:
            with self._guard:
                self._links.pop(peer.name, None)

    def _serve(self, link: Link, peer: Peer, slots: tuple[LentSlot, ...]) -> None:
        """The agent's slots are its reader's until the line ends."""
        with self._guard:
            reader = self._readers.get(peer.name)
        if reader is None:  # closed in this very moment
            return
        try:
            link.welcome()
            reader.attach(link, slots)
            self._say(f"agent {peer.name}: here")
            why = link.run(lambda moved: reader.moved(link, moved), lambda: self._objection(peer))
            self._say(f"agent {peer.name}: away ({_WHY[why]})")
        finally:
            link.end()
            reader.detach()

    def _forget(self, reader: AgentReader) -> None:
        """Nobody uses this reader any more: its agent is hung up on, and may come to the next one of its
        name.
        """
        with self._guard:
            if self._readers.get(reader.agent) is not reader:
                return
            del self._readers[reader.agent]
            link = self._links.get(reader.agent)
        if link is not None:
            link.hang_up()

    def _objection(self, peer: Peer) -> Reason | None:
        with self._guard:
            reader = self._readers.get(peer.name)
            if self._closed:
                return Reason.STOPPING
        if reader is None or reader.practice != peer.practice:
            return Reason.NOT_EXPECTED
        return None if self._admits(peer) else Reason.REVOKED

    def _claim(self, peer: Peer, link: Link) -> Reason | None:
        """Take the place of this agent; a former connection that is dead is ended first."""
        former = self._take(peer, link)
        if former is None:
            return None
        if former.is_alive():
            return Reason.ALREADY_HERE
        former.end()
        return self._wait_for(peer, link)

    def _take(self, peer: Peer, link: Link) -> Link | None:
        """Take this agent's place; the connection that has it, if there is one."""
        with self._guard:
            return None if (former := self._links.setdefault(peer.name, link)) is link else former

    def _wait_for(self, peer: Peer, link: Link) -> Reason | None:
        """Until the dead connection's thread has given the slots back."""
        gone = threading.Event()
        for _ in range(100):
            if self._take(peer, link) is None:
                return None
            gone.wait(0.05)
        return Reason.ALREADY_HERE


_WHY = {
    Reason.STOPPING: "stopped",
    Reason.BROKE_RULES: "it broke the rules of the line",
    Reason.VERSION: "it speaks another version of the line",
    Reason.NOT_EXPECTED: "no reader of its practice waits for it",
    Reason.ALREADY_HERE: "it is connected already",
    Reason.REVOKED: "its certificate is not admitted, or not any more",
    Reason.SILENT: "the connection broke",
}
"""What is said of each reason."""
