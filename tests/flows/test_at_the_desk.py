"""What is paid at the desk: a step of its own after third-party payment, and who obliges to spare it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.lots.fse import Fse
from gateway.office import accepted, bill_act
from tests.flows.flow import DOCTOR, PHARMACIST
from tools.bench import PRACTICE

if TYPE_CHECKING:
    from tests.flows.flow import Flow

MUTUELLE = "vitale-complementary"
CASES = {
    "nothing asked: all is paid at the desk": ("vitale-single", DOCTOR, "G", "none", "none", 3000),
    "the caisse's share is spared: the ticket modérateur is left": (
        "vitale-single", DOCTOR, "G", "amo", "amo", 900,
    ),
    "both shares are spared": (MUTUELLE, DOCTOR, "G", "full", "full", 0),
    "solidarity cover: nobody asks, the law does": (
        "vitale-css-contribution", DOCTOR, "G", "none", "full", 0,
    ),
    "maternity: no advance": ("vitale-maternity", DOCTOR, "G", "none", "amo", 0),
    "organised screening: no advance for anybody of that age": (
        "vitale-ald-ended", PHARMACIST, "RKD", "none", "amo", 0,
    ),
    "advice at a distance: no advance": ("vitale-single", DOCTOR, "TE2", "none", "amo", 0),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_answer_says_what_is_paid_at_the_desk(flow: Flow, case: str) -> None:
    """The answer to a bill: cents at the desk and why; the sheet has the third-party payment done."""
    patient, professional, code, asked, done, cents = CASES[case]
    flow.unlock(professional)
    flow.put("Vitale", patient)
    act = {"date": str(flow.today), "acts": [{"code": code}], "third_party": asked}
    answer = accepted(bill_act(flow.practice, flow.desk, act))
    assert answer["patient_cents"] == cents
    assert answer["patient_cents"] <= sum(line["charged_cents"] for line in answer["lines"])
    said = next(why for why in answer["why"] if why.startswith("Patient pays"))
    assert f"third-party payment {done}" in said
    assert ("due by law" in said) is (asked != done)
    view = Fse.parse(flow.practice.store.fse_bodies(PRACTICE, [answer["number"]])[0]).view()
    assert view.third_party == done


def test_screening_is_paid_by_the_caisse(flow: Flow) -> None:
    """The kit of a pharmacy: exemption 3, sent, acknowledged, paid in the column of the caisse."""
    flow.unlock(PHARMACIST)
    flow.put("Vitale", "vitale-ald-ended")
    billed = bill_act(flow.practice, flow.desk, {"date": str(flow.today), "acts": [{"code": "RKD"}]})
    [line] = Fse.parse(flow.practice.store.fse_bodies(PRACTICE, [billed.number])[0]).view().lines
    assert (line.exemption, line.rate, line.amo_cents, line.amc_cents) == ("3", 100, 300, 0)
    flow.lots()
    flow.days(3)
    row = flow.row(billed.number)
    assert (row.state.value, row.paid_amo_cents, row.amc_state) == ("PAID", 300, "")
