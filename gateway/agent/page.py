"""The agent's page on loopback: who may look, who may type the PIN, and what a browser is told to keep to
itself.

A link that is good once opens it, on this machine; from then on a cookie does (HttpOnly, SameSite=Strict).
Every form carries a token of its session; a request under another host name, from another site or too
large is refused. The PIN passes through memory only: no log, no file, no answer holds it.
"""

from __future__ import annotations

import hmac
import threading
from base64 import urlsafe_b64encode
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gateway.agent import show
from gateway.agent.files import write_file
from gateway.agent.pins import PinQuestions
from gateway.agent.program import Agent
from gateway.agent.texts import TEXTS
from gateway.clock import Rng
from gateway.errors import InputError
from reader.pinpad import CANCELLED, Digits

LINK_FILE = "vitale-agent.link"
COOKIE, LANGUAGE = "vitale_agent", "vitale_agent_language"
MAX_BODY, MAX_SESSIONS, MAX_CLIENTS = 1024, 8, 16
PATIENCE = 10.0
"""Seconds a browser has for its request."""


@dataclass
class _Session:
    csrf: str
    message: str = ""


class Door:
    """The link that is good once, and the sessions it opened. The link lies in a file that only its owner
    reads.
    """

    def __init__(self, folder: Path, rng: Rng) -> None:
        self._file, self._rng = folder / LINK_FILE, rng
        self._guard = threading.Lock()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._code, self._place = "", ""

    def open(self, place: str) -> str:
        """The page is at `place` now; its link."""
        self._place = place
        return self._renew()

    def close(self) -> None:
        """The link opens nothing any more."""
        self._code = ""
        self._file.unlink(missing_ok=True)

    def enter(self, code: str) -> str | None:
        """The cookie for whoever has the link, once; None for anybody else."""
        with self._guard:
            if not self._code or not hmac.compare_digest(code.encode(), self._code.encode()):
                return None
            self._renew()
            cookie = self._token()
            self._sessions[cookie] = _Session(self._token())
            while len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
            return cookie

    def session(self, cookie: str) -> _Session | None:
        """The session of a cookie; None when there is none."""
        with self._guard:
            found = [
                kept
                for known, kept in self._sessions.items()
                if hmac.compare_digest(known.encode(), cookie.encode())
            ]
        return found[0] if found else None

    def _renew(self) -> str:
        self._code = self._token()
        link = f"{self._place}/open?code={self._code}"
        write_file(self._file, f"{link}\n".encode())
        return link

    def _token(self) -> str:
        return urlsafe_b64encode(self._rng(24)).decode("ascii")


class AgentPage:
    """The page of one agent, at a port of 127.0.0.1 until `close()`. InputError: the port is taken."""

    def __init__(self, agent: Agent, pins: PinQuestions, rng: Rng, port: int) -> None:
        self.agent, self.pins = agent, pins
        self.door = Door(agent.settings.folder, rng)
        try:
            self._server = _Server(("127.0.0.1", port), self)
        except OSError as problem:
            raise InputError(
                f"port {port} of 127.0.0.1 cannot be used for the page ({problem.strerror}): choose another "
                f"port in "
                "[page]"
            ) from None
        self.port = int(self._server.server_address[1])
        self.link = self.door.open(f"http://127.0.0.1:{self.port}")
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="page", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Nobody is shown anything any more."""
        self._server.shutdown()
        self._server.server_close()
        self.door.close()

    def answer(self, session: _Session, form: dict[str, str], language: str) -> None:
        """The digits of a form, or its cancel button; what to say of it is kept for the next look."""
        text = TEXTS[language]
        number = int(form["question"]) if form.get("question", "").isdecimal() else 0
        if form.get("do") != "give":
            session.message = "" if self.pins.answer(number, CANCELLED) else text["late"]
            return
        try:
            digits = Digits(form.get("pin", ""))
        except ValueError:
            session.message = text["digits"]
            return
        session.message = "" if self.pins.answer(number, digits) else text["late"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 2 * MAX_CLIENTS

    def __init__(self, address: tuple[str, int], page: AgentPage) -> None:
        self.page = page
        self._room = threading.BoundedSemaphore(MAX_CLIENTS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """One more browser, while there is room."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Room again when it has been served."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    connection: socket
    timeout = PATIENCE
    server_version, sys_version = "vitale-agent", ""

    def do_GET(self) -> None:
        """The page, or the link that opens it."""
        if not self._is_ours():
            return
        address = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path == "/open":
            self._open(asked.get("code", ""))
        elif address.path != "/":
            self._refuse(HTTPStatus.NOT_FOUND)
        elif asked.get("lang") in TEXTS:
            self._away(f"{LANGUAGE}={asked['lang']}; Path=/; SameSite=Strict; HttpOnly")
        else:
            self._show()

    def do_POST(self) -> None:
        """The PIN, or the cancel button."""
        if not self._is_ours(writes=True):
            return
        session = self._session()
        form = self._form()
        if session is None or form is None or self.path != "/pin":
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        if not hmac.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        self.server.page.answer(session, form, self._language())
        self._away()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Nothing is logged: a path may hold the link, a body the PIN."""

    def _show(self) -> None:
        page, session, language = self.server.page, self._session(), self._language()
        if session is None:
            self._answer(HTTPStatus.FORBIDDEN, show.closed(language))
            return
        message, session.message = session.message, ""
        self._answer(HTTPStatus.OK, show.whole(page.agent, page.pins, language, session.csrf, message))

    def _open(self, code: str) -> None:
        cookie = self.server.page.door.enter(code)
        if cookie is None:
            self._answer(HTTPStatus.FORBIDDEN, show.closed(self._language()))
            return
        self._away(f"{COOKIE}={cookie}; Path=/; SameSite=Strict; HttpOnly")

    def _is_ours(self, *, writes: bool = False) -> bool:
        """A name of this machine in the address bar, and a form of our own: nobody else's page asks."""
        port = self.server.page.port
        hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        good = host in hosts and (
            not writes or (origin in (None, f"http://{host}") and site in ("none", "same-origin"))
        )
        if not good:
            self._refuse(HTTPStatus.FORBIDDEN)
        return good

    def _form(self) -> dict[str, str] | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return None
        raw = self.rfile.read(int(length))
        try:
            read = parse_qs(raw.decode("ascii"), keep_blank_values=True, max_num_fields=8)
        except ValueError:
            return None
        return {name: values[0] for name, values in read.items()}

    def _cookies(self) -> dict[str, str]:
        try:
            return {
                name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()
            }
        except CookieError:
            return {}

    def _session(self) -> _Session | None:
        return self.server.page.door.session(self._cookies().get(COOKIE, ""))

    def _language(self) -> str:
        chosen = self._cookies().get(LANGUAGE, "")
        return chosen if chosen in TEXTS else self.server.page.agent.settings.language

    def _refuse(self, status: HTTPStatus) -> None:
        self._answer(status, show.closed(self._language()))

    def _away(self, *cookies: str) -> None:
        """To the page itself, so that nothing is sent twice."""
        self.send_response(HTTPStatus.SEE_OTHER)
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Location", "/")
        self._headers(0)

    def _answer(self, status: HTTPStatus, html: str) -> None:
        body = html.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self._headers(len(body))
        self.wfile.write(body)

    def _headers(self, length: int) -> None:
        self.send_header("Content-Length", str(length))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", show.POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "same-origin")  # without any, forms say Origin: null
        self.send_header("Connection", "close")
        self.end_headers()
