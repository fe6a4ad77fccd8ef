"""The agent's page in a real browser: the link, the question, the PIN typed with the keyboard, what the
card said.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from gateway.agent.page import AgentPage
from gateway.agent.pins import PinQuestions
from gateway.clock import system_rng
from reader.agent.driver import open_agent
from reader.pinpad import PinEntry
from reader.slot import Slot
from tests.gateway.agent.hosting import hosting, until
from tests.interop.test_portal_browser import browser  # noqa: F401 - a fixture
from tests.reader.conftest import ScriptedCard

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def typed_in(driver: webdriver.Chrome, slot: Slot, pin: str, said: str, status: int) -> None:
    """The gateway asks, a person types into the field that has the focus; page and gateway hear the card."""
    heard: list[int] = []
    connection = slot.connect()
    asking = threading.Thread(target=lambda: heard.append(connection.verify_on_pad(PinEntry.for_cps()).sw))
    asking.start()
    wait = WebDriverWait(driver, 30)
    wait.until(lambda found: found.find_elements(By.ID, "pin"))
    driver.switch_to.active_element.send_keys(pin + "\n")
    wait.until(lambda found: said in found.page_source)
    asking.join(30)
    assert heard == [status]


def test_the_pin_is_typed_in_a_browser(browser: webdriver.Chrome, tmp_path: Path) -> None:  # noqa: F811
    """A gateway asks over TLS; a person types and presses Enter; the card gets it, the page says what it
    said.
    """
    card = ScriptedCard(lambda command: b"\x90\x00" if command[5:9] == b"1234" else b"\x63\xc2")
    with ExitStack() as stack:
        hosted = stack.enter_context(hosting(tmp_path))
        identity = hosted.enrolled("desk-1", "cabinet")
        slot = open_agent(["desk-1"], lobby=hosted.lobby, practice="cabinet").slot("CPS")
        hosted.opens()
        pins = PinQuestions()
        running = hosted.agent(identity, pins=pins, CPS=card)
        page = AgentPage(running.agent, pins, system_rng, 0)
        stack.callback(page.close)
        until(lambda: slot.is_present)
        browser.get(page.link)
        assert "Connecté à la passerelle" in browser.page_source
        typed_in(browser, slot, "4321", "essais restants : 2", 0x63C2)
        typed_in(browser, slot, "1234", "code accepté", 0x9000)
        assert not [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
        assert len(card.commands) == 2
