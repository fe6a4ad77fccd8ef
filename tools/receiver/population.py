"""The caisse's files at the start: everybody on the shipped card profiles, cards and base in agreement."""

from __future__ import annotations

from gateway.billing.request import Practitioner
from tools.receiver.insured import InsuredBase


def known_insured() -> InsuredBase:
    """Every beneficiary of the shipped Vitale profiles and attestations."""
    return InsuredBase(())


def known_practitioners() -> dict[str, Practitioner]:
    """Billing number (9 digits) → billing situation, from the shipped CPS profiles."""
    return {}
