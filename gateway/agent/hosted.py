"""The gateway's side: the lobby where agents arrive, its port, and what it says about certificates that
end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.agent.authority import load_certificate
from gateway.agent.ends import WARNING, Daily, ends
from gateway.agent.register import Register
from gateway.clock import Clock
from gateway.config import AgentsConfig
from gateway.errors import GatewayError
from reader.agent.lobby import Lobby, Peer
from reader.transport.tls import AgentPort, Identity, context

Say = Callable[[str], None]


def make_lobby(config: AgentsConfig, clock: Clock, say: Say) -> Lobby:
    """The lobby of these settings, its door still shut: readers are to wait in it before agents arrive."""
    register, daily = Register.beside(config.authority), Daily(say, clock)

    def admits(peer: Peer) -> bool:
        daily.look(f"the certificate of the agent {peer.name}", peer.ends, _renewal(peer.name, peer.practice))
        try:
            return register.admits(peer, clock.now())
        except GatewayError as wrong:  # fail closed: nobody is admitted by a register that cannot be read
            say(str(wrong))
            return False

    return Lobby(admits, say)


@contextmanager
def agents_admitted(
    config: AgentsConfig, lobby: Lobby, clock: Clock, say: Say, stop: threading.Event
) -> Iterator[int]:
    """The door is open while the block runs; the port. ReaderError or GatewayError says what keeps it shut.

    When `stop` is set no PIN is waited for any more, so that what is in hand can end.
    """
    own = Identity(config.certificate, config.key, config.authority)
    port = AgentPort(config.address, config.port, context(own, listens=True), lobby.arrived)
    stopping = threading.Thread(target=_until_stopped, args=(stop, lobby), name="agents-stop", daemon=True)
    stopping.start()
    try:
        say(f"agents: {port.address}:{port.port}")
        for warning in ending(config, clock):
            say(warning)
        yield port.port
    finally:
        lobby.close()
        port.close()


def _until_stopped(stop: threading.Event, lobby: Lobby) -> None:
    stop.wait()
    lobby.cancel_entries()


def ending(config: AgentsConfig, clock: Clock) -> list[str]:
    """A sentence for each certificate that ends within thirty days, with its remedy."""
    now = clock.now()
    near = now + WARNING
    own = load_certificate(config.certificate).not_valid_after_utc
    newest = {entry.name: entry for entry in Register.beside(config.authority).entries() if not entry.revoked}
    said = [
        f"the certificate of the agent {entry.name} {ends(entry.last_moment, now)}: "
        + _renewal(entry.name, entry.practice)
        for entry in newest.values()
        if entry.last_moment < near
    ]
    if own < near:
        said.append(
            f"the certificate {config.certificate} {ends(own, now)}: move it away with its key, then "
            "vitale-gateway agent enrol makes a new one"
        )
    return said


def _renewal(agent: str, practice: str) -> str:
    return f"vitale-gateway agent enrol {agent} --practice {practice} --renew, then copy the new files"
