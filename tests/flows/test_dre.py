"""The complementary half: a DRE where the card's indicator allows one, else the caisse hands the share on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from card.personalise import load_profile
from card.profile import InsuredProfile
from gateway import signing
from gateway.errors import InputError, StoreError
from gateway.lots.demand import demand_of, is_allowed
from gateway.lots.fse import Fse
from gateway.lots.organism import Complementary
from gateway.office import bill_act
from gateway.pipeline import make_lots
from tests.flows.test_without_vitale import attestation
from tools.bench import PRACTICE

if TYPE_CHECKING:
    from tests.flows.flow import Flow

PATIENT = "vitale-complementary"
INSURER = "amc-0099999998"
FULL: dict[str, Any] = {"third_party": "full", "complementary": "amc"}


def insurers_say(flow: Flow, text: str) -> None:
    """Change both contracts of the patient at the receiver."""
    person = load_profile(PATIENT)
    assert isinstance(person, InsuredProfile)
    flow.files_say(f'[[contract]]\nnir = "{person.nir}"\n{text}\n')


@pytest.mark.parametrize(
    ("indicator", "none", "full"),
    [
        ("00", False, False), ("", False, False), ("60", False, False), ("12", True, False),
        ("13", True, False), ("22", False, True), ("23", False, True), ("32", True, True),
        ("33", True, True), ("62", False, True), ("63", False, True), ("72", False, True),
        ("73", False, True),
    ],
)  # fmt: skip
def test_the_indicator_decides(indicator: str, none: bool, full: bool) -> None:
    """109.4, code by code: outside third-party payment, and in it (billing facts 1.6)."""
    assert (is_allowed(indicator, "none"), is_allowed(indicator, "full")) == (none, full)
    assert is_allowed(indicator, "amo") is none


def test_a_demand_beside_its_sheet(flow: Flow) -> None:
    """FSE to the caisse, DRE to the insurer: own lots, own mail, own states; both halves are paid."""
    flow.unlock()
    billed = flow.bill(PATIENT, **FULL)
    assert billed.demand == INSURER
    lots = {lot.destination: lot for lot in flow.lots()}
    assert set(lots) == {"01-999-349", INSURER}
    assert lots[INSURER].recipient == "0099999998@amc.test"
    assert {answer.positive for answer in flow.answers} == {True}
    row = flow.row(1)
    assert (row.state.value, row.amc_state) == ("ACCEPTED", "ACCEPTED")
    flow.days(3)
    assert (flow.row(1).state.value, flow.row(1).amc_state) == ("PAID", "ACCEPTED")
    flow.days(4)
    row = flow.row(1)
    assert (row.amc_state, row.paid_amo_cents, row.paid_amc_cents) == ("PAID", 2100, 900)
    assert flow.practice.store.counts().unmatched == 0


def test_the_records_of_a_demand(flow: Flow) -> None:
    """The same records under the same number: the insurer's amounts only, the CPS alone."""
    flow.unlock()
    flow.bill(PATIENT, **FULL)
    store = flow.practice.store
    fse = Fse.parse(store.fse_bodies(PRACTICE, [1])[0])
    dre = Fse.parse(store.fse_bodies(PRACTICE, [1], demands=True)[0])
    ours, theirs = fse.view(), dre.view()
    assert (dre.number, dre.mode, dre.destination.key) == (fse.number, 9, INSURER)
    assert (theirs.amo_cents, theirs.amc_cents, theirs.base_cents) == (0, 900, ours.base_cents)
    assert (ours.amo_cents, ours.amc_cents) == (2100, 900)
    assert (theirs.nir, theirs.care_date, theirs.third_party) == (ours.nir, ours.care_date, "full")
    assert (dre.invoice.seal, len(dre.invoice.signature)) == (b"", 256)
    with pytest.raises(InputError, match="another insurer"):
        demand_of(fse.records, Complementary("0000000001"))


def test_the_caisse_hands_on(flow: Flow) -> None:
    """The mutuelle counts (no DRE): one lot only; the share is RELAYED, then paid by its insurer."""
    flow.unlock()
    billed = flow.bill(PATIENT, third_party="full")
    assert billed.demand == ""
    assert len(flow.lots()) == 1
    assert flow.row(1).amc_state == "RELAYED"
    flow.days(7)
    row = flow.row(1)
    assert (row.state.value, row.amc_state, row.paid_amc_cents) == ("PAID", "PAID", 900)


@pytest.mark.parametrize(("third_party", "asked"), [("amo", False), ("none", False), ("full", True)])
def test_outside_third_party_payment(flow: Flow, third_party: str, asked: bool) -> None:
    """Indicator 22 is for third-party payment of both shares: otherwise the patient asks the insurer."""
    flow.unlock()
    billed = flow.bill(PATIENT, **(FULL | {"third_party": third_party}))
    assert (bool(billed.demand), bool(flow.row(1).amc_state)) == (asked, asked)


def test_an_insurer_that_refuses(flow: Flow) -> None:
    """The AMC share is refused, the AMO share paid: two states, the insurer's reason beside the share."""
    insurers_say(flow, "refuses = true")
    flow.unlock()
    flow.bill(PATIENT, **FULL)
    flow.lots()
    flow.days(7)
    row = flow.row(1)
    assert (row.state.value, row.amc_state, row.paid_amc_cents) == ("PAID", "PAYMENT_REJECTED", 0)
    assert row.amc_reason.startswith("0900001")
    assert "1 PAYMENT_REJECTED" in flow.practice.store.status()


def test_a_link_that_is_missing(flow: Flow) -> None:
    """Nobody to hand the share to: the caisse says so, and the share is refused while AMO is paid."""
    insurers_say(flow, 'linked = false\ntreatment = ""')
    flow.unlock()
    flow.bill(PATIENT, third_party="full")
    flow.lots()
    flow.days(7)
    row = flow.row(1)
    assert (row.state.value, row.amc_state) == ("PAID", "PAYMENT_REJECTED")
    assert row.amc_reason.startswith("0250062")


def test_a_demand_is_in_one_lot_only(flow: Flow) -> None:
    """Lots are made once for each half, and a second pass finds nothing."""
    flow.unlock()
    flow.bill(PATIENT, **FULL)
    assert len(make_lots(flow.practice, flow.desk.cps)) == 2
    assert make_lots(flow.practice, flow.desk.cps) == []


def test_a_sheet_and_its_demand_are_kept_together(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DRE that cannot be made keeps back its FSE: neither is there, and the next sheet has both."""
    flow.unlock()

    def refuse(*_: object) -> bytes:
        raise InputError("no demand today")

    monkeypatch.setattr(signing, "sign_demand", refuse)
    with pytest.raises(InputError, match="no demand"):
        flow.bill(PATIENT, **FULL)
    assert flow.practice.store.fse_list() == []
    monkeypatch.undo()
    assert flow.bill(PATIENT, **FULL).demand == INSURER


def test_a_sheet_without_demand_has_no_body_of_one(flow: Flow) -> None:
    """Asking for the DRE of a sheet that has none is refused by its number."""
    flow.unlock()
    flow.bill()
    with pytest.raises(StoreError, match="DRE of FSE 1"):
        flow.practice.store.fse_bodies(PRACTICE, [1], demands=True)


YEAR = {"start": "2026-01-01", "end": "2026-12-31"}


def on_paper(flow: Flow, treatment: str, third_party: str, **person: Any) -> str:
    """An act on an attestation that shows an insurer with this indicator; whom its DRE goes to."""
    paper = attestation(ame=False)
    amc = {"number": "99999998", "member": "TESTMEMBER9", "contract": "tm100", "treatment": treatment, **YEAR}
    paper["beneficiary"][0] |= {"amc": amc, **person}
    act = {"date": str(flow.today), "acts": [{"code": "G"}], "third_party": third_party}
    return bill_act(flow.practice, flow.desk, act | {"attestation": paper}).demand


def test_without_vitale_and_with_a_demand(flow: Flow) -> None:
    """The CPS signs both halves of a sheet on an attestation; outside third-party payment 12 asks, 22 not."""
    flow.unlock()
    asked = [on_paper(flow, code, how) for code, how in (("22", "full"), ("12", "amo"), ("22", "amo"))]
    assert asked == [INSURER, INSURER, ""]
    flow.lots()
    assert {answer.positive for answer in flow.answers} == {True}
    assert [flow.row(number).amc_state for number in (1, 2, 3)] == ["ACCEPTED", "ACCEPTED", ""]


def test_a_solidarity_cover_of_the_caisse(flow: Flow) -> None:
    """CSS run by the compulsory scheme: the caisse pays all of it, no insurer is asked; 60 asks nobody."""
    flow.unlock()
    assert on_paper(flow, "62", "full", css=YEAR) == ""
    assert on_paper(flow, "60", "full") == ""
    assert on_paper(flow, "62", "full") == INSURER
    view = Fse.parse(flow.practice.store.fse_bodies(PRACTICE, [1])[0]).view()
    assert (view.complementary_number, view.amo_cents, view.amc_cents) == ("", 3000, 0)


def test_under_the_older_profile(open_world: Callable[..., Flow]) -> None:
    """The profile `sesam` carries the pair as well."""
    flow = open_world(policy="sesam")
    flow.unlock()
    flow.bill(PATIENT, **FULL)
    flow.lots()
    flow.days(7)
    assert (flow.row(1).state.value, flow.row(1).amc_state) == ("PAID", "PAID")
