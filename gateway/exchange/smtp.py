"""Sending mail over SMTP with a session kept open, a deadline for the whole call, and loopback only."""

from __future__ import annotations

from gateway.errors import ExchangeError


class Transient(ExchangeError):
    """Not sent this time, or not known to be: send the same bytes again later.

    `uncertain` is True when the reply after the final dot was lost, so the receiver may have it.
    """

    code = "transient"

    def __init__(self, sentence: str, *, uncertain: bool = False) -> None:
        super().__init__(sentence)
        self.uncertain = uncertain


class Permanent(ExchangeError):
    """Refused for good: sending the same bytes again will not help."""

    code = "permanent"


class SmtpSender:
    """One SMTP session to one relay, opened at need and reused."""

    def __init__(self, host: str, port: int, timeout: float = 30.0, *, allow_remote: bool = False) -> None:
        raise NotImplementedError

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Hand one message over; returns only when the relay said 250. Raises Transient or Permanent."""
        raise NotImplementedError

    def close(self) -> None:
        """Say QUIT and close; never raises."""
        raise NotImplementedError
