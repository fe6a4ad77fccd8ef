"""What can go wrong, in words a person can act on. Never a NIR, a name or a PIN in a text."""

from __future__ import annotations


class GatewayError(Exception):
    """One clear sentence: what is wrong, where (slot, card, field, lot), and what to do next.

    `code` is a short stable word for programs, listed in the README of the room.
    """

    code = "gateway"

    def __init__(self, sentence: str, *, code: str | None = None) -> None:
        super().__init__(sentence)
        if code is not None:
            self.code = code


class InputError(GatewayError):
    """A care act, a file or a setting is not usable as given; the sentence names the field."""

    code = "input"


class CardRefusal(GatewayError):
    """A card (or its absence) stops the work: wrong card, wrong PIN, blocked, withdrawn, opposed."""

    code = "card"


class TrustError(GatewayError):
    """A certificate, a signature or an envelope is not to be trusted."""

    code = "trust"


class ExchangeError(GatewayError):
    """Sending or receiving failed; nothing is lost and it will be tried again."""

    code = "exchange"


class StoreError(GatewayError):
    """The durable store cannot keep what it is given (disk full, damaged, already in use)."""

    code = "store"
