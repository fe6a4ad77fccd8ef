"""Driver `agent`: the slots of a reader on another machine, lent by the agent of this name."""

from __future__ import annotations

from collections.abc import Sequence

from reader.agent.lobby import Lobby
from reader.errors import ReaderError
from reader.reader import Reader

AGENT = "agent"
"""The name of this driver."""


def open_agent(slots: Sequence[str], *, lobby: Lobby | None = None, practice: str = "") -> Reader:
    """The reader that waits for an agent in this lobby; it may come at any time, for its practice only.

    Raises ReaderError, one sentence, when no gateway waits for agents or the name is not one.
    """
    if lobby is None:
        raise ReaderError(
            "The driver agent works in a gateway only: add a section [agents] to its settings, then "
            "vitale-gateway serve."
        )
    if len(slots) != 1 or not slots[0].strip():
        raise ReaderError('The driver agent wants the name of one agent: write slots = ["NAME"].')
    return lobby.reader(slots[0].strip(), practice)
