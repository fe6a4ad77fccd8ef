"""A running receiver: SMTP door, crypto threads, one writer, one outbox. For the demo and the CLI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.receiver.config import ReceiverConfig

if TYPE_CHECKING:
    from tools.receiver.ledger import Ledger


@dataclass
class RunningReceiver:
    """A receiver that listens on `port` until `stop()`; `ledger` may be asked at any time."""

    port: int
    ledger: Ledger

    def stop(self) -> None:
        """Finish what is in hand, close the door, deliver what is due; may be called twice."""
        raise NotImplementedError


def start_receiver(config: ReceiverConfig) -> RunningReceiver:
    """Start serving on loopback in background threads."""
    raise NotImplementedError
