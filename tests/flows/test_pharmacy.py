"""A pharmacy's invoice goes to both payers: medicines by CIP, each at its rate, FSE and DRE as a pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from gateway.errors import InputError
from gateway.lots.fse import Fse
from gateway.pipeline import bill
from tests.flows.flow import PHARMACIST
from tools.bench import PRACTICE

if TYPE_CHECKING:
    from tests.flows.flow import Flow

PATIENT = "vitale-complementary"
FULL: dict[str, Any] = {"third_party": "full", "complementary": "amc"}
IMPORTANT, MODERATE, WEAK = "3400936485464", "3400930168592", "3400930116791"
"""Rates 65, 30 and 15 %, at 1.16, 7.23 and 8.25 euros a box."""
PRESCRIPTION = (IMPORTANT, "HD7", MODERATE, "HD4", WEAK)


def dispense(flow: Flow, *codes: str, **changes: Any) -> int:
    """One invoice of the pharmacy; its number."""
    flow.unlock(PHARMACIST)
    with flow.patient(PATIENT) as vitale:
        act = flow.act(*(codes or PRESCRIPTION), **(FULL | changes))
        return bill(flow.practice, flow.desk.cps, vitale, act).number


def test_both_payers(flow: Flow) -> None:
    """The caisse pays its rate of each line, the insurer the rest, the patient nothing: cent by cent."""
    number = dispense(flow)
    row = flow.row(number)
    assert row.base_cents == 116 + 102 + 723 + 102 + 825 == row.amo_cents + row.amc_cents
    assert row.amo_cents == 75 + 66 + 217 + 31 + 124
    assert row.patient_cents == 0
    flow.lots()
    assert {answer.positive for answer in flow.answers} == {True}
    flow.days(7)
    row = flow.row(number)
    assert (row.state.value, row.paid_amo_cents) == ("PAID", row.amo_cents)
    assert (row.amc_state, row.paid_amc_cents) == ("PAID", row.amc_cents)


def test_the_codes_are_on_both_halves(flow: Flow) -> None:
    """Each box stands with its CIP in 4F and its own rate, in the FSE and in the DRE alike."""
    number = dispense(flow)
    store = flow.practice.store
    fse, dre = (
        Fse.parse(store.fse_bodies(PRACTICE, [number], demands=demands)[0]).view()
        for demands in (False, True)
    )
    assert [(line.code, line.rate) for line in fse.lines] == [
        (IMPORTANT, 65), ("HD7", 65), (MODERATE, 30), ("HD4", 30), (WEAK, 15),
    ]  # fmt: skip
    assert [line.code for line in dre.lines] == [line.code for line in fse.lines]
    assert [line.amc_cents for line in dre.lines] == [line.amc_cents for line in fse.lines]
    assert {line.amo_cents for line in dre.lines} == {0}


def test_the_amo_share_alone(flow: Flow) -> None:
    """Third-party payment of the AMO share: no DRE, the patient pays the rest at the counter."""
    number = dispense(flow, third_party="amo")
    row = flow.row(number)
    assert (row.amc_state, row.patient_cents) == ("", row.base_cents - row.amo_cents)
    assert len(flow.lots()) == 1
    flow.days(4)
    assert flow.row(number).state.value == "PAID"


def test_a_doctor_dispenses_nothing(flow: Flow) -> None:
    """Medicines are billed by a pharmacy: the same prescription with a doctor's card is refused."""
    flow.unlock()
    with pytest.raises(InputError):
        flow.bill(PATIENT, acts=flow.act(*PRESCRIPTION).acts, **FULL)
    assert flow.practice.store.fse_list() == []


def test_a_day_at_the_counter(open_world: Callable[..., Flow]) -> None:
    """Sixty invoices: 37 and 23 by their records, 50 and 10 DRE by count; every cent is paid once."""
    flow = open_world()
    numbers = [dispense(flow) for _ in range(60)]
    lots = flow.lots()
    assert sorted(lot.count for lot in lots) == [10, 23, 37, 50]
    flow.days(7)
    rows = [flow.row(number) for number in numbers]
    assert {(row.state.value, row.amc_state) for row in rows} == {("PAID", "PAID")}
    assert sum(row.paid_amo_cents + row.paid_amc_cents for row in rows) == sum(row.base_cents for row in rows)
    assert flow.practice.store.counts().unmatched == 0
