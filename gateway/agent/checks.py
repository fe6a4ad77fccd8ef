"""What is wrong with a set-up of agents: files, register, readers that no agent can fill. Nothing is
dialled.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.agent.authority import AgentAuthority
from gateway.agent.hosted import ending
from gateway.agent.register import Register
from gateway.clock import Clock
from gateway.config import Config
from reader.agent.driver import AGENT
from reader.transport.tls import Identity, context


def faults(config: Config) -> Iterator[str]:
    """A sentence for each reader that no agent can fill; GatewayError or ReaderError for a file that is
    wrong.
    """
    agents = config.agents
    if agents is None:
        return
    AgentAuthority.open(agents.authority)
    context(Identity(agents.certificate, agents.key, agents.authority), listens=True)
    register = Register.beside(agents.authority)
    for reader in config.readers:
        if reader.driver != AGENT:
            continue
        name, known = reader.slots[0], register.of(reader.slots[0])
        if not any(entry.practice == reader.practice for entry in known):
            yield (
                f"{reader.name}: no agent {name} of practice {reader.practice} is enrolled: vitale-gateway "
                f"agent "
                f"enrol {name} --practice {reader.practice}"
            )


def soon(config: Config, clock: Clock) -> list[str]:
    """A sentence for each certificate that ends within thirty days."""
    return [] if config.agents is None else ending(config.agents, clock)
