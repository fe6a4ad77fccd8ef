"""A Vitale whose last day has passed is refused; on its last day it is still valid."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.cards.vitale import VitaleSession
from gateway.errors import CardRefusal


@pytest.mark.parametrize("days", [0, 1, 3650])
def test_valid_to_its_last_day(bench, days):
    """The twin: today is the last day, or long before."""
    session = VitaleSession.open(bench.connect("Vitale"))
    session.check_validity(session.validity_end - timedelta(days=days))


@pytest.mark.parametrize("days", [1, 400])
def test_expired_from_the_day_after(bench, days):
    """One sentence: which slot, what is wrong, what to do."""
    session = VitaleSession.open(bench.connect("Vitale"))
    with pytest.raises(CardRefusal, match="Vitale in the Vitale slot has expired: bill without") as refused:
        session.check_validity(session.validity_end + timedelta(days=days))
    assert refused.value.code == "vitale-expired"
