"""The agent's page: who gets in, what a form may do, what a browser is told, both languages; the questions
behind it.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.agent import page as page_module
from gateway.agent.page import AgentPage
from gateway.agent.pins import PinQuestions
from gateway.agent.program import Agent
from gateway.agent.settings import AgentSettings
from gateway.clock import SystemClock, system_rng
from gateway.config import ReaderConfig
from gateway.errors import InputError
from reader.emulated import EmulatedReader
from reader.pinpad import CANCELLED, TIMED_OUT, Digits, NotEntered, PinEntry
from reader.transport.tls import Identity
from tests.gateway.agent.browser import Browser
from tests.gateway.agent.hosting import PATIENCE, until
from tests.reader.byte_cards import EchoCard


@pytest.fixture
def page(tmp_path: Path) -> Iterator[AgentPage]:
    """The page of an agent that has a CPS in its reader; the agent itself is not at work."""
    identity = Identity(tmp_path / "c", tmp_path / "k", tmp_path / "a")
    settings = AgentSettings("127.0.0.1", 8430, identity, ReaderConfig("test", ()), 0, "fr", tmp_path)
    agent = Agent(settings, None, SystemClock(), system_rng, lambda _line: None)
    with EmulatedReader() as local:
        local.insert("CPS", EchoCard())
        agent.slots = local.slots
        made = AgentPage(agent, PinQuestions(agent.say), system_rng, 0)
        yield made
        made.close()


@pytest.fixture
def browser(page: AgentPage) -> Browser:
    """A browser that has opened the link."""
    made = Browser(page.port)
    parts = urlsplit(page.link)
    assert made.ask(f"{parts.path}?{parts.query}").status == 303
    return made


class Asked:
    """A question that a thread asks, and what became of it."""

    def __init__(self, pins: PinQuestions, seconds: int = 30) -> None:
        self.answers: list[Digits | NotEntered] = []
        self.cancelled = threading.Event()
        entry = replace(PinEntry.for_cps(), timeout_seconds=seconds)
        self._thread = threading.Thread(
            target=lambda: self.answers.append(pins.ask("CPS", entry, self.cancelled)), daemon=True
        )
        self._thread.start()
        until(pins.open, "the question")

    def answer(self) -> Digits | NotEntered:
        self._thread.join(PATIENCE)
        return self.answers[0]


def test_the_link_is_good_once(page: AgentPage, browser: Browser, tmp_path: Path) -> None:
    """Opened: it opens nothing any more; the file holds another one, which only its owner reads."""
    parts = urlsplit(page.link)
    assert Browser(page.port).ask(f"{parts.path}?{parts.query}").status == 403
    file = tmp_path / page_module.LINK_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    other = urlsplit(file.read_text().strip())
    assert other.query != parts.query
    assert Browser(page.port).ask(f"{other.path}?{other.query}").status == 303
    assert browser.ask("/").status == 200


@pytest.mark.parametrize("path", ["/", "/open", "/open?code=", "/open?code=x", "/nothing", "/pin"])
def test_without_the_link_nothing_is_shown(page: AgentPage, path: str) -> None:
    """Readers, cards and questions are for whoever has the link; others hear how to get one."""
    Asked(page.pins)
    answer = Browser(page.port).ask(path)
    assert answer.status in (403, 404)
    assert "CPS" not in answer.body
    assert "vitale-gateway agent page" in answer.body


def test_the_pin_is_typed(page: AgentPage, browser: Browser) -> None:
    """The form's digits reach the one who asked, and nothing of them stays: not in the page, not in its
    lines.
    """
    asked = Asked(page.pins)
    form = {
        "csrf": browser.hidden("csrf"),
        "question": browser.hidden("question"),
        "pin": "7391",
        "do": "give",
    }
    answer = browser.ask("/pin", form)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    typed = asked.answer()
    assert isinstance(typed, Digits)
    assert typed.reveal() == b"7391"
    assert "7391" not in browser.ask("/").body
    assert not any("7391" in line for line in page.agent.lines)
    assert browser.ask("/pin", form).status == 303
    assert "Ce code n&#x27;est plus demandé" in browser.ask("/").body


def test_the_cancel_button(page: AgentPage, browser: Browser) -> None:
    """The red key of the page: the gateway hears that it was cancelled."""
    asked = Asked(page.pins)
    form = {"csrf": browser.hidden("csrf"), "question": browser.hidden("question"), "pin": "", "do": "cancel"}
    browser.ask("/pin", form)
    assert asked.answer() is CANCELLED


def test_what_is_no_digit_is_typed_again(page: AgentPage, browser: Browser) -> None:
    """Letters spend no try: the question stays, the page says why."""
    asked = Asked(page.pins)
    form = {
        "csrf": browser.hidden("csrf"),
        "question": browser.hidden("question"),
        "pin": "12a4",
        "do": "give",
    }
    browser.ask("/pin", form)
    assert "rien n&#x27;a été envoyé à la carte" in browser.ask("/").body
    assert not asked.answers
    browser.ask("/pin", {**form, "pin": "1234"})
    assert isinstance(asked.answer(), Digits)


FORGED = {
    "no token": ({"csrf": ""}, {}),
    "another token": ({"csrf": "x" * 32}, {}),
    "another site": ({}, {"Origin": "http://evil.test"}),
    "another site, as the browser says": ({}, {"Sec_Fetch_Site": "cross-site"}),
    "another name for this machine": ({}, {"Host": "evil.test"}),
}


@pytest.mark.parametrize("how", FORGED)
def test_forged_forms(page: AgentPage, browser: Browser, how: str) -> None:
    """A form that this page did not make is refused, and the question stays open."""
    asked = Asked(page.pins)
    form = {
        "csrf": browser.hidden("csrf"),
        "question": browser.hidden("question"),
        "pin": "1234",
        "do": "give",
    }
    changed, headers = FORGED[how]
    assert browser.ask("/pin", {**form, **changed}, **headers).status == 403
    assert not asked.answers
    browser.cookies.clear()
    assert browser.ask("/pin", form).status == 403
    assert not asked.answers


def test_another_name_for_this_machine_is_shown_nothing(page: AgentPage, browser: Browser) -> None:
    """A page elsewhere that names itself 127.0.0.1 in the DNS reads nothing here; localhost is this
    machine.
    """
    assert browser.ask("/", Host="evil.test").status == 403
    assert browser.ask("/", Host=f"localhost:{page.port}").status == 200


def test_what_a_browser_is_told(page: AgentPage, browser: Browser) -> None:
    """Nothing is stored, framed, sniffed or sent elsewhere; the PIN field is not remembered."""
    Asked(page.pins)
    answer = browser.ask("/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert '<input id="pin" name="pin" type="password" inputmode="numeric" autocomplete="off"' in answer.body
    assert "<script" not in answer.body
    parts = urlsplit((page.agent.settings.folder / page_module.LINK_FILE).read_text().strip())
    opened = Browser(page.port).ask(f"{parts.path}?{parts.query}")
    assert "HttpOnly" in opened.headers["Set-Cookie"]
    assert "SameSite=Strict" in opened.headers["Set-Cookie"]


def test_both_languages(page: AgentPage, browser: Browser) -> None:
    """French by the settings, English by the switch, kept in a cookie; every text is there in both."""
    from gateway.agent.texts import TEXTS

    assert "Agent lecteur" in browser.ask("/").body
    assert browser.ask("/?lang=en").status == 303
    assert "Reader agent" in browser.ask("/").body
    assert browser.ask("/?lang=xx").status == 200
    assert TEXTS["fr"].keys() == TEXTS["en"].keys()


def test_what_the_card_said_is_shown(page: AgentPage, browser: Browser) -> None:
    """A wrong PIN shows how many tries are left; another card in the slot takes the word away."""
    page.pins.heard("CPS", b"\x63\xc2")
    assert "CPS : code faux, essais restants : 2." in browser.ask("/").body
    page.pins.heard("CPS", b"\x69\x83")
    assert "la carte est bloquée" in browser.ask("/").body
    page.pins.heard("CPS", b"\x90\x00")
    assert "code accepté" in browser.ask("/").body
    page.agent.slots[1].remove()
    assert "code accepté" not in browser.ask("/").body


def test_hostile_names_are_shown_as_text(page: AgentPage, browser: Browser) -> None:
    """HTML in a slot's name or a line is text on the page."""
    page.agent.slots[1].name = "<b>x</b>"
    page.agent.lines.append("<script>alert(1)</script>")
    body = browser.ask("/").body
    assert "<b>x" not in body
    assert "<script" not in body
    assert "&lt;script&gt;" in body


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /pin HTTP/1.1\r\nHost: H\r\nContent-Length: 99999999\r\n\r\n",
        b"POST /pin HTTP/1.1\r\nHost: H\r\nContent-Length: -1\r\n\r\n",
        b"POST /pin HTTP/1.1\r\nHost: H\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: H\r\nCookie: \x00=\xff;;=\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: H\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"GET /open?code=%FF%00 HTTP/1.1\r\nHost: H\r\n\r\n",
    ],
)
def test_odd_requests(page: AgentPage, raw: bytes) -> None:
    """Each is refused or hung up on, and the page goes on."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE) as client:
        client.sendall(raw.replace(b"H\r\n", f"127.0.0.1:{page.port}\r\n".encode(), 1))
        said = client.recv(65_536)
    assert not said or b" 40" in said or b" 50" in said
    assert Browser(page.port).ask("/").status == 403


def test_silent_browsers_hold_nobody(page: AgentPage, browser: Browser, monkeypatch) -> None:
    """As many silent connections as there is room for are let go in time, and a real one is served."""
    monkeypatch.setattr(page_module._Handler, "timeout", 0.3)
    silent = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(page_module.MAX_CLIENTS + 4)]

    def served() -> bool:
        try:
            return browser.ask("/").status == 200
        except (OSError, http.client.HTTPException):
            return False

    until(served, "the page")
    for one in silent:
        one.close()


def test_a_port_that_is_taken(page: AgentPage) -> None:
    """One sentence with the port."""
    with pytest.raises(InputError, match=r"port \d+ of 127.0.0.1 cannot be used for the page"):
        AgentPage(page.agent, page.pins, system_rng, page.port)


# ---- the questions


def test_a_question_that_nobody_answers() -> None:
    """Time over: 'nobody typed', and a late answer is overwritten and not used."""
    now = [0.0]
    pins = PinQuestions(clock=lambda: now[0])
    asked = Asked(pins)
    number = pins.open()[0].number
    now[0] = 31.0
    assert asked.answer() is TIMED_OUT
    late = Digits("1234")
    assert not pins.answer(number, late)
    assert late.reveal() == bytes(4)


def test_a_question_that_the_gateway_gives_up() -> None:
    """Cancelled there: the question goes away at once."""
    pins = PinQuestions()
    asked = Asked(pins)
    asked.cancelled.set()
    assert asked.answer() is CANCELLED
    assert not pins.open()
