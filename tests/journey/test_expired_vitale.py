"""An expired Vitale is refused when it is read: nothing is signed, nothing is kept, no right is read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.desk import Desk
from gateway.errors import CardRefusal
from gateway.exchange.calendar import legal_day
from gateway.pipeline import bill
from gateway.practice import Practice
from reader.emulated import EmulatedReader
from reader.trace import Trace
from tools.bench import TEST_PIN


def test_expired_yesterday_and_on_its_last_day(
    practice: Practice, desk: Desk, reader: EmulatedReader
) -> None:
    """Yesterday was the last day: refused before any signature. Today is the last day: kept."""
    today = legal_day(practice.clock.now())
    act = CareAct(date=today, acts=(Act("G"),))
    cps = desk.unlock(TEST_PIN)
    trace = Trace()
    reader.observe(trace)
    with desk.vitale() as vitale:
        vitale.validity_end = today - timedelta(days=1)
        with pytest.raises(CardRefusal, match="has expired") as refused:
            bill(practice, cps, vitale, act)
        assert refused.value.code == "vitale-expired"
        assert not [line for line in trace.lines() if "SIGNATURE" in line or "AUTHENTICATE" in line]
        assert not practice.store.fse_list()
        vitale.validity_end = today
        bill(practice, cps, vitale, act)
    assert len(practice.store.fse_list()) == 1
