"""What can go wrong between a host and a card. Every sentence names the slot and the next action.

Whose fault it is lives in the type: the person's (NoCard, CardRemoved, SlotBusy), another session's
(SlotTaken), the card's or the link's (CardMute, CardProtocolError). No text ever holds data of a card.
"""

from __future__ import annotations


class ReaderError(Exception):
    """One clear sentence: which slot, what happened, what to do next. `code` is a word for programs."""

    code = "reader"

    def __init__(self, sentence: str, *, slot: str = "") -> None:
        super().__init__(sentence)
        self.slot = slot


class NoCard(ReaderError):
    """The slot is empty."""

    code = "no-card"

    def __init__(self, slot: str) -> None:
        super().__init__(f"The {slot} slot is empty: insert the card and try again.", slot=slot)


class CardRemoved(ReaderError):
    """The card left its slot since this connection was opened; a card put back is a new card."""

    code = "card-removed"

    def __init__(self, slot: str) -> None:
        super().__init__(
            f"The card was taken out of the {slot} slot: put it back and open the session again.", slot=slot
        )


class SlotTaken(ReaderError):
    """Another session connected to this slot; the card was reset, nothing of this session remains in it."""

    code = "slot-taken"

    def __init__(self, slot: str) -> None:
        super().__init__(
            f"The session on the {slot} slot has ended: open it again (the card asks for its PIN again).",
            slot=slot,
        )


class SlotBusy(ReaderError):
    """Another thread keeps the slot for itself longer than one is ready to wait."""

    code = "slot-busy"

    def __init__(self, slot: str, seconds: float) -> None:
        super().__init__(
            f"The {slot} slot is still in use after {seconds:g} s: let the other work end and try again.",
            slot=slot,
        )


class NoPinPad(ReaderError):
    """The reader has no PIN pad of its own."""

    code = "no-pin-pad"

    def __init__(self, slot: str) -> None:
        super().__init__(
            f"The reader of the {slot} slot has no PIN pad: type the PIN on the keyboard, "
            "or use a reader with a pad.",
            slot=slot,
        )


class CardMute(ReaderError):
    """The card or the link does not answer."""

    code = "card-mute"

    def __init__(self, slot: str) -> None:
        super().__init__(
            f"The card in the {slot} slot does not answer: take it out, check which way up it is "
            "and insert it again.",
            slot=slot,
        )


class CardProtocolError(ReaderError):
    """The card answers something ISO 7816 does not allow, or never comes to an end."""

    code = "card-protocol"

    def __init__(self, slot: str, what: str) -> None:
        super().__init__(
            f"The card in the {slot} slot does not speak as a card should ({what}): "
            "insert it again, then try another card.",
            slot=slot,
        )
