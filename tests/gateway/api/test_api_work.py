"""A day's work through the API: session, rights, price, FSE, lots, what came back."""

from __future__ import annotations

import json
import time
from dataclasses import fields

import pytest

from gateway.api import shown
from gateway.api.client import ApiProblem, Client
from gateway.attestation import Attestation
from gateway.billing.engine import price
from gateway.billing.outcome import Price, PricedLine
from gateway.billing.request import CareRequest
from gateway.exchange.calendar import legal_day
from tests.gateway.api.conftest import PIN, Rig

REQUEST = {
    "date": "2026-11-20",
    "practitioner": {"specialty": "01", "convention": "1"},
    "beneficiary": {"birth_date": "1980-05-01"},
    "acts": [{"code": "G"}],
    "third_party": "amo",
}


def test_a_visit(rig: Rig, client: Client) -> None:
    """Rights read, an act billed and shown, its lot closed and sent: the answers agree with the store."""
    rights = client.rights()
    assert [person["number"] for person in rights["persons"]] == [1, 2, 3]
    assert rights["persons"][0]["has_rights"]
    accepted = client.bill(rig.act())
    row = rig.practice.store.fse(rig.practice.id, accepted["number"])
    assert (accepted["amo_cents"], row.amo_cents) == (2100, 2100)
    assert client.sheets()["items"][0]["number"] == accepted["number"]
    assert [step["after"] for step in client.sheet(accepted["number"])["history"]] == ["SIGNED"]
    lot = client.close_lots()[0]
    assert client.send_lots()["sent"] == 1
    assert len(rig.relay.taken) == 1
    assert client.lot(lot["id"])["sheets"] == [accepted["number"]]
    assert client.lots()["items"][0]["state"] == "SENT"
    assert client.sheet(accepted["number"])["state"] == "SENT"


def test_readers_and_slots(rig: Rig, client: Client) -> None:
    """A card pulled out is seen in its slot, and what needs it is refused with the slot's name."""
    rig.reader.slot("Vitale").remove()
    vitale, cps = client.readers()[0]["slots"]
    assert (vitale["card_present"], vitale["movements"], cps["card_present"]) == (False, 2, True)
    with pytest.raises(ApiProblem, match="Vitale slot is empty") as refused:
        client.bill(rig.act())
    assert (refused.value.status, refused.value.code) == (409, "no-card")
    assert client.sheets()["items"] == []


def test_a_session_opens_and_closes(rig: Rig) -> None:
    """Locked, then open with the holder and the places, then locked again: without it nothing is billed."""
    client = rig.client()
    assert client.session()["state"] == "locked"
    opened = client.open_session(PIN)
    assert (opened["state"], opened["places"][0]["situation"]) == ("open", "1")
    assert client.bill(rig.act())["accepted"]
    assert client.session()["sheets_left"] == 999
    assert client.close_session()["state"] == "locked"
    with pytest.raises(ApiProblem) as refused:
        client.bill(rig.act())
    assert (refused.value.status, refused.value.code) == (409, "pin-needed")
    rig.reader.slot("CPS").remove()
    assert client.session()["state"] == "no-card"


def test_a_session_ends_after_so_many_sheets(rig: Rig, client: Client) -> None:
    """When the sheets of a PIN are used up, the CPS is locked and its PIN asked again; then it goes on."""
    assert rig.service.daemon.desk.sitting
    rig.service.daemon.desk.sitting.most = 1
    client.bill(rig.act())
    with pytest.raises(ApiProblem) as refused:
        client.bill(rig.act())
    assert refused.value.code == "pin-needed"
    client.open_session(PIN)
    assert client.bill(rig.act())["accepted"]


def test_no_pad_no_pin(rig: Rig) -> None:
    """A reader without a pad says so when the PIN is to be typed there."""
    with pytest.raises(ApiProblem) as refused:
        rig.client().open_session()
    assert refused.value.code == "no-pin-pad"


def test_a_price_is_the_engines(rig: Rig, client: Client) -> None:
    """The same JSON as the engine's own, nothing left out."""
    expected = price(CareRequest.from_json(REQUEST), rig.practice.tables).to_json()
    assert client.price(REQUEST) == json.loads(json.dumps(expected))


def test_models_have_every_field_of_a_price() -> None:
    """A field that the engine gains is not forgotten by the API."""
    assert set(shown.Line.model_fields) == {one.name for one in fields(PricedLine)}
    sums = set(Price(0, 0, 0, 0, 0, 0, (), (), "", "").to_json())
    assert set(shown.Price.model_fields) == sums


def test_an_attestation_stands_in_for_the_card(rig: Rig, client: Client) -> None:
    """Made from the card, it bills a sheet when the patient comes without it; the paper twin goes with it."""
    attestation = client.attestation()
    rig.reader.slot("Vitale").remove()
    accepted = client.bill(rig.act(mode="without-vitale", attestation=attestation))
    assert accepted["mode"] == "without-vitale"
    assert client.sheet(accepted["number"])["mode"] == 1
    assert attestation["insured"]["nir"] not in json.dumps(client.sheet(accepted["number"]))


def test_an_attestation_says_what_the_card_says(rig: Rig, client: Client) -> None:
    """Read back, the attestation of a card gives the persons, rights and covers of that card."""
    read = Attestation.from_json(client.attestation()).rights
    shown_persons = client.rights()["persons"]
    for person, on_card in zip(read.beneficiaries, shown_persons, strict=True):
        assert (person.name, str(person.birth_date)) == (on_card["name"], on_card["birth_date"])
        assert [str(period.start) for period in person.rights] == [one["start"] for one in on_card["rights"]]
        today = legal_day(rig.practice.clock.now())
        assert (person.has_rights(today), person.has_ald(today)) == (
            on_card["has_rights"],
            on_card["has_ald"],
        )
        assert list(person.address) == on_card["address"] == ["1 RUE DU BANC D ESSAI", "99349 TESTVILLE"]
        assert (person.amo_service.run_by, person.has_css_contribution(today)) == (
            on_card["css_run_by"],
            on_card["css_contribution"],
        )


def test_who_is_insured_abroad_is_not_billed_here(rig: Rig, client: Client) -> None:
    """An act with a European card is refused as paper only and nothing is kept; its twin is billed."""
    with pytest.raises(ApiProblem) as refused:
        client.bill({**rig.act(), "foreign": {"document": "ceam"}})
    assert (refused.value.status, refused.value.code) == (422, "paper-only")
    assert client.sheets()["items"] == []
    assert client.bill(rig.act())["number"]


def test_pages(rig: Rig, client: Client) -> None:
    """Three FSE in pages of two: newest first, `next` leads on and ends."""
    numbers = [client.bill(rig.act())["number"] for _ in range(3)]
    first = client.sheets(limit=2)
    second = client.sheets(limit=2, offset=first["next"])
    shown_numbers = [item["number"] for item in first["items"] + second["items"]]
    assert (shown_numbers, second["next"]) == (numbers[::-1], None)
    assert [item["number"] for item in client.sheets(state=["SIGNED"])["items"]] == numbers[::-1]
    assert client.sheets(state=["PAID"])["items"] == []


def test_the_trail(rig: Rig, client: Client) -> None:
    """Who opened the session and what was kept is in the trail, in pages, and the chain is whole."""
    client.bill(rig.act())
    trail = client.audit(limit=2, verify=True)
    assert trail["items"][0]["who"] == "soft"
    rest = client.audit(after=trail["next"])
    assert trail["whole"] >= len(trail["items"]) + len(rest["items"])
    assert "FSE kept" in {item["what"] for item in rest["items"]}


def test_events_tell_cards_and_sheets(rig: Rig, client: Client) -> None:
    """A stream begins with the cards and tells a new FSE; who comes back with its id gets what came since."""
    stream = rig.client().events(20)
    assert [next(stream).data["slot"] for _ in range(2)] == ["Vitale", "CPS"]
    assert next(stream).data == {"state": "open"}
    number = client.bill(rig.act())["number"]
    told = next(event for event in stream if event.name == "fse")
    assert (told.data["id"], told.data["after"]) == (str(number), "SIGNED")
    rig.reader.slot("Vitale").remove()
    gone = next(event for event in stream if event.name == "card")
    assert gone.data == {"slot": "Vitale", "card_present": False, "movements": 2}
    client.close_lots()
    missed = [event for event in rig.client().events(0, last=told.id) if event.id]
    assert {(event.name, event.data["after"]) for event in missed} >= {("fse", "IN_LOT"), ("lot", "SEALED")}


def test_streams_end_with_the_gateway(rig: Rig) -> None:
    """A stream that nobody ends is ended when the gateway stops."""
    stream = rig.client().events(3600)
    next(stream)
    rig.service.stop.set()
    assert len(list(stream)) < 10


def test_streams_are_counted(rig: Rig) -> None:
    """The ninth stream of a token is refused; when one has ended there is room again."""
    streams = [rig.client().events(3600) for _ in range(8)]
    for stream in streams:
        next(stream)
    with pytest.raises(ApiProblem) as refused:
        list(rig.client().events(0))
    assert (refused.value.status, refused.value.code) == (429, "too-many")
    rig.service.stop.set()
    for stream in streams:
        list(stream)
    while rig.service.streams.get("soft"):
        time.sleep(0.01)
    assert list(rig.client().events(0))
