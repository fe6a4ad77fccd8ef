"""What the sessions with both cards have in common: one connection, one reset count, one orderly end."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from gateway.cards.signing import SecurityEnvironment
from reader.connection import Connection
from reader.errors import SlotTaken
from reader.slot import Exclusive


class CardSession:
    """A session over a connection; use it as a context manager or call `close()`.

    Every call raises the errors of `reader.errors` when the card is pulled out, reset or misbehaves:
    open a new session after that. The repr names the slot only.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._environment = SecurityEnvironment(connection)
        self._resets = connection.resets
        self._tenure = connection.tenure

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.connection.slot_name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def exclusive(self) -> Exclusive:
        """`with session.exclusive():` no other thread uses this card, from PIN to signature for example.

        To hold both cards take the CPS first, then the Vitale.
        """
        return self.connection.exclusive()

    def close(self) -> None:
        """End the session: the card is reset and forgets PIN and CPS. Safe when the card has gone."""
        self.connection.close()

    def _ready(self) -> None:
        """Raise when the card has been reset, taken over or pulled out since the session was opened."""
        self.connection.check()
        if self.connection.resets != self._resets:
            raise SlotTaken(self.connection.slot_name)
        if self.connection.tenure != self._tenure:
            self._tenure = self.connection.tenure
            self._after_others()

    def _after_others(self) -> None:
        """Another program may have used the card since the last exclusive block: trust nothing selected."""
        self._environment.forget()
