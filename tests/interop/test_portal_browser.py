"""A journey in a real browser: look at reimbursements, declare a card stolen, see the gateway refuse it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.clock import SystemClock, system_rng
from gateway.config import load_config
from gateway.delivery import send_due
from gateway.desk import Desk
from gateway.errors import CardRefusal
from gateway.exchange.calendar import legal_day
from gateway.exchange.smtp import SmtpSender
from gateway.pipeline import bill, make_lots
from gateway.start import Refresher, open_practice
from reader.emulated import EmulatedReader
from tests.interop.bench_pcscd import needs
from tools.bench import PRACTICE, TEST_PIN, Bench
from tools.portal.register import CONTROLLER, Seal
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import RunningReceiver, start_receiver

pytestmark = [pytest.mark.interop, pytest.mark.slow]

WHO = "vitale-single"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Chromium with a profile of its own."""
    needs("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'chromium'}", "--window-size=1200,900"):
        options.add_argument(flag)
    made = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield made
    made.quit()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A world with a doctor's card and a patient's."""
    made = Bench(tmp_path / "world")
    made.make_cards(["cps-gp-sector1", WHO])
    return made


@pytest.fixture
def receiver(bench: Bench) -> Iterator[RunningReceiver]:
    """The receiver with its portal, publishing the list that the gateway of the settings reads."""
    running = start_receiver(
        ReceiverConfig(
            authority=bench.directory("authority"),
            state=bench.directory("receiver"),
            maildir=bench.directory("mailbox"),
            practice=PRACTICE,
            opposition=bench.opposition_file,
            portal_port=0,
            say=lambda _: None,
        )
    )
    yield running
    running.stop()


def sign_in(browser: webdriver.Chrome, receiver: RunningReceiver, code: str) -> None:
    browser.get(f"http://127.0.0.1:{receiver.portal_port}/")
    browser.find_element(By.ID, "code").send_keys(code + "\n")
    WebDriverWait(browser, 20).until(lambda seen: seen.find_elements(By.TAG_NAME, "nav"))


def test_reimbursements_then_a_stolen_card_that_the_gateway_refuses(
    bench: Bench, receiver: RunningReceiver, browser: webdriver.Chrome
) -> None:
    """A sheet is billed, seen as 19.00 repaid; the card is declared stolen by keyboard, and bills no more."""
    clock = SystemClock()
    config = load_config(bench.write_settings(receiver.port))
    practice = open_practice(config, clock, system_rng)
    refresh = Refresher(config)
    act = CareAct(legal_day(clock.now()), (Act("G"),), third_party="none")
    with closing(practice.store), EmulatedReader() as reader:
        reader.insert("CPS", bench.card("cps-gp-sector1"))
        reader.insert("Vitale", bench.card(WHO))
        desk = Desk(reader)
        cps = desk.unlock(TEST_PIN)
        with desk.vitale() as vitale:
            bill(practice, cps, vitale, act)
        make_lots(practice, cps)
        with closing(SmtpSender("127.0.0.1", receiver.port)) as sender:
            assert send_due(practice.store, sender, clock, system_rng).sent == 1

        sign_in(browser, receiver, Seal.beside(bench.directory("receiver")).code(WHO))
        row = browser.find_element(By.CSS_SELECTOR, "tbody tr").text
        assert "19,00 €" in row
        assert "à verser le" in row

        browser.find_element(By.LINK_TEXT, "Retenues").send_keys("\n")
        WebDriverWait(browser, 20).until(lambda seen: "franchises" in seen.title)
        assert "2,00 € sur 50,00 €" in browser.find_element(By.TAG_NAME, "main").text

        browser.find_element(By.LINK_TEXT, "Carte Vitale").send_keys("\n")
        WebDriverWait(browser, 20).until(lambda seen: "Carte Vitale" in seen.title)
        assert browser.find_element(By.ID, "etat").text == "en service"
        browser.find_element(By.CSS_SELECTOR, "input[value=V]").send_keys(" ")
        browser.find_element(By.CSS_SELECTOR, "button.danger").send_keys("\n")
        WebDriverWait(browser, 20).until(lambda seen: seen.find_elements(By.CSS_SELECTOR, "[role=status]"))
        assert "volée" in browser.find_element(By.ID, "etat").text

        practice = refresh(practice)
        with desk.vitale() as vitale, pytest.raises(CardRefusal) as refused:
            bill(practice, cps, vitale, act)
        assert refused.value.code == "card-opposed"


CONTRAST = """
const linear = c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = c => 0.2126 * linear(c[0] / 255) + 0.7152 * linear(c[1] / 255) + 0.0722 * linear(c[2] / 255);
const colour = text => text.match(/[0-9.]+/g).map(Number);
const ground = one => {
  for (; one; one = one.parentElement) {
    const c = colour(getComputedStyle(one).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll("body *")].filter(one => one.checkVisibility() &&
  [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())).map(one => {
    const [a, b] = [light(colour(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), one.textContent.trim().slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5);
"""
"""Visible texts whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3)."""
UNNAMED = """
return [...document.querySelectorAll("input:not([type=hidden]), select, button, a")].filter(one =>
  !(one.labels && one.labels.length) && !one.textContent.trim() && !one.getAttribute("aria-label"))
  .map(one => one.outerHTML);
"""
"""Controls that nothing names for who does not see them."""


@pytest.fixture
def sheets(bench: Bench, receiver: RunningReceiver) -> None:
    """A sheet paid at the desk, and one with third-party payment, both received."""
    clock = SystemClock()
    practice = open_practice(load_config(bench.write_settings(receiver.port)), clock, system_rng)
    with closing(practice.store), EmulatedReader() as reader:
        reader.insert("CPS", bench.card("cps-gp-sector1"))
        reader.insert("Vitale", bench.card(WHO))
        desk = Desk(reader)
        cps = desk.unlock(TEST_PIN)
        for third_party in ("none", "amo"):
            with desk.vitale() as vitale:
                bill(
                    practice,
                    cps,
                    vitale,
                    CareAct(legal_day(clock.now()), (Act("G"),), third_party=third_party),
                )
        make_lots(practice, cps)
        with closing(SmtpSender("127.0.0.1", receiver.port)) as sender:
            assert send_due(practice.store, sender, clock, system_rng).sent == 1


@pytest.mark.parametrize(("who", "count"), [(WHO, 9), (CONTROLLER, 5)])
def test_every_page_fits_a_phone_and_can_be_read(
    sheets: None, bench: Bench, receiver: RunningReceiver, browser: webdriver.Chrome, who: str, count: int
) -> None:
    """At 360 pixels, with sheets, no page is wider than the screen, no text too pale, no control nameless."""
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    sign_in(browser, receiver, Seal.beside(bench.directory("receiver")).code(who))
    pages = [str(link.get_attribute("href")) for link in browser.find_elements(By.CSS_SELECTOR, "nav a")]
    assert len(pages) == count
    for page in pages:
        browser.get(page)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360, page
        assert browser.find_element(By.TAG_NAME, "h1").text
        assert browser.execute_script(CONTRAST) == [], page
        assert browser.execute_script(UNNAMED) == [], page
