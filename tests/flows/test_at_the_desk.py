"""What is paid at the desk: a step of its own after third-party payment, and who obliges to spare it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.care import CareAct
from gateway.errors import InputError
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


def test_the_day_of_the_accident_is_on_the_sheet(flow: Flow) -> None:
    """Care of nature at says when the accident was: B2 86-94 has it; without it there are zeros."""
    flow.unlock(DOCTOR)
    flow.put("Vitale", "vitale-single")
    day = flow.today - timedelta(days=9)
    for given, written in ((day.isoformat(), f"{day:%y%m%d}000"), (None, "0" * 9)):
        act = {"date": str(flow.today), "acts": [{"code": "G"}], "nature": "at", "accident_date": given}
        number = bill_act(flow.practice, flow.desk, act).number
        [kept] = flow.practice.store.fse_bodies(PRACTICE, [number])
        record = next(line for line in Fse.parse(kept).records.split(b"\r\n") if line[:1] == b"2")
        assert record[85:94].decode() == written


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"nature": "maladie", "accident_date": "2026-01-05"}, "only care of nature at has one"),
        ({"nature": "at", "accident_date": "2999-01-01"}, "the accident is after the care"),
        ({"nature": "at", "accident_date": "yesterday"}, "write it as YYYY-MM-DD"),
        ({"nature": "at", "accident_date": 20260105}, "write it as YYYY-MM-DD"),
    ],
)
def test_a_day_that_is_no_accident_s(more: dict[str, object], said: str) -> None:
    """Another nature, a day after the care, what is no day: refused and named; a good one is kept."""
    act = {"date": "2026-11-20", "acts": [{"code": "G"}]}
    with pytest.raises(InputError, match=r"^accident_date: ") as refused:
        CareAct.from_json({**act, **more})
    assert said in str(refused.value)
    good = CareAct.from_json({**act, "nature": "at", "accident_date": "2026-11-20"})
    assert CareAct.from_json(good.to_json()) == good
