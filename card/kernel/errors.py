"""What can go wrong inside a card, and with the file that holds it."""

from __future__ import annotations

from card.iso7816.status import StatusWord


class CardError(Exception):
    """A refusal, raised anywhere inside a card; only `CardOS` turns it into an answer."""

    def __init__(self, sw: int) -> None:
        self.sw = StatusWord(sw)
        super().__init__(self.sw.describe())


class ImageError(Exception):
    """The card image cannot be opened. The text is one sentence for the person who owns it."""
