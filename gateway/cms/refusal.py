"""The one refusal of this room: the same words whatever was wrong (promise A9)."""

from __future__ import annotations

from gateway.errors import TrustError

SENTENCE = "the message could not be opened and verified: ask the sender to seal and send it again"


class Refused(TrustError):
    """A message that was not opened or not believed. `str()` never varies; `reason` is for the local audit.

    Never show `reason` to the peer: a difference between two answers is an oracle (RFC 3218).
    """

    code = "refused"

    def __init__(self, reason: str) -> None:
        super().__init__(SENTENCE)
        self.reason = reason
