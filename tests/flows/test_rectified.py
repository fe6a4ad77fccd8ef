"""A refused sheet is made anew under a new number; one that is in no lot yet can be withdrawn."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from card.personalise import load_profile
from card.profile import InsuredProfile
from gateway.errors import StoreError
from gateway.exchange.calendar import add_working_days
from gateway.later import rectify
from gateway.lots.fse import Fse, Rectified
from gateway.pipeline import bill
from gateway.store.rows import Outcome, Payment
from tools.bench import PRACTICE

if TYPE_CHECKING:
    from tests.flows.flow import Flow

FULL: dict[str, Any] = {"third_party": "full", "complementary": "amc"}


def forget_patient(flow: Flow, profile: str = "vitale-single") -> None:
    """The caisse no longer knows this person."""
    person = load_profile(profile)
    assert isinstance(person, InsuredProfile)
    flow.files_say(f'[[insured]]\nnir = "{person.nir}"\nknown = false\n')


def refused_sheet(flow: Flow, **changes: object) -> None:
    """Sheet 1 is refused by the caisse (nobody of that name), then the caisse knows the person again."""
    flow.unlock()
    forget_patient(flow)
    flow.bill(third_party="none", **changes)
    flow.lots()
    flow.days(4)
    flow.files_say()
    assert flow.row(1).state.value == "PAYMENT_REJECTED"


def test_a_refused_sheet_is_made_anew(flow: Flow) -> None:
    """New number, the old one named in 7H, the same care; one ends as RECTIFIED, one lives."""
    refused_sheet(flow)
    flow.put("Vitale", "vitale-single")
    billed = rectify(flow.practice, flow.desk, 1)
    assert billed.number == 2
    fse = Fse.parse(flow.practice.store.fse_bodies(PRACTICE, [2])[0])
    assert fse.invoice.rectifies == 1
    old, new = flow.row(1), flow.row(2)
    assert (old.state.value, new.state.value, new.rectifies) == ("RECTIFIED", "SIGNED", 1)
    assert (old.base_cents, old.label) == (new.base_cents, new.label)
    assert old.reason == "rectified by FSE 2"
    assert new.deadline == add_working_days(flow.today, 2) > old.deadline
    flow.lots()
    assert flow.row(2).state.value == "ACCEPTED"


def test_with_another_care_act(flow: Flow) -> None:
    """The corrected act takes the place of the kept one, and is paid."""
    refused_sheet(flow)
    flow.put("Vitale", "vitale-single")
    corrected = {"date": str(flow.today - timedelta(days=4)), "acts": [{"code": "TCG"}], "third_party": "amo"}
    rectify(flow.practice, flow.desk, 1, corrected | {"beneficiary": {"last_seen": "2026-10-01"}})
    assert flow.row(2).label == "TCG"
    flow.lots()
    flow.days(4)
    assert (flow.row(2).state.value, flow.row(1).state.value) == ("PAID", "RECTIFIED")


def test_only_once_and_only_what_was_refused(flow: Flow) -> None:
    """A sheet that is rectified, on its way or paid is not rectified (again); nothing new is kept."""
    refused_sheet(flow)
    flow.put("Vitale", "vitale-single")
    rectify(flow.practice, flow.desk, 1)
    for number in (1, 2):
        with pytest.raises(StoreError) as caught:
            rectify(flow.practice, flow.desk, number)
        assert caught.value.code == "state"
    flow.lots()
    with pytest.raises(StoreError):
        rectify(flow.practice, flow.desk, 2)
    assert len(flow.practice.store.fse_list()) == 2


def test_never_paid_twice(flow: Flow) -> None:
    """A payment that comes for the rectified sheet moves nothing: a person looks at it."""
    refused_sheet(flow)
    lot = flow.practice.store.lot_list()[0]
    flow.put("Vitale", "vitale-single")
    rectify(flow.practice, flow.desk, 1)
    late = Payment(1, lot.lot_number, True, amo_cents=2100, lot_date=lot.lot_date)
    [outcome] = flow.practice.store.post_payment([late], b"late", "k", PRACTICE)
    assert outcome.outcome is Outcome.CONTRADICTED
    assert (flow.row(1).state.value, flow.row(1).paid_amo_cents) == ("RECTIFIED", 0)
    assert flow.practice.store.counts().unmatched == 1


def test_the_caisse_pays_no_rectification_of_what_it_paid(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that rectified a paid sheet all the same gets 2900 005 for the new one."""
    flow.unlock()
    flow.bill()
    flow.lots()
    flow.days(4)
    assert flow.row(1).state.value == "PAID"
    monkeypatch.setattr("gateway.store.flows._rectified", lambda *_: None)
    with flow.patient() as vitale:
        bill(flow.practice, flow.desk.cps, vitale, flow.act(), rectified=Rectified(1, flow.row(1).elaborated))
    flow.lots()
    flow.days(4)
    assert (flow.row(2).state.value, flow.row(2).paid_amo_cents) == ("PAYMENT_REJECTED", 0)
    assert flow.row(2).reason.startswith("2900005")


def test_a_card_that_is_missing_changes_nothing(flow: Flow) -> None:
    """The mode asks for both cards: without the Vitale the refused sheet stays as it is."""
    refused_sheet(flow)
    flow.put("Vitale")
    with pytest.raises(Exception, match="Vitale"):
        rectify(flow.practice, flow.desk, 1)
    assert [row.state.value for row in flow.practice.store.fse_list()] == ["PAYMENT_REJECTED"]


def test_a_share_on_its_way_comes_first(flow: Flow) -> None:
    """The caisse refuses, the DRE is open: its insurer answers first, and is not asked twice."""
    flow.unlock()
    flow.bill("vitale-complementary", **FULL)
    store = flow.practice.store
    flow.lots()
    lot = next(lot for lot in store.lot_list() if lot.destination.startswith("01"))
    refusal = Payment(1, lot.lot_number, False, code="0250050", lot_date=lot.lot_date)
    store.post_payment([refusal], b"no", "k", PRACTICE)
    flow.put("Vitale", "vitale-complementary")
    with pytest.raises(StoreError) as caught:
        rectify(flow.practice, flow.desk, 1)
    assert caught.value.code == "share-open"
    demands = next(lot for lot in store.lot_list() if lot.destination.startswith("amc"))
    paid = Payment(1, demands.lot_number, True, amc_cents=900, lot_date=demands.lot_date, complementary=True)
    [posted] = store.post_payment([paid], b"yes", "k", PRACTICE)
    assert (posted.outcome, flow.row(1).amc_state) == (Outcome.POSTED, "PAID")
    billed = rectify(flow.practice, flow.desk, 1)
    assert (billed.demand, flow.row(billed.number).amc_state) == ("", "")
    assert (flow.row(1).state.value, flow.row(1).amc_state) == ("RECTIFIED", "PAID")


def test_cancelled_before_its_lot(flow: Flow) -> None:
    """Withdrawn with its DRE: it goes into no lot, its number never comes back, twice is refused."""
    flow.unlock()
    flow.bill("vitale-complementary", **FULL)
    flow.practice.store.cancel(PRACTICE, 1, "billed by mistake")
    row = flow.row(1)
    assert (row.state.value, row.amc_state, row.reason) == ("CANCELLED", "CANCELLED", "billed by mistake")
    assert flow.bill().number == 2
    assert [lot.count for lot in flow.lots()] == [1]
    for number in (1, 2):
        with pytest.raises(StoreError) as caught:
            flow.practice.store.cancel(PRACTICE, number, "")
        assert caught.value.code == "state"
    with pytest.raises(StoreError) as caught:
        flow.practice.store.cancel(PRACTICE, 9, "")
    assert caught.value.code == "unknown"
