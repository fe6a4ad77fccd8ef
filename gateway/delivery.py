"""The second half of the line: send what is due, resend what got no receipt, post what came back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.clock import Clock, Rng
from gateway.store.rows import Payment, ReceiptLike
from gateway.store.store import Store


class Sender(Protocol):
    """Hands one mail to the relay (gateway.exchange.smtp.SmtpSender)."""

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Return only when the relay took it; raise Transient or Permanent."""
        ...


class Mailbox(Protocol):
    """Where returns arrive (gateway.exchange.mailbox.Maildir)."""

    def pending(self, limit: int | None = None) -> list[tuple[str, bytes]]:
        """Messages not yet dealt with."""
        ...

    def done(self, key: str) -> None:
        """This one is dealt with."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A return message, opened and verified: its receipts or its payments, and the file they were in."""

    content: bytes = field(repr=False)
    receipts: Sequence[ReceiptLike] = ()
    payments: Sequence[Payment] = field(default=(), repr=False)


Opener = Callable[[bytes], Opened]
"""Opens one raw message; raises TrustError or InputError with the reason when it is not to be believed."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one pass of sending did."""

    sent: int = 0
    failed: int = 0
    parked: int = 0
    overdue: int = 0


@dataclass(frozen=True, slots=True)
class Collected:
    """What one pass over the mailbox did."""

    posted: int = 0
    repeated: int = 0
    unmatched: int = 0
    unreadable: int = 0


def send_due(
    store: Store, sender: Sender, clock: Clock, rng: Rng, *, envelope_from: str, limit: int = 20
) -> Sent:
    """One pass: mark overdue lots, claim what is due, send the same bytes, note what happened."""
    raise NotImplementedError


def collect(store: Store, mailbox: Mailbox, opener: Opener, practice: str, limit: int = 100) -> Collected:
    """One pass: open each pending message and post it; a message that fails does not stop the rest."""
    raise NotImplementedError
