"""A price with the cards at the desk: what billing would give, with nothing signed, numbered or kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.api.client import ApiProblem, Client

if TYPE_CHECKING:
    from conftest import Rig

AMOUNTS = ("base_cents", "amo_cents", "amc_cents", "patient_cents", "excess_cents", "why")


def test_the_price_is_that_of_the_sheet(rig: Rig, client: Client) -> None:
    """The same amounts and reasons as the sheet that is billed next, for another person of the card too."""
    for act in (rig.act(), rig.act(beneficiary={"number": 3}, acts=[{"code": "G", "charged_cents": 3500}])):
        before = client.price_at_desk(act)
        billed = client.bill(act)
        assert {name: before[name] for name in AMOUNTS} == {name: billed[name] for name in AMOUNTS}
    assert [row["number"] for row in client.sheets()["items"]] == [2, 1]  # no number was used for a price


def test_a_price_is_refused_as_the_sheet_would_be(rig: Rig, client: Client) -> None:
    """No Vitale, a locked CPS, a person who is not on the card, another practice's token: the same codes."""
    with pytest.raises(ApiProblem) as refused:
        client.price_at_desk(rig.act(beneficiary={"number": 9}))
    assert refused.value.code == "input"
    with pytest.raises(ApiProblem) as refused:
        rig.client(rig.stranger).price_at_desk(rig.act())
    assert refused.value.code == "other-practice"
    rig.reader.slot("Vitale").remove()
    with pytest.raises(ApiProblem) as refused:
        client.price_at_desk(rig.act())
    assert refused.value.code == "no-card"
    client.close_session()
    with pytest.raises(ApiProblem) as refused:
        client.price_at_desk(rig.act())
    assert refused.value.code == "pin-needed"
