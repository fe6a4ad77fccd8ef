"""The desk: who is in the slots, the PIN that leaves no trace, what needs a hand, what is due."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from gateway.certificates import expiries
from gateway.exchange.breaker import Breaker
from gateway.page.events import MAX_STREAMS, Stream, stream
from gateway.page.room import Room
from gateway.page.sessions import Session
from gateway.page.texts import TEXTS
from gateway.page.watch import needs_of
from tests.gateway.page.visitor import PIN, Browser, Rig


def test_a_locked_cps_hides_the_patient(rig: Rig) -> None:
    """Before the PIN nobody is named; after it every person of the card is, with the rights of the day."""
    mine = rig.browser()
    mine.get("/")
    assert "TEST-ALPHA" not in mine.page
    assert "Code porteur" in mine.page
    assert mine.send("/", "/session/ouvrir", pin=PIN) == 303
    for text in ("ALICE TEST-ALPHA", "CLARA TEST-ALPHA", "Droits ouverts", "TEST-MEDECIN", "Déverrouillée"):
        assert text in mine.page
    assert mine.raw.count('id="usuel-') == 3


def test_the_pin_is_in_no_page_no_trail_and_no_file(rig: Rig) -> None:
    """A wrong PIN and the right one: neither is shown again, written or audited."""
    mine = rig.browser()
    assert mine.send("/", "/session/ouvrir", pin="9753") == 409
    assert "9753" not in mine.raw
    assert "code porteur est faux" in mine.page
    mine.send("/", "/session/ouvrir", pin=PIN)
    assert 'value="1234"' not in mine.raw
    trail = " ".join(str(record.entry) for record in rig.practice.store.audit_records())
    assert "PIN refused" in trail
    kept = b"".join(path.read_bytes() for path in rig.bench.root.glob("gateway.db*"))
    for pin in ("9753", PIN):
        assert pin not in trail.replace("(1234)", "")
        assert f"pin={pin}".encode() not in kept
    assert rig.said == []


def test_the_last_try_is_asked_for(rig: Rig) -> None:
    """With one try left the page asks to confirm; without the tick nothing is tried, with it the card is."""
    mine = rig.browser()
    for _ in range(2):
        mine.send("/", "/session/ouvrir", pin="0000")
    mine.get("/")
    assert "dernier essai" in mine.page
    assert mine.send("/", "/session/ouvrir", pin=PIN) == 409
    assert "un seul essai" in mine.page
    assert mine.send("/", "/session/ouvrir", pin=PIN, dernier="on") == 303
    assert "dernier essai" not in mine.page


def test_a_blocked_pin_is_said(rig: Rig) -> None:
    """After the last wrong try the page says that the card is blocked."""
    mine = rig.browser()
    for _ in range(3):
        mine.send("/", "/session/ouvrir", pin="0000", dernier="on")
    assert "bloqué" in mine.page


def test_what_is_no_pin_never_reaches_the_card(rig: Rig) -> None:
    """Letters, three digits, other digits: a sentence, and no try is lost; four digits open."""
    mine = rig.browser()
    for typed in ("", "12a4", "123", "１２３４", "12345"):
        assert mine.send("/", "/session/ouvrir", pin=typed) == 409
        assert "quatre chiffres" in mine.page
    assert mine.send("/", "/session/ouvrir", pin=PIN) == 303


def test_the_session_is_visible_and_closable(rig: Rig, browser: Browser) -> None:
    """Until when and for how many sheets; closing locks the card."""
    browser.get("/")
    assert "encore 1000 feuilles" in browser.page
    assert "jusqu'à" in browser.page
    assert browser.send("/", "/session/fermer") == 303
    assert not rig.desk.is_unlocked
    assert "Verrouillée" in browser.page


def test_slots_come_and_go(rig: Rig, browser: Browser) -> None:
    """An empty slot, another card, a card that may not be used: each is said; rights are forgotten."""
    rig.reader.slot("Vitale").remove()
    browser.get("/")
    assert "Insérez la carte Vitale" in browser.page
    assert "TEST-ALPHA" not in browser.page
    rig.insert("Vitale", "vitale-ald")
    browser.get("/")
    assert "ALD, 100 % en rapport" in browser.page
    rig.insert("Vitale", "vitale-expired")
    browser.get("/")
    assert "plus valable" in browser.page
    rig.reader.slot("CPS").remove()
    browser.get("/")
    assert "Insérez la carte CPS" in browser.page


def test_the_card_is_read_once_for_each_insertion(rig: Rig, browser: Browser) -> None:
    """Ten looks at the desk read the card once, and leave one record of it; put back, it is read again."""
    for _ in range(3):
        browser.get("/")
        browser.get("/feuille/nouvelle?actes=G")

    def reads() -> int:
        return sum(record.entry.what == "rights read" for record in rig.practice.store.audit_records())

    assert reads() == 1
    rig.insert("Vitale", "vitale-family")
    browser.get("/")
    assert reads() == 2


def test_names_are_escaped(rig: Rig, browser: Browser) -> None:
    """A name with HTML in it is text on the page."""
    room = Room(rig.service, rig.practice.id)
    rights = room.sight.vitale()
    assert rights.people
    browser.get("/")
    evil = replace(rights.people[0], name='<script>alert(1)</script>"><img src=x>')

    class Seen(type(room.sight)):  # type: ignore[misc]
        def vitale(self) -> object:
            return replace(rights, people=(evil,))

    door = rig.site.door()
    kept = door.room(rig.practice.id)
    kept.sight = Seen(kept)
    mine = Browser(door)
    assert mine.enter(rig.code) == 303
    assert mine.get("/") == 200
    assert "<script>alert" not in mine.raw
    assert "<img src=x" not in mine.raw
    assert "&lt;script&gt;alert(1)" in mine.raw


def test_the_day_and_its_sums(rig: Rig, browser: Browser) -> None:
    """A sheet signed today stands on the desk with its state, and its legal day among the clocks."""
    browser.get("/")
    assert "Aucune feuille aujourd'hui" in browser.page
    browser.send(
        "/feuille/nouvelle?actes=G", "/feuille/nouvelle", personne="1", faire="signer", **{"a0-code": "G"}
    )
    browser.get("/")
    assert "une feuille · 30,00" in browser.page
    assert "signée" in browser.page
    day = rig.practice.store.fse(rig.practice.id, 1).deadline
    due = Room(rig.service, rig.practice.id).store.due(rig.practice.id, day)
    assert [item.id for item in due.items] == ["1"]


def test_what_needs_a_hand_stands_first(rig: Rig, browser: Browser) -> None:
    """A parked lot, and a certificate that ends, are on the strip; an ordinary day has no strip."""
    browser.get("/")
    assert "À voir" not in browser.page
    browser.send(
        "/feuille/nouvelle?actes=G", "/feuille/nouvelle", personne="1", faire="signer", **{"a0-code": "G"}
    )
    browser.send("/lots", "/lots/fermer")
    lot = rig.practice.store.lot_list()[0]
    rig.practice.store.park(lot.id, "the relay refuses it")
    browser.get("/")
    assert "Un lot est mis de côté" in browser.page


def test_what_ends_is_said_in_french(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that the gateway watches has its words; one that is far away is not on the strip."""
    now, room = rig.practice.clock.now(), Room(rig.service, rig.practice.id)
    found = expiries(rig.practice, now)
    assert {one.is_near for one in found} <= {False}
    assert not any("fin le" in need.text for need in needs_of(room, TEXTS["fr"]))
    near = [replace(one, is_near=True, days_left=-1) for one in found]
    monkeypatch.setattr("gateway.page.watch.expiries", lambda *_: near)
    said = [need.text for need in needs_of(room, TEXTS["fr"])]
    assert len(said) == len(near)
    assert all(re.match(r"(Certificat|Liste de révocation) d", text) for text in said)


def test_a_receiver_that_does_not_answer_is_said(rig: Rig, browser: Browser) -> None:
    """Since when, when it is tried next and why: on the strip and among the lots, as long as it lasts."""
    rig.service.daemon.relay = "127.0.0.1:2525"
    now = rig.practice.clock.now()
    rig.practice.store.note_line("127.0.0.1:2525", Breaker("127.0.0.1:2525", 7, now, now, "refused <b>"))
    rig.practice.store.note_line("of.another.test", Breaker("of.another.test", 9, now, now, "not ours"))
    browser.get("/")
    assert "Le destinataire ne répond pas depuis" in browser.page
    browser.get("/lots")
    assert "7 échecs depuis" in browser.page
    assert "refused &lt;b&gt;" in browser.raw
    assert "not ours" not in browser.page
    rig.practice.store.note_line("127.0.0.1:2525", None)
    browser.get("/")
    assert "ne répond pas" not in browser.page


def test_events_tell_that_something_changed_and_never_what(rig: Rig, browser: Browser) -> None:
    """A pulled card and a new sheet are told by a word; nobody is named."""
    room = Room(rig.service, rig.practice.id)
    told = Stream(room, Session("t", "k", room.id, 0.0, 0.0))
    assert told.news() == []
    rig.reader.slot("Vitale").remove()
    assert told.news() == ["desk"]
    rig.insert("Vitale", "vitale-family")
    told.news()
    browser.send(
        "/feuille/nouvelle?actes=G", "/feuille/nouvelle", personne="1", faire="signer", **{"a0-code": "G"}
    )
    assert "sheets" in told.news()
    assert told.news() == []


def test_a_browser_has_few_streams(rig: Rig) -> None:
    """Four at a time; the fifth is refused, and one that ends makes room."""
    room = Room(rig.service, rig.practice.id)
    session = Session("t", "k", room.id, 0.0, 0.0)
    session.streams = MAX_STREAMS
    assert stream(Stream(room, session), {}).status_code == 429
    session.streams = 0
    response = stream(Stream(room, session), {})
    assert response.status_code == 200
    session.ended = True

    async def whole() -> list[str]:
        return [piece async for piece in response.body_iterator]  # type: ignore[attr-defined]

    assert asyncio.run(whole()) == ["retry: 2000\n\n"]
    assert session.streams == 0


def test_a_sheet_that_waits_for_the_cps_is_signed_from_the_strip(rig: Rig, browser: Browser) -> None:
    """A desynchronised sheet waits; the button of the strip signs it."""
    browser.send(
        "/feuille/nouvelle?actes=G&mode=desynchronised", "/feuille/nouvelle",
        personne="1", faire="signer", mode="desynchronised", **{"a0-code": "G"},
    )  # fmt: skip
    browser.get("/")
    assert "Une feuille attend la signature" in browser.page
    assert browser.send("/", "/signer-en-attente") == 303
    assert "Une feuille en attente est signée" in browser.page
    assert rig.practice.store.fse(rig.practice.id, 1).state == "SIGNED"
