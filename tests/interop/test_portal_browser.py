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
from tools.portal.register import Seal
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
    WebDriverWait(browser, 20).until(lambda seen: "Remboursements" in seen.title)


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
        assert "remboursé" in row

        browser.find_element(By.LINK_TEXT, "Participations et franchises").send_keys("\n")
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


def test_the_pages_fit_a_phone(bench: Bench, receiver: RunningReceiver, browser: webdriver.Chrome) -> None:
    """At 390 pixels no page is wider than the screen; wide tables scroll inside themselves."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    sign_in(browser, receiver, Seal.beside(bench.directory("receiver")).code(WHO))
    pages = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, "nav a")]
    assert len(pages) == 7
    for page in pages:
        browser.get(str(page))
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert browser.find_element(By.TAG_NAME, "h1").text
