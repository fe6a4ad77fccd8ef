"""Mode 4: the Vitale seals now, the CPS signs later, over the same digest; nothing is lost in between."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gateway.errors import CardRefusal, GatewayError, InputError, StoreError
from gateway.exchange.calendar import send_deadline
from gateway.later import sign_waiting
from gateway.lots.fse import Fse
from gateway.lots.half_sealed import HalfSealed
from gateway.office import bill_act
from tools.bench import PRACTICE

if TYPE_CHECKING:
    from tests.flows.flow import Flow

OTHER = "cps-gp-sector2"


def later(flow: Flow, profile: str = "vitale-single", **changes: object) -> int:
    """One desynchronised sheet; its number."""
    flow.put("Vitale", profile)
    data: dict[str, Any] = {
        "date": str(flow.today), "acts": [{"code": "G"}], "third_party": "amo", "mode": "desynchronised",
        **changes,
    }  # fmt: skip
    return bill_act(flow.practice, flow.desk, data).number


def test_sealed_now_signed_later(flow: Flow) -> None:
    """Kept as waiting and in no lot; signed in one go; then sent, accepted and paid like any other."""
    flow.unlock()
    numbers = [later(flow) for _ in range(3)]
    store = flow.practice.store
    assert {row.state.value for row in store.fse_list()} == {"AWAITING_CPS"}
    assert flow.lots() == []
    assert "3 FSE wait for the signature" in store.status()
    assert store.counts().fse["AWAITING_CPS"] == 3
    assert sign_waiting(flow.practice, flow.desk.cps) == 3
    assert store.fse_awaiting(PRACTICE) == []
    fse = Fse.parse(store.fse_bodies(PRACTICE, numbers)[0])
    assert fse.mode == 4
    assert [lot.count for lot in flow.lots()] == [3]
    flow.days(4)
    assert {row.state.value for row in store.fse_list()} == {"PAID"}


def test_the_same_digest(flow: Flow) -> None:
    """What the CPS signs is what the Vitale has sealed: the records do not change in between."""
    flow.unlock()
    later(flow)
    store = flow.practice.store
    half = HalfSealed.parse(store.fse_bodies(PRACTICE, [1])[0])
    assert HalfSealed.parse(half.to_bytes()) == half
    flow.clock.advance(timedelta(days=2))
    sign_waiting(flow.practice, flow.desk.cps)
    fse = Fse.parse(store.fse_bodies(PRACTICE, [1])[0])
    assert (fse.digest, fse.invoice.seal) == (half.draft.digest, half.seal)
    with pytest.raises(InputError, match="or is signed"):
        HalfSealed.parse(fse.to_bytes())


def test_made_with_the_card_of_a_colleague(flow: Flow) -> None:
    """A CPS opens the Vitale for a professional who is away, seen here before; only that one's CPS signs."""
    flow.unlock(OTHER)
    flow.bill()
    away = flow.row(1).practitioner
    flow.unlock()
    number = later(flow, practitioner={"place": away})
    assert flow.row(number).practitioner == away
    assert sign_waiting(flow.practice, flow.desk.cps) == 0
    flow.unlock(OTHER)
    assert sign_waiting(flow.practice, flow.desk.cps) == 1
    assert flow.row(number).state.value == "SIGNED"
    view = Fse.parse(flow.practice.store.fse_bodies(PRACTICE, [number])[0]).view()
    assert view.national_id == flow.desk.cps.holder.national_id


def test_a_professional_who_was_never_seen(flow: Flow) -> None:
    """Nothing is known of a place whose card was never here: refused, and nothing is kept."""
    flow.unlock()
    with pytest.raises(GatewayError) as caught:
        later(flow, practitioner={"place": "999999999"})
    assert caught.value.code == "place-unknown"
    assert flow.practice.store.fse_list() == []


def test_secured_needs_its_own_card(flow: Flow) -> None:
    """The place of another one with mode secured: that CPS has to be there."""
    flow.unlock(OTHER)
    flow.bill()
    away = flow.row(1).practitioner
    flow.unlock()
    with pytest.raises(CardRefusal) as caught:
        later(flow, mode="secured", practitioner={"place": away})
    assert caught.value.code == "card-needed"


def test_signed_once(flow: Flow) -> None:
    """A sheet that is signed is not signed again, whatever it is given."""
    flow.unlock()
    later(flow)
    sign_waiting(flow.practice, flow.desk.cps)
    body = flow.practice.store.fse_bodies(PRACTICE, [1])[0]
    with pytest.raises(StoreError) as caught:
        flow.practice.store.sign_fse(PRACTICE, 1, body)
    assert caught.value.code == "state"
    assert sign_waiting(flow.practice, flow.desk.cps) == 0


def test_the_legal_clock_runs(flow: Flow) -> None:
    """The clock started with the care: a sheet that waits past its day is LATE, signed or not."""
    flow.unlock()
    later(flow)
    assert flow.row(1).deadline == send_deadline(flow.today, third_party=True)
    assert flow.practice.store.counts().late == 0
    flow.clock.advance(timedelta(days=20))
    assert flow.practice.store.counts().late == 1
    assert "LATE" in flow.practice.store.status()


def test_its_demand_is_signed_with_it(flow: Flow) -> None:
    """The DRE waits with its sheet, is signed in the same go, and both are paid."""
    flow.unlock()
    later(flow, "vitale-complementary", third_party="full", complementary="amc")
    assert flow.row(1).amc_state == "AWAITING_CPS"
    sign_waiting(flow.practice, flow.desk.cps)
    assert flow.row(1).amc_state == "SIGNED"
    assert len(flow.lots()) == 2
    flow.days(7)
    assert (flow.row(1).state.value, flow.row(1).amc_state) == ("PAID", "PAID")


def test_cancelled_while_it_waits(flow: Flow) -> None:
    """What waits can be withdrawn; the CPS does not sign it then."""
    flow.unlock()
    later(flow, "vitale-complementary", third_party="full", complementary="amc")
    flow.practice.store.cancel(PRACTICE, 1, "by mistake")
    assert (flow.row(1).state.value, flow.row(1).amc_state) == ("CANCELLED", "CANCELLED")
    assert sign_waiting(flow.practice, flow.desk.cps) == 0
    assert flow.lots() == []
