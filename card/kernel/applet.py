"""The contract between the card operating system and an application on the card.

An applet sees whole commands only: chaining, GET RESPONSE, the class byte and lengths are the
business of `CardOS`. It answers with a `ResponseAPDU` or raises `CardError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel.errors import CardError

DONE = ResponseAPDU()

Handler = Callable[[CommandAPDU], ResponseAPDU]


class Applet(Protocol):
    """One application of a card. Everything volatile it holds is cleared by `reset` and `deselect`."""

    proprietary_classes: ClassVar[frozenset[int]]
    """Class bytes above 7F that this applet understands."""
    chained_instructions: ClassVar[frozenset[int]]
    """Instructions whose data may come in several commands (CLA bit 5)."""

    def owns(self, name: bytes) -> bool:
        """Does SELECT by this DF name lead into this applet?"""

    def process(self, command: CommandAPDU) -> ResponseAPDU:
        """Carry out one command; raises CardError to refuse."""

    def interrupted(self) -> None:
        """A command came that the applet does not see, or refused: an answer it kept back is forgotten."""

    def deselect(self) -> None:
        """Another applet was selected: forget every status, key choice and challenge."""

    def reset(self) -> None:
        """Power came on: as `deselect`, and the first file is current again."""


def dispatch(handlers: Mapping[int, Handler], command: CommandAPDU) -> ResponseAPDU:
    """Call the handler of the instruction; 6D00 when there is none."""
    handler = handlers.get(command.ins)
    if handler is None:
        raise CardError(0x6D00)
    return handler(command)
