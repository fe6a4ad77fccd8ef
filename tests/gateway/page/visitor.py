"""A gateway with its page, asked in this process: cards in it, a relay that takes everything, no socket."""

from __future__ import annotations

import asyncio
import html
import re
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from gateway.api.app import make_app
from gateway.api.service import Service
from gateway.api.tokens import Tokens
from gateway.clock import system_rng
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.exchange.mailbox import Maildir
from gateway.inbox import Inbox
from gateway.page.codes import Codes
from gateway.page.site import Site
from gateway.practice import Practice
from gateway.seat import Seat
from gateway.sitting import Sitting
from reader.emulated import EmulatedReader
from tests.gateway.api.conftest import Relay
from tools.bench import Bench

PIN = "1234"
HOST = "127.0.0.1:8420"


@dataclass
class Browser:
    """A browser of a few lines: cookies, forms with their key, one application. `page` without escapes."""

    app: Any
    cookies: dict[str, str] = field(default_factory=dict)
    status: int = 0
    raw: str = ""
    page: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> int:
        """One request as given; the status."""
        asyncio.run(self._ask(method, path, body.encode(), headers))
        return self.status

    def get(self, path: str, **headers: str) -> int:
        """A page."""
        return self.ask("GET", path, **headers)

    def send(self, page: str, path: str, follow: bool = True, **form: str) -> int:
        """A form of a page, with the keys in it; the page it leads to is opened. The status of the form."""
        if page:
            assert self.get(page) == 200, self.page
        keys = {"cle": self.hidden("cle")}
        if unique := self.hidden("unique"):
            keys["unique"] = unique
        status = self.ask("POST", path, urlencode(keys | form))
        if status == 303 and follow:
            self.get(self.headers["location"])
        return status

    def hidden(self, name: str) -> str:
        """A hidden field of the last page."""
        match = re.search(rf'name="{name}" value="([^"]*)"', self.raw)
        return match[1] if match else ""

    def enter(self, code: str) -> int:
        """Sign in."""
        return self.send("/connexion", "/connexion", code=code)

    async def _ask(self, method: str, path: str, body: bytes, extra: dict[str, str]) -> None:
        given = {"host": HOST, "content-type": "application/x-www-form-urlencoded"}
        given |= {"content-length": str(len(body)), **{k.replace("_", "-"): v for k, v in extra.items()}}
        if self.cookies:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        where, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": where, "raw_path": where.encode(), "query_string": query.encode(),
            "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8420),
            "headers": [(k.lower().encode(), v.encode()) for k, v in given.items()],
        }  # fmt: skip
        sent: list[dict[str, Any]] = []
        asked = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if asked:
                return asked.pop()
            await asyncio.sleep(3600)  # a browser that stays
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = sent[0]
        self.status = start["status"]
        pairs = [(name.decode().lower(), value.decode()) for name, value in start["headers"]]
        self.headers = dict(pairs)
        self.set_cookies = [value for name, value in pairs if name == "set-cookie"]
        for cookie in self.set_cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        self.raw = b"".join(message.get("body", b"") for message in sent[1:]).decode("utf-8", "replace")
        self.page = html.unescape(self.raw)


@dataclass
class Rig:
    """The gateway under test, with a page and one code for its practice."""

    bench: Bench
    practice: Practice
    reader: EmulatedReader
    service: Service
    site: Site
    code: str
    app: Any
    said: list[str]
    relay: Relay

    @property
    def desk(self) -> Desk:
        """The desk of the practice."""
        found = self.service.daemon.seats[0].desk
        assert found is not None
        return found

    def browser(self, code: str | None = None) -> Browser:
        """A browser that is signed in."""
        made = Browser(self.app)
        assert made.enter(self.code if code is None else code) == 303
        return made

    def insert(self, slot: str, profile: str) -> None:
        """Put a card in, made at first use."""
        self.bench.make_cards([profile])
        self.reader.slot(slot).remove()
        self.reader.insert(slot, self.bench.card(profile))


def open_rig(bench: Bench, stack: ExitStack, *, others: tuple[str, ...] = ()) -> Rig:
    """The gateway over this world; everything ends with the stack. `others`: practices without a reader."""
    practice, said = bench.practice(), list[str]()
    stack.enter_context(closing(practice.store))
    reader = stack.enter_context(EmulatedReader())
    reader.insert("CPS", bench.card("cps-gp-sector1"))
    reader.insert("Vitale", bench.card("vitale-family"))
    inbox, mailbox = Inbox(bench.directory("inbox")), Maildir(bench.directory("mailbox"))
    seat = Seat(practice, Desk(reader), inbox, mailbox, said.append, has_api=True)
    relay = Relay()
    beside = [
        Seat(bench.practice(practice.store, practice=name), None, inbox, mailbox, said.append)
        for name in others
    ]
    daemon = Daemon([seat, *beside], relay, said.append)
    assert seat.desk is not None
    seat.desk.sitting = Sitting(practice.clock, timedelta(hours=1), 1000)
    tokens = bench.root / "tokens.json"
    service = Service(daemon, Tokens(tokens))
    codes = Codes.beside(tokens)
    code = codes.new(practice.id, practice.clock, system_rng)
    site = Site(service, codes)
    return Rig(bench, practice, reader, service, site, code, make_app(service, site.door()), said, relay)
