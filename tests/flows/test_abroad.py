"""Insured in another state: never an electronic sheet, a paper one at the French tariff and rate."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from gateway.abroad import PaperAct, paper_sheet
from gateway.billing.deductions import deductions
from gateway.billing.tables import Tables
from gateway.errors import CardRefusal, InputError
from gateway.office import bill_act
from gateway.places import Place
from tools.bench import PRACTICE

if TYPE_CHECKING:
    from tests.flows.flow import Flow

TABLES = Tables.load()
CARD: dict[str, Any] = {
    "document": "ceam", "state": "DE", "name": "TEST-ALPENROSE", "first_name": "ANNA",
    "birth_date": "1985-03-21", "person": "T000000001", "institution": "999999999 TEST-KK",
    "card": "80276000000000000001", "end": "2027-12-31",
}  # fmt: skip
PLACE = "991001017"


def asked(**changes: Any) -> dict[str, Any]:
    """A consultation for the holder of a European card."""
    act = {"date": "2026-11-16", "acts": [{"code": "G"}], "practitioner": {"place": PLACE}, "foreign": CARD}
    return act | changes


def place(flow: Flow) -> Place:
    """The doctor's place of practice, as kept from an earlier sheet."""
    flow.unlock()
    flow.bill()
    return Place.parse(flow.practice.store.place_of(PRACTICE, flow.row(1).practitioner))


def test_nothing_electronic(flow: Flow) -> None:
    """Billed in any mode, the act is refused with its code and nothing is kept; one on a card is."""
    flow.unlock()
    for mode in (None, "secured", "desynchronised", "without-vitale", "degraded"):
        with pytest.raises(CardRefusal, match="has no electronic sheet: print the paper one") as caught:
            bill_act(flow.practice, flow.desk, asked(mode=mode, date=str(flow.today)))
        assert caught.value.code == "paper-only"
    assert flow.practice.store.fse_list() == []
    flow.put("Vitale", "vitale-single")
    own = {"date": str(flow.today), "acts": [{"code": "G"}]}
    assert bill_act(flow.practice, flow.desk, own).price.amo_cents == 2100


def test_the_paper_sheet(flow: Flow) -> None:
    """70 % of the French tariff, paid at the desk; fields of the European card and of R161-42."""
    at = place(flow)
    sheet = PaperAct.from_json(asked(pathway="S2"))
    priced = sheet.price(at, TABLES, optam=False, zone="metropole")
    assert (priced.base_cents, priced.amo_cents, priced.patient_cents, priced.third_party) == (
        3000, 2100, 3000, "none",
    )  # fmt: skip
    text = paper_sheet(sheet, at, priced)
    for wanted in (
        "TEST-ALPENROSE ANNA",
        "CEAM, DE",
        "80276000000000000001",
        "T000000001",
        "999999999 TEST-KK",
    ):
        assert wanted in text
    for wanted in (PLACE, "16/11/2026", "21/03/1985", "31/12/2027", "Payé par l'assuré : 30,00 EUR."):
        assert wanted in text
    assert max(map(len, text.splitlines())) <= 70
    assert repr(sheet).count("ALPENROSE") == 0


def test_the_replacement_certificate(flow: Flow) -> None:
    """A certificate has a first day; third-party payment may be offered; deductions are owed."""
    at = place(flow)
    paper = CARD | {"document": "certificate", "start": "2026-11-01", "end": "2027-01-31", "card": None}
    sheet = PaperAct.from_json(asked(foreign=paper, third_party="amo"))
    priced = sheet.price(at, TABLES, optam=False, zone="metropole")
    assert (priced.third_party, priced.patient_cents) == ("amo", 900)
    text = paper_sheet(sheet, at, priced)
    assert "certificat provisoire de remplacement, DE" in text
    assert "valable du 01/11/2026 jusqu'au 31/01/2027" in text
    request = sheet._request(at, optam=False, zone="metropole")
    assert [one.cents for one in deductions(request, priced, TABLES)] == [200]


@pytest.mark.parametrize(
    ("document", "day"),
    [
        (CARD | {"end": "2026-11-15"}, "after"),
        (CARD | {"document": "certificate", "start": "2026-11-17"}, "before"),
    ],
)
def test_a_document_that_does_not_cover_the_day(flow: Flow, document: dict[str, Any], day: str) -> None:
    """Care a day after the end of the card, or before the certificate, is refused with its code."""
    at = place(flow)
    with pytest.raises(CardRefusal, match="does not cover 2026-11-16") as caught:
        PaperAct.from_json(asked(foreign=document)).price(at, TABLES, optam=False, zone="metropole")
    assert caught.value.code == "abroad-expired", day


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "foreign: a JSON object": lambda one: one.update(foreign=3),
    "foreign: is missing": lambda one: one.pop("foreign"),
    "foreign.document: use one of": lambda one: one["foreign"].update(document="passport"),
    "foreign.state: two letters": lambda one: one["foreign"].update(state="FR"),
    "foreign.start: a certificate has": lambda one: one["foreign"].update(document="certificate"),
    "foreign.end: is missing": lambda one: one["foreign"].pop("end"),
    "foreign.person: is not usable": lambda one: one["foreign"].update(person="1;2"),
    "foreign.name: is not usable": lambda one: one["foreign"].update(name="A\nB"),
    "foreign.nir: unknown field": lambda one: one["foreign"].update(nir="1"),
    "attestation: not for a person insured": lambda one: one.update(attestation={"insured": {}}),
    "mode: not for a person insured": lambda one: one.update(mode="degraded"),
    "beneficiary: a European card shows one": lambda one: one.update(beneficiary={"ald": True}),
    "colour: unknown field": lambda one: one.update(colour="red"),
}


@pytest.mark.parametrize("start", WRONG)
def test_a_wrong_field_is_named(start: str) -> None:
    """Each wrong field is named and no value repeated; the right one is taken."""
    data = json.loads(json.dumps(asked()))
    assert PaperAct.from_json(data).insured.state == "DE"
    WRONG[start](data)
    with pytest.raises(InputError) as caught:
        PaperAct.from_json(data)
    assert str(caught.value).startswith(start)
    assert "ALPENROSE" not in str(caught.value)
