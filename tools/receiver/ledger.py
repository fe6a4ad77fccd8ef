"""The receiver's ledger."""

from __future__ import annotations


class Ledger:
    """What was received, answered, decided and paid."""
