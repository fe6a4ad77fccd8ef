"""What was refused and the button that mends it; lots, payments, the statement and the figures."""

from __future__ import annotations

import csv
import io
import re
from hashlib import sha256
from xml.etree import ElementTree

from gateway.lots.sealing import SealedLot
from gateway.page.plots import Bars, Series, bars, rows_of
from gateway.page.texts import TEXTS
from gateway.records.arl import Arl
from gateway.store.rows import Payment
from gateway.store.states import FseState, LotState
from tests.gateway.page.test_page_sheet import sign
from tests.gateway.page.visitor import Browser, Rig


def in_a_lot(rig: Rig, browser: Browser, **more: str) -> SealedLot:
    """A sheet signed, closed into a lot and sent."""
    sign(browser, **more)
    (sealed,) = rig.service.daemon.seats[0].close_lots()
    browser.send("/lots", "/lots/envoyer")
    return sealed


def answer(rig: Rig, sealed: SealedLot, *, positive: bool) -> None:
    """The receipt of the organism."""
    store, now = rig.practice.store, rig.practice.clock.now()
    lot = store.lot(rig.practice.id, sealed.id)
    arl = Arl(
        sender="0" * 14, destination="0" * 14, created=now, lot_date=lot.lot_date, lot_number=lot.lot_number,
        file_id=lot.file_id, compostage=lot.compostage, received_at=now, positive=positive,
        invoices=lot.count, digest=sealed.digest if positive else sha256(sealed.message).digest(),
        error_class="" if positive else "E", error_code="" if positive else "1000",
    )  # fmt: skip
    assert store.post_receipt(arl, b"arl", f"key-{sealed.id}", rig.practice.id).outcome == "posted"


def pay(rig: Rig, sealed: SealedLot, number: int, **more: object) -> None:
    """What the caisse answers for one sheet."""
    lot = rig.practice.store.lot(rig.practice.id, sealed.id)
    said = Payment(number, lot.lot_number, **{"paid": True, "amo_cents": 2100, **more})  # type: ignore[arg-type]
    rig.practice.store.post_payment([said], b"noemie%d" % number, f"n{number}", rig.practice.id)


def test_a_refused_sheet_is_corrected(rig: Rig, browser: Browser) -> None:
    """What, why and what to do; the form is filled as it was; the new one takes the place of the old."""
    sealed = in_a_lot(rig, browser, tiers="amo")
    answer(rig, sealed, positive=False)
    browser.get("/")
    assert "Une feuille refusée est à reprendre" in browser.page
    browser.get("/a-reprendre")
    for text in ("Refusée par l'accusé", "E 1000", "Vérifiez le certificat du destinataire", "Corriger"):
        assert text in browser.page
    assert browser.get("/feuille/1/corriger") == 200
    assert 'name="a0-code"' in browser.raw
    assert 'value="G"' in browser.raw
    assert re.search(r'name="tiers" value="amo" checked', browser.raw)
    form = {"personne": "1", "a0-code": "G", "tiers": "none", "faire": "signer"}
    assert browser.send("", "/feuille/1/corriger", **form) == 303
    assert "La feuille 2 est signée" in browser.page
    assert rig.practice.store.fse(rig.practice.id, 1).state == FseState.RECTIFIED
    assert rig.practice.store.fse(rig.practice.id, 2).rectifies == 1
    assert browser.get("/feuille/1/corriger") == 409
    browser.get("/a-reprendre")
    assert "Rien à reprendre" in browser.page


def test_a_refused_sheet_is_made_again_once(rig: Rig, browser: Browser) -> None:
    """As it was, after a question; a double click on yes makes one sheet."""
    answer(rig, in_a_lot(rig, browser), positive=False)
    assert browser.get("/feuille/1/refaire") == 200
    body = f"cle={browser.hidden('cle')}&unique={browser.hidden('unique')}"
    assert browser.ask("POST", "/feuille/1/refaire", body) == 303
    first = browser.headers["location"]
    assert browser.ask("POST", "/feuille/1/refaire", body) == 303
    assert browser.headers["location"] == first == "/feuille/2"
    assert len(rig.practice.store.fse_list()) == 2


def test_making_again_without_the_card_is_said(rig: Rig, browser: Browser) -> None:
    """No card: the question stays, with a sentence; the refused sheet is as it was."""
    answer(rig, in_a_lot(rig, browser), positive=False)
    rig.reader.slot("Vitale").remove()
    assert browser.send("/feuille/1/refaire", "/feuille/1/refaire") == 409
    assert "Aucune carte" in browser.page
    assert rig.practice.store.fse(rig.practice.id, 1).state == FseState.REJECTED


def test_a_payment_that_was_refused_has_its_remedy(rig: Rig, browser: Browser) -> None:
    """Code, text and remedy in French, on the sheet, among payments and among what is to be mended."""
    sealed = in_a_lot(rig, browser, tiers="amo")
    answer(rig, sealed, positive=True)
    pay(rig, sealed, 1, paid=False, amo_cents=0, code="0250050", text="ASSURE ABSENT DE NOTRE BASE")
    for path in ("/a-reprendre", "/feuille/1", "/paiements"):
        browser.get(path)
        for text in ("0250050", "ASSURE ABSENT", "Demandez une attestation de droits"):
            assert text in browser.page, path
    browser.get("/a-reprendre?lang=en")
    assert "Ask the patient for an attestation" in browser.page


def test_a_parked_lot_is_put_back(rig: Rig, browser: Browser) -> None:
    """After a question the lot is in the queue again; a lot that is not parked is not asked about."""
    sign(browser)
    browser.send("/lots", "/lots/fermer")
    lot = rig.practice.store.lot_list()[0]
    assert browser.get(f"/lot/{lot.id}/relancer") == 409
    rig.practice.store.park(lot.id, "<b>552</b> mailbox full")
    browser.get("/a-reprendre")
    assert "&lt;b&gt;552&lt;/b&gt; mailbox full" in browser.raw
    assert browser.get(f"/lot/{lot.id}/relancer") == 200
    assert rig.practice.store.lot(rig.practice.id, lot.id).state == LotState.PARKED
    assert browser.send("", f"/lot/{lot.id}/relancer") == 303
    assert rig.practice.store.lot(rig.practice.id, lot.id).state == LotState.SEALED


def test_lots_show_what_comes_next(rig: Rig, browser: Browser) -> None:
    """Waiting, sealed, sent with the day of its receipt, then the receipt; closing needs the CPS."""
    browser.get("/lots")
    assert "Aucun lot pour l'instant" in browser.page
    sign(browser)
    rig.desk.lock()
    browser.send("/lots", "/lots/fermer")
    assert "verrouillée" in browser.page
    browser.send("/", "/session/ouvrir", pin="1234")
    browser.send("/lots", "/lots/fermer")
    assert "Un lot est fermé" in browser.page
    sealed = in_a_lot(rig, browser)
    assert "accusé attendu avant" in browser.page
    answer(rig, sealed, positive=True)
    assert browser.get(f"/lot/{sealed.id}") == 200
    assert "✓ positif" in browser.page
    assert 'href="/feuille/2"' in browser.raw


def test_the_statement_adds_up(rig: Rig, browser: Browser) -> None:
    """One sheet paid, one not: sums on the page, the same in the table for a spreadsheet; a month that is
    still to come, or none, is refused."""
    sealed = in_a_lot(rig, browser, tiers="amo")
    answer(rig, sealed, positive=True)
    pay(rig, sealed, 1)
    sign(browser)
    browser.get("/releve")
    assert "60,00" in browser.page
    assert re.search(r"Versé par les caisses</dt><dd>21,00", browser.page)
    assert browser.get("/releve.csv") == 200
    rows = list(csv.DictReader(io.StringIO(browser.raw.lstrip("\ufeff")), delimiter=";"))
    assert [row["Feuille"] for row in rows] == ["1", "2"]
    assert rows[0]["AMO versée"] == "21,00"
    assert rows[0]["État"] == "payée"
    assert browser.get("/releve.csv?lang=en") == 200
    assert browser.raw.lstrip("\ufeff").startswith("Sheet,Day,")
    for month in ("2031-01", "x", "2026-13", "../../etc"):
        assert browser.get(f"/releve?mois={month}") == 422
        assert "mois passé" in browser.page or "past" in browser.page or "month" in browser.page


def test_no_cell_is_a_formula(rig: Rig, browser: Browser) -> None:
    """A reason that a stranger wrote, with = before it, is text in a spreadsheet."""
    sealed = in_a_lot(rig, browser, tiers="amo")
    answer(rig, sealed, positive=True)
    pay(rig, sealed, 1, paid=False, amo_cents=0, code="0500001", text='=HYPERLINK("http://evil")')
    rig.practice.store.fse(rig.practice.id, 1)
    browser.get("/releve.csv")
    cells = [cell for row in csv.reader(io.StringIO(browser.raw), delimiter=";") for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


def test_figures_are_drawn_and_told(rig: Rig, browser: Browser) -> None:
    """Each plot is sound SVG with a name, beside a table of the same figures."""
    sealed = in_a_lot(rig, browser, tiers="amo")
    answer(rig, sealed, positive=False)
    sign(browser)
    assert browser.get("/chiffres") == 200
    drawings = re.findall(r"<svg.*?</svg>", browser.raw, re.DOTALL)
    assert len(drawings) == 3
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"]
    assert "42,00" in browser.page or "21,00" in browser.page


def test_a_plot_escapes_its_names() -> None:
    """Names come from returns: they are text in the drawing, also with a quote in them."""
    evil = '"><script>x</script>'
    drawing = rows_of("t", {evil: 2}) + bars(
        Bars(evil, (evil,), (Series(evil, "amo", (1.0,)),), "€"), TEXTS["fr"]
    )
    assert "<script" not in drawing
    assert bars(Bars("t", (), (), "€"), TEXTS["fr"]).startswith("<svg")


def test_payments_matched_and_strays(rig: Rig, browser: Browser) -> None:
    """A payment stands with its sheet; a message nobody can read waits for somebody to look."""
    browser.get("/paiements")
    assert "Aucun retour de paiement" in browser.page
    sealed = in_a_lot(rig, browser, tiers="amo")
    answer(rig, sealed, positive=True)
    pay(rig, sealed, 1)
    rig.practice.store.post_unreadable(b"?", "m", "this is no message", rig.practice.id)
    browser.get("/paiements")
    assert "payée" in browser.page
    assert "Retours non rapprochés" in browser.page
    assert "this is no message" in browser.page
