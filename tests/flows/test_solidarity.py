"""Solidarity covers and dated exemptions, from the card to the payment: other payers, other days."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from gateway.billing.exemption import Exemption
from gateway.cards.rights import Beneficiary
from gateway.care import CareAct
from gateway.entitlement import entitlements
from gateway.errors import InputError
from gateway.lots.fse import Fse, FseView
from gateway.office import bill_act
from tests.flows.test_without_vitale import attestation
from tools.bench import PRACTICE

if TYPE_CHECKING:
    from tests.flows.flow import Flow

CONTRIBUTION, INSURER = "vitale-css-contribution", "vitale-css-insurer"
YEAR = {"start": "2026-01-01", "end": "2026-12-31"}


def view(flow: Flow, number: int) -> FseView:
    """What a kept sheet says."""
    return Fse.parse(flow.practice.store.fse_bodies(PRACTICE, [number])[0]).view()


def test_with_contribution(flow: Flow) -> None:
    """The person pays for the cover: its own contract type, nothing at the desk, all paid by the caisse."""
    flow.unlock()
    billed = flow.bill(CONTRIBUTION, third_party="none")
    assert (billed.price.third_party, billed.price.patient_cents, billed.demand) == ("full", 0, "")
    said = view(flow, billed.number)
    assert (said.contract_type, said.complementary_number, said.amo_cents) == ("82", "", 3000)
    flow.lots()
    flow.days(3)
    assert (flow.row(1).state.value, flow.row(1).paid_amo_cents) == ("PAID", 3000)


def test_run_by_an_insurer(flow: Flow) -> None:
    """The caisse pays its 70 %, its insurer the rest by DRE (109.4 is 62); nothing at the desk."""
    flow.unlock()
    billed = flow.bill(INSURER, third_party="none")
    assert (billed.price.patient_cents, billed.demand) == (0, "amc-0099999997")
    said = view(flow, billed.number)
    assert (said.contract_type, said.amo_cents, said.amc_cents) == ("81", 2100, 900)
    flow.lots()
    assert {answer.positive for answer in flow.answers} == {True}, flow.answers
    flow.days(7)
    row = flow.row(1)
    assert (row.state.value, row.amc_state, row.paid_amo_cents, row.paid_amc_cents) == (
        "PAID",
        "PAID",
        2100,
        900,
    )


def on_paper(flow: Flow, **css: Any) -> FseView:
    """A sheet on an attestation that shows this cover."""
    paper = attestation(ame=False)
    paper["beneficiary"][0] |= {"css": {**YEAR, **css}}
    act = {"date": str(flow.today), "acts": [{"code": "G"}], "attestation": paper}
    return view(flow, bill_act(flow.practice, flow.desk, act).number)


def test_the_attestation_tells_them_apart(flow: Flow) -> None:
    """Free, with contribution, run by an insurer: the words of the attestation give the codes of a card."""
    flow.unlock()
    free, paid, convention = (
        on_paper(flow, **css) for css in ({}, {"contribution": True}, {"run_by": "convention"})
    )
    assert [one.contract_type for one in (free, paid, convention)] == ["81", "82", "81"]
    assert [(one.amo_cents, one.amc_cents) for one in (free, paid, convention)] == [
        (3000, 0), (3000, 0), (2100, 900),
    ]  # fmt: skip
    with pytest.raises(
        InputError, match=r"beneficiary\[0\].css.run_by: give one of amo, convention, insurer"
    ):
        on_paper(flow, run_by="nobody")


def people(flow: Flow, profile: str) -> Beneficiary:
    """The first person of a card."""
    with flow.patient(profile) as vitale:
        vitale.authenticate(flow.desk.cps)
        return vitale.read_rights().beneficiaries[0]


def test_a_long_illness_that_ended(flow: Flow) -> None:
    """The card keeps the days of the exemption: its last day is at 100 %, a later claim is refused."""
    flow.unlock()
    person = people(flow, "vitale-ald-ended")
    assert entitlements(person) == (Exemption("ald", date(2016, 1, 1), date(2025, 12, 31)),)
    with pytest.raises(InputError, match=r"beneficiary\.ald: the Vitale shows no long illness"):
        flow.bill("vitale-ald-ended", ald=True)
    last = flow.bill("vitale-ald-ended", ald=True, date=date(2025, 12, 31))
    assert (last.price.amo_cents, last.price.exemption_code) == (3000, "4")
    assert flow.bill("vitale-ald-ended").price.amo_cents == 2100


def test_maternity_is_on_the_card(flow: Flow) -> None:
    """The card shows its period: all care at 100 %, nature 30, no advance."""
    flow.unlock()
    assert entitlements(people(flow, "vitale-maternity"))[0].kind == "maternity"
    billed = flow.bill("vitale-maternity", third_party="none")
    assert (billed.price.nature_code, billed.price.third_party, billed.price.patient_cents) == (
        "30",
        "amo",
        0,
    )


def test_a_degraded_sheet_has_no_demand(flow: Flow) -> None:
    """Nobody signs it, so no DRE: the caisse hands the share on, and the paper says so."""
    flow.unlock()
    paper = attestation(ame=False)
    amc = {"number": "99999998", "member": "TESTMEMBER9", "contract": "tm100", "treatment": "22", **YEAR}
    paper["beneficiary"][0] |= {"amc": amc}
    act = {"date": str(flow.today), "acts": [{"code": "G"}], "third_party": "full", "attestation": paper}
    degraded = bill_act(flow.practice, flow.desk, act | {"mode": "degraded"})
    signed = bill_act(flow.practice, flow.desk, act)
    assert (degraded.demand, signed.demand) == ("", "amc-0099999998")
    assert [flow.row(one.number).amc_state for one in (degraded, signed)] == ["RELAYED", "SIGNED"]
    texts = [flow.practice.store.twin_of(PRACTICE, one.number) for one in (degraded, signed)]
    words = "Part complémentaire : transmise par la caisse à 99999998, sans DRE."
    assert [words in text for text in texts] == [True, False]
    assert max(len(line) for text in texts for line in text.splitlines()) <= 70


def test_what_was_billed_this_year(flow: Flow) -> None:
    """The fourth advice of a year passes, the fifth is refused; the act keeps what was said."""
    flow.unlock()
    act = {"date": str(flow.today), "acts": [{"code": "TE2"}]}
    said = CareAct.from_json(act | {"beneficiary": {"billed_this_year": {"TE2": 3}}})
    assert CareAct.from_json(json.loads(json.dumps(said.to_json()))) == said
    flow.put("Vitale", "vitale-single")
    billed = bill_act(flow.practice, flow.desk, said.to_json())
    assert (billed.price.amo_cents, billed.price.patient_cents) == (2300, 0)
    with pytest.raises(InputError, match="at most 4 times a year"):
        bill_act(flow.practice, flow.desk, act | {"beneficiary": {"billed_this_year": {"TE2": 4}}})
    flow.lots()
    assert [answer.positive for answer in flow.answers] == [True]
    flow.days(3)
    assert flow.row(billed.number).state.value == "PAID"
