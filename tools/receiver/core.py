"""The receiver without its network: one message in, one answer out, everything durable in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tools.receiver.answers import Answer


class Receiver:
    """Opens, verifies, decides and records lots."""

    def handle(self, raw: bytes) -> Answer:
        """Examine one message and record it in one transaction."""
        return self.record([self.examine(raw)])[0]

    def examine(self, raw: bytes) -> Any:
        """Everything that needs no ledger: runs in any thread."""
        raise NotImplementedError

    def record(self, batch: Sequence[Any]) -> list[Answer]:
        """Record examined messages in ONE transaction: the only writer calls this."""
        raise NotImplementedError
