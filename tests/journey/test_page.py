"""The practice's page in a real browser: from an inserted card to a paid sheet, and what a bad day brings."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from gateway.api.server import serving
from gateway.api.service import Service
from gateway.api.tokens import Tokens
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender
from gateway.inbox import Inbox
from gateway.page.codes import Codes
from gateway.page.site import Site
from gateway.seat import Seat
from gateway.sitting import Sitting
from reader.emulated import EmulatedReader
from tests.interop.bench_pcscd import needs
from tools.bench import PRACTICE, Bench
from tools.bench_panel import BenchPanel
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import start_receiver
from tools.two_slots import TwoSlots, two_slots

pytestmark = [pytest.mark.interop, pytest.mark.slow]

PATIENCE = 30
CARDS = ("cps-gp-sector1", "vitale-family", "vitale-single", "vitale-wrong-key")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1200,900",
)  # fmt: skip
PAGES = (
    "/",
    "/feuille/nouvelle?actes=G",
    "/feuilles",
    "/a-reprendre",
    "/lots",
    "/paiements",
    "/releve",
    "/chiffres",
)


@dataclass
class Practice:
    """A practice at work with its receiver, and a browser that is signed in."""

    at: str
    place: TwoSlots
    bench: Bench
    seat: Seat
    browser: webdriver.Chrome

    def go(self, path: str) -> None:
        """Open a page."""
        self.browser.get(self.at + path)

    def one(self, css: str) -> WebElement:
        """The first element that fits; waited for."""
        return WebDriverWait(self.browser, PATIENCE).until(
            lambda seen: next(iter(seen.find_elements(By.CSS_SELECTOR, css)), False)
        )

    def click(self, css: str) -> None:
        """Click it, wherever it is on the page."""
        found = self.one(css)
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        found.click()

    def click_plain(self, css: str) -> None:
        """Click it by the keyboard: no script of the driver's own is run."""
        self.one(css).send_keys(Keys.ENTER)

    def until(self, text: str, css: str = "body") -> None:
        """Wait until this is said there."""

        def is_said(seen: webdriver.Chrome) -> bool:
            try:
                return any(text in found.text for found in seen.find_elements(By.CSS_SELECTOR, css))
            except WebDriverException:
                return False  # the piece was refreshed just now

        WebDriverWait(self.browser, PATIENCE).until(is_said, f"{text!r} is not said in {css}")

    def insert(self, slot: str, profile: str) -> None:
        """Put a card in, as a hand does: the page is not told."""
        self.bench.make_cards([profile])
        self.place.insert(slot, profile)

    def unlock(self) -> None:
        """Type the PIN at the desk."""
        self.go("/")
        self.one("#pin").send_keys("1234\n")
        self.until("Déverrouillée")


@pytest.fixture(scope="module")
def page_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority and personalised cards."""
    root = tmp_path_factory.mktemp("page")
    Bench(root).make_cards(CARDS)
    return root


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One Chromium for all the journeys; what it says to its console is collected."""
    needs("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Driver(shutil.which("chromedriver")))
    made.set_page_load_timeout(PATIENCE)
    yield made
    made.quit()


@pytest.fixture
def practice(page_world: Path, tmp_path: Path, browser: webdriver.Chrome) -> Iterator[Practice]:
    """A practice of its own for each journey, CPS locked; at the end the console is as clean as it began."""
    root = tmp_path / "bench"
    shutil.copytree(page_world, root)
    with ExitStack() as stack:
        made = _open(Bench(root), browser, stack)
        yield made
        browser.get("about:blank")
    assert complaints(browser) == []


def _open(bench: Bench, browser: webdriver.Chrome, stack: ExitStack) -> Practice:
    receiver = start_receiver(
        ReceiverConfig(
            authority=bench.directory("authority"), state=bench.directory("receiver"),
            maildir=bench.directory("mailbox"), practice=PRACTICE, opposition=bench.opposition_file,
            say=lambda _: None,
        )
    )  # fmt: skip
    stack.callback(receiver.stop)
    own = bench.practice()
    stack.callback(own.store.close)
    place = stack.enter_context(two_slots(bench, lambda _: None, pcsc=False))
    assert isinstance(place.reader, EmulatedReader)
    place.insert("CPS", "cps-gp-sector1")
    place.insert("Vitale", "vitale-family")
    desk = Desk(place.reader)
    desk.sitting = Sitting(own.clock, timedelta(hours=1), 100)
    seat = Seat(
        own, desk, Inbox(bench.directory("inbox")), Maildir(bench.directory("mailbox")), lambda _: None,
        lot_after=timedelta(seconds=0.5), has_api=True,
    )  # fmt: skip
    daemon = Daemon([seat], SmtpSender("127.0.0.1", receiver.port), lambda _: None, pause=0.1)
    tokens = bench.root / "tokens.json"
    service, codes = Service(daemon, Tokens(tokens)), Codes.beside(tokens)
    panel = BenchPanel(bench, place, lambda days: receiver.advance(days, 86_400.0))
    site = Site(service, codes, guest=panel)
    port = stack.enter_context(serving(service, "127.0.0.1", 0, site.door()))
    stop = Event()
    thread = Thread(target=daemon.run, args=(stop,), name="gateway")
    thread.start()
    stack.callback(thread.join)
    stack.callback(stop.set)
    at = f"http://127.0.0.1:{port}"
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.get(at + site.link(PRACTICE))
    WebDriverWait(browser, PATIENCE).until(lambda seen: seen.title.startswith("Bureau"))
    return Practice(at, place, bench, seat, browser)


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the console had to say: scripts that failed, policies that were broken, addresses that refused.

    A stream that ended with its gateway, and the status of a form that was refused as it should be, are none.
    """
    expected = re.compile(r"/evenements|status of (409|403|422)|net::ERR_")
    return [line["message"] for line in browser.get_log("browser") if not expected.search(line["message"])]


def test_from_a_card_to_a_paid_sheet(practice: Practice) -> None:
    """PIN, two clicks, and the sheet is signed, sent, acknowledged and paid, as the desk shows by itself."""
    practice.until("carte CPS est déverrouillée", ".slot.vitale")
    practice.unlock()
    practice.until("ALICE TEST-ALPHA", ".slot.vitale")
    practice.click("#usuel-1")
    practice.until("30,00", "#prix")
    practice.click("#signer")
    practice.until("La feuille 1 est signée")
    practice.until("acceptée", "#fiche .head")
    practice.go("/feuille/nouvelle?personne=2&actes=G")
    practice.click("input[name=tiers][value=amo]")
    practice.until("9,00", "#reste")
    practice.click("#signer")
    practice.until("acceptée", "#fiche .head")
    practice.go("/")
    practice.click("#banc-jours-10")
    practice.until("payée", "tbody tr:first-child")
    practice.go("/paiements")
    practice.until("21,00", "tbody tr")
    practice.go("/releve")
    practice.until("60,00", ".sums")


def test_a_card_pulled_out_and_a_wrong_pin(practice: Practice) -> None:
    """A wrong PIN is said; the desk sees cards come and go by itself; Signer without one is refused, and
    nothing of what was typed is lost."""
    practice.one("#pin").send_keys("0000\n")
    practice.until("code porteur est faux")
    practice.unlock()
    practice.go("/feuille/nouvelle?actes=G")
    practice.one("#a0-montant").send_keys("42,50")
    practice.until("42,50", "#prix")
    practice.place.remove("Vitale")
    practice.click("#signer")
    practice.until("Aucune carte dans la fente")
    assert practice.one("#a0-montant").get_attribute("value") == "42,50"
    practice.insert("Vitale", "vitale-family")
    practice.until("42,50", "#prix")
    practice.click("#signer")
    practice.until("La feuille 1 est signée")
    practice.go("/")
    practice.place.remove("Vitale")
    practice.until("Insérez la carte Vitale", ".slot.vitale")
    practice.insert("Vitale", "vitale-single")
    practice.until("BRUNO TEST-BRAVO", ".slot.vitale")


def test_a_refusal_and_its_rectification(practice: Practice) -> None:
    """A wrong key is refused by the receipt; with the right card the corrected sheet replaces it."""
    practice.insert("Vitale", "vitale-wrong-key")
    practice.unlock()
    practice.click("#usuel-1")
    practice.click("#signer")
    practice.until("refusée", "#fiche .head")
    practice.go("/a-reprendre")
    practice.until("Refusée par l'accusé", "main")
    practice.insert("Vitale", "vitale-single")
    practice.click("article .primary")
    practice.until("Refaire la feuille 1", "h1")
    practice.until("BRUNO TEST-BRAVO", "form")
    practice.click("#signer")
    practice.until("La feuille 2 est signée")
    practice.until("acceptée", "#fiche .head")
    practice.go("/a-reprendre")
    practice.until("Rien à reprendre")


def test_the_keyboard_alone(practice: Practice) -> None:
    """From the PIN to the signed sheet without a mouse: Tab reaches everything, where it is can be seen."""

    def tab_to(fits: Callable[[WebElement], bool]) -> WebElement:
        for _ in range(60):
            practice.browser.switch_to.active_element.send_keys(Keys.TAB)
            found = practice.browser.switch_to.active_element
            if fits(found):
                outline = practice.browser.execute_script(
                    "const style = getComputedStyle(arguments[0]); return style.outlineStyle",
                    found,
                )
                assert outline.startswith("solid"), outline
                return found
        raise AssertionError("Tab never gets there")

    practice.go("/")
    practice.browser.switch_to.active_element.send_keys(Keys.TAB)
    assert practice.browser.switch_to.active_element.get_attribute("class") == "skip"
    tab_to(lambda found: found.get_attribute("id") == "pin").send_keys("1234" + Keys.ENTER)
    practice.until("Déverrouillée")
    practice.until("ALICE", ".slot.vitale")
    tab_to(lambda found: found.get_attribute("id") == "usuel-1").send_keys(Keys.ENTER)
    practice.until("30,00", "#prix")
    tab_to(lambda found: found.get_attribute("name") == "tiers").send_keys(Keys.ARROW_DOWN)
    practice.until("9,00", "#reste")
    tab_to(lambda found: found.get_attribute("id") == "signer").send_keys(Keys.ENTER)
    practice.until("La feuille 1 est signée")


def test_a_phone_and_english(practice: Practice) -> None:
    """At 360 pixels no page scrolls sideways and every field has a name; the switch changes the language
    for good."""
    practice.unlock()
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    practice.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for path in PAGES:
            practice.go(path)
            assert practice.browser.execute_script("return document.documentElement.scrollWidth") <= 360, path
            assert json.loads(practice.browser.execute_script(_NAMELESS)) == [], path
        practice.go("/")
        practice.click(".tools a[hreflang=en]")
        practice.until("Desk", "h1")
        practice.go("/feuille/nouvelle?actes=G")
        practice.until("By the patient", "#prix")
        practice.click("#signer")
        practice.until("Sheet 1 is signed")
    finally:
        practice.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_newcomer_needs_the_panel_only(practice: Practice) -> None:
    """Another card goes in and out by the panel of the bench, the sheet is signed and paid, no terminal."""
    practice.unlock()
    Select(practice.one("#banc-vitale")).select_by_value("vitale-single")
    practice.click("#banc-inserer-vitale")
    practice.until("BRUNO TEST-BRAVO", ".slot.vitale")
    practice.click("#banc-retirer-vitale")
    practice.until("Insérez la carte Vitale", ".slot.vitale")


def test_without_a_script(practice: Practice) -> None:
    """Scripts switched off: the same two clicks make a sheet, a button works out the price."""
    practice.unlock()
    practice.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        practice.go("/")
        practice.click_plain("#usuel-1")
        practice.until("30,00", "#prix")
        practice.click_plain("#signer")
        practice.until("La feuille 1 est signée")
    finally:
        practice.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


_NAMELESS = """
const named = (one) => one.labels?.length || one.ariaLabel || one.type === "hidden";
const fields = [...document.querySelectorAll("input, select, textarea")].filter((one) => !named(one));
const speaks = (one) => one.textContent.trim() || one.ariaLabel;
const mute = [...document.querySelectorAll("a, button")].filter((one) => !speaks(one));
return JSON.stringify([...fields, ...mute].map((one) => one.outerHTML));
"""
