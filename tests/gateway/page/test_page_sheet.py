"""A sheet on the page: two clicks for the usual one, every mode, the price before, one of a double click."""

from __future__ import annotations

import re
import threading
from urllib.parse import urlencode

import pytest

from gateway.exchange.calendar import legal_day
from gateway.store.states import FseState
from tests.gateway.page.visitor import Browser, Rig

NEW = "/feuille/nouvelle"
ATTESTATION = {
    "at-nom": "TEST-KILO", "at-prenom": "KARIM", "at-naissance": "1979-04-04",
    "at-nir": "1 79 19 99 349 121 94", "at-regime": "01", "at-caisse": "349", "at-centre": "0349",
    "at-debut": "2026-01-01", "at-fin": "2026-12-31",
}  # fmt: skip


def fields(code: str = "G", **more: str) -> dict[str, str]:
    """What the form of one act sends."""
    return {"personne": "1", "a0-code": code, "a0-quantite": "1", "parcours": "T", "tiers": "none", **more}


def sign(browser: Browser, **more: str) -> int:
    """Fill a new sheet and sign it; the status."""
    return browser.send(NEW, NEW, faire="signer", **fields(**more))


def test_the_usual_act_takes_two_clicks(rig: Rig, browser: Browser) -> None:
    """The button of the desk, then Signer: nothing else is typed or chosen."""
    browser.get("/")
    match = re.search(r'id="usuel-1" href="([^"]+)"', browser.page)
    assert match
    assert browser.get(match[1]) == 200
    form = dict(re.findall(r'name="([^"]+)"[^>]*? value="([^"]*)"', browser.raw))
    chosen = dict(re.findall(r'name="([^"]+)"[^>]*? value="([^"]*)" checked', browser.raw))
    assert (
        browser.ask(
            "POST",
            NEW,
            urlencode(
                {**form, **chosen, "faire": "signer", "mode": "secured", "nature": "maladie", "parcours": "T"}
            ),
        )
        == 303
    )
    row = rig.practice.store.fse(rig.practice.id, 1)
    assert (row.label, row.state, row.mode) == ("G", FseState.SIGNED, 3)


def test_the_price_is_shown_before_with_its_reasons(rig: Rig, browser: Browser) -> None:
    """The page that opens is priced already: amounts, shares, why; nothing is kept, no number is used."""
    browser.get(f"{NEW}?personne=1&actes=G")
    for text in ("30,00", "21,00", "taux de remboursement 70 %", "Le patient règle 30,00"):
        assert text in browser.page
    assert rig.practice.store.fse_list() == []
    sign(browser)
    assert rig.practice.store.fse_list()[0].number == 1


def test_the_piece_for_the_script_is_the_same_price(browser: Browser) -> None:
    """What the script asks for while one types is the price of the whole page."""
    browser.get(NEW)
    key = browser.hidden("cle")
    assert browser.ask("POST", "/morceau/prix", urlencode({"cle": key, **fields(tiers="amo")})) == 200
    assert 'id="reste">9,00' in browser.page
    assert "<html" not in browser.raw
    browser.ask("POST", "/morceau/prix", urlencode({"cle": key, **fields("ZZZ")}))
    assert "« ZZZ » n'est pas un acte des tables" in browser.page


def test_every_button_works_without_a_script(browser: Browser) -> None:
    """Favourite, one more act, one act less, another price: each shows the form again as it was typed."""
    browser.send(NEW, NEW, faire="favori-G+DEQP003", **fields("", vu="2026-01-05"))
    assert 'value="DEQP003"' in browser.raw
    assert 'value="2026-01-05"' in browser.raw
    browser.send("", NEW, faire="ajouter", **fields(), **{"a1-code": "DEQP003"})
    assert 'name="a2-code"' in browser.raw
    browser.send("", NEW, faire="retirer-0", **fields(), **{"a1-code": "DEQP003"})
    assert 'name="a0-code"' in browser.raw
    assert 'value="DEQP003"' in browser.raw
    assert 'name="a1-code"' not in browser.raw
    browser.send("", NEW, faire="prix", **fields(**{"a0-montant": "50,00"}))
    assert "dépassement" in browser.page
    for odd in ("retirer-\u00b2", "retirer-" + "9" * 5000, "retirer-"):
        assert browser.send("", NEW, faire=odd, **fields("DEQP003")) == 200, odd[:12]
        assert 'value="DEQP003"' in browser.raw


def test_what_is_wrong_names_its_field(browser: Browser) -> None:
    """Each mistake is one sentence in French with a link to its field, which is marked; nothing is signed."""
    for wrong, sentence, field in (
        ({"a0-code": "QQQ"}, "Acte 1, code : « QQQ »", "a0-code"),
        ({"a0-quantite": "x"}, "Acte 1, quantité : donnez un nombre entier", "a0-quantite"),
        ({"a0-montant": "cher"}, "Acte 1, montant demandé : donnez un montant", "a0-montant"),
        ({"a0-coefficient": "2"}, "G n'a pas de coefficient", "a0-coefficient"),
        ({"date": "2031-01-01"}, "est à venir", "date"),
        ({"date": "hier"}, "donnez une date qui existe", "date"),
        ({"a0-code": ""}, "aucun acte n'est choisi", "a0-code"),
        ({"a0-code": "MEG"}, "moins de 6 ans", "a0-code"),
        ({"tiers": "moitié"}, "Tiers payant : cette valeur", ""),
    ):
        assert sign(browser, **{"code": "G", **wrong} if "code" not in wrong else wrong) == 409, wrong
        assert sentence in browser.page, wrong
        assert not field or f'href="#{field}"' in browser.raw
        assert not field or re.search(rf'id="{field}"[^>]*aria-invalid="true"', browser.raw), wrong
        assert browser.get("/feuille/1") == 404


def test_a_double_click_makes_one_sheet(rig: Rig, browser: Browser) -> None:
    """The same form sent twice, one after the other and at once, is one sheet and one answer."""
    browser.get(NEW)
    body = urlencode(
        {"cle": browser.hidden("cle"), "unique": browser.hidden("unique"), "faire": "signer", **fields()}
    )
    assert browser.ask("POST", NEW, body) == 303
    first = browser.headers["location"]
    others = [Browser(rig.app, dict(browser.cookies)) for _ in range(2)]
    threads = [threading.Thread(target=one.ask, args=("POST", NEW, body)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.headers["location"] for one in others} == {first}
    assert len(rig.practice.store.fse_list()) == 1
    assert sign(browser) == 303
    assert len(rig.practice.store.fse_list()) == 2


@pytest.mark.parametrize("unique", ["", "short", "x" * 400])
def test_nothing_is_signed_without_its_key(rig: Rig, browser: Browser, unique: str) -> None:
    """A form whose key was taken out is shown again with a new one, which then signs one sheet."""
    browser.get(NEW)
    body = urlencode({"cle": browser.hidden("cle"), "unique": unique, "faire": "signer", **fields()})
    assert browser.ask("POST", NEW, body) == 200
    assert rig.practice.store.fse_list() == []
    assert sign(browser) == 303
    assert len(rig.practice.store.fse_list()) == 1


def test_a_card_that_is_pulled_out_stops_nothing_else(rig: Rig, browser: Browser) -> None:
    """Signer without the card: a sentence, what was typed is still there; with the card back it is signed."""
    browser.get(f"{NEW}?actes=G")
    rig.reader.slot("Vitale").remove()
    assert browser.send("", NEW, faire="signer", **fields(vu="2026-02-03")) == 409
    assert "Aucune carte dans la fente" in browser.page
    assert 'value="2026-02-03"' in browser.raw
    rig.insert("Vitale", "vitale-family")
    assert browser.send("", NEW, faire="signer", **fields()) == 303


def test_a_locked_cps_is_said_before_signing(rig: Rig, browser: Browser) -> None:
    """The price waits for the PIN; Signer is refused with what to do."""
    rig.desk.lock()
    browser.get(f"{NEW}?actes=G")
    assert "Déverrouillez la CPS" in browser.page
    assert browser.send("", NEW, faire="signer", **fields()) == 409
    assert "verrouillée" in browser.page


def test_the_second_person_and_ald(rig: Rig, browser: Browser) -> None:
    """Another person of the card is billed; care in relation to an ALD is paid in full."""
    assert sign(browser, personne="2") == 303
    rig.insert("Vitale", "vitale-ald")
    browser.get(f"{NEW}?actes=G")
    assert "en rapport avec l'ALD" in browser.page
    assert browser.send("", NEW, faire="signer", **fields(ald="1")) == 303
    assert rig.practice.store.fse(rig.practice.id, 2).amo_cents == 3000


@pytest.mark.parametrize(("mode", "state", "code"), [
    ("desynchronised", FseState.AWAITING_CPS, 4), ("without-vitale", FseState.SIGNED, 1),
    ("degraded", FseState.SIGNED, 5),
])  # fmt: skip
def test_every_other_mode(rig: Rig, browser: Browser, mode: str, state: FseState, code: int) -> None:
    """Each mode makes its sheet; those without a Vitale take an attestation and give a paper twin."""
    more = ATTESTATION if code != 4 else {}
    assert sign(browser, mode=mode, **more) == 303, browser.page
    row = rig.practice.store.fse(rig.practice.id, 1)
    assert (row.state, row.mode) == (state, code)
    if code == 4:
        assert browser.get("/feuille/1/papier") in (404, 409, 503)
        return
    assert "imprimez son double papier" in browser.page
    assert browser.get("/feuille/1/papier") == 200
    assert "TEST-KILO KARIM" in browser.page
    assert browser.headers["cache-control"] == "no-store"
    assert browser.get("/feuille/1/papier.txt") == 200
    assert browser.headers["content-disposition"] == 'attachment; filename="feuille-000000001.txt"'


def test_an_attestation_is_typed_once(browser: Browser) -> None:
    """A wrong number is named without being repeated, and everything typed is still in the form."""
    assert sign(browser, mode="without-vitale", **{**ATTESTATION, "at-nir": "179199934912195"}) == 409
    assert "avec sa clé" in browser.page
    assert re.search(r'id="at-nir"[^>]*aria-invalid', browser.raw)
    assert 'value="TEST-KILO"' in browser.raw
    assert "179199934912195" not in re.sub(r'value="[^"]*"', "", browser.raw)


def test_cancelling_asks_first(rig: Rig, browser: Browser) -> None:
    """The question changes nothing, the answer cancels; a sheet in a lot cannot be cancelled."""
    sign(browser)
    assert browser.get("/feuille/1/annuler") == 200
    assert "C'est définitif" in browser.page
    assert rig.practice.store.fse(rig.practice.id, 1).state == FseState.SIGNED
    assert browser.send("", "/feuille/1/annuler") == 303
    assert rig.practice.store.fse(rig.practice.id, 1).state == FseState.CANCELLED
    sign(browser)
    browser.send("/lots", "/lots/fermer")
    assert browser.get("/feuille/2/annuler") == 409
    browser.get("/feuille/2")
    assert "Annuler cette feuille" not in browser.page


def test_habits_are_kept_for_the_next_sheet(browser: Browser) -> None:
    """The third-party payment of the last sheet is that of the next one, for this browser."""
    sign(browser, tiers="amo")
    browser.get(f"{NEW}?actes=G")
    assert re.search(r'name="tiers" value="amo" checked', browser.raw)


def test_lists_have_pages_and_search(rig: Rig, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages follow by their place; a number goes straight to its sheet; a state shows its own."""
    monkeypatch.setattr("gateway.page.pages_sheets.PAGE", 2)
    for _ in range(5):
        sign(browser)
    seen: list[str] = []
    path: str | None = "/feuilles"
    while path:
        assert browser.get(path) == 200
        seen += re.findall(r'<td[^>]*><a href="/feuille/(\d+)"', browser.raw)
        match = re.search(r'rel="next" href="([^"]+)"', browser.page)
        path = match[1] if match else None
    assert seen == ["5", "4", "3", "2", "1"]
    assert browser.get("/feuilles?numero=3") == 303
    assert browser.headers["location"] == "/feuille/3"
    browser.get("/feuilles?numero=000000003")
    assert browser.headers["location"] == "/feuille/3"
    for odd in ("%C2%B2", "abc", "9" * 5000, "-1"):
        assert browser.get(f"/feuilles?numero={odd}") == 404, odd
        assert "Cela n'existe pas" in browser.page
    browser.get("/feuilles?etat=payees")
    assert "Aucune feuille ici" in browser.page
    browser.get("/feuilles?etat=a-envoyer")
    assert 'href="/feuille/5"' in browser.raw
    day = legal_day(rig.practice.store.fse(rig.practice.id, 1).elaborated)
    browser.get(f"/feuilles?jour={day}&etat=a-envoyer")
    assert 'href="/feuille/5"' in browser.raw
    browser.get("/feuilles?jour=2020-01-01")
    assert "Aucune feuille ici" in browser.page
    assert browser.get("/feuilles?suite=x") in (200, 422)
    assert browser.get("/feuilles?etat=<b>") == 200
    assert "<b>" not in browser.raw
    assert rig.said == []
