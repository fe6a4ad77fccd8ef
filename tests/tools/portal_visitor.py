"""A browser of a few lines for the portal's tests: cookies, forms with their key, nothing else."""

from __future__ import annotations

import html
import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gateway.pki.opposition import OppositionList, encode_base
from tools.portal.office import Office
from tools.portal.register import Seal
from tools.portal.server import Portal, portal_app, portal_office
from tools.receiver.api import Actions, Controls
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import opposition_publisher

if TYPE_CHECKING:
    from conftest import Bench

FORM = "application/x-www-form-urlencoded"


@dataclass
class Visitor:
    """One browser at one portal. `page` is the last page, without its escapes."""

    port: int
    cookie: str = ""
    page: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> int:
        """One request as given; the status."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        cookie = {"Cookie": f"portail={self.cookie}"} if self.cookie else {}
        try:
            link.request(method, path, body, {"Content-Type": FORM, **cookie, **headers})
            answer = link.getresponse()
            self.raw = answer.read()
            self.page = html.unescape(self.raw.decode("utf-8", "replace"))
            self.headers = dict(answer.headers.items())
            if match := re.match(r"portail=([0-9a-f]+)", answer.headers.get("Set-Cookie", "")):
                self.cookie = match[1]
            return answer.status
        finally:
            link.close()

    def get(self, path: str) -> int:
        """A page."""
        return self.ask("GET", path)

    @property
    def key(self) -> str:
        """The form key of the last page."""
        match = re.search(r'name="cle" value="([0-9a-f]{64})"', self.page)
        return "" if match is None else match[1]

    def send(self, page: str, path: str, **form: str) -> int:
        """A form of a page, with its key; the page it leads to is opened."""
        self.get(page)
        status = self.ask("POST", path, urlencode({"cle": self.key, **form}))
        if status == 303:
            self.get(self.headers["location"])
        return status

    def enter(self, code: str) -> int:
        """Sign in."""
        return self.send("/", "/connexion", code=code)


@dataclass
class Site:
    """A portal over a receiver without network."""

    bench: Bench
    port: int
    seal: Seal
    opposition: Path
    config: ReceiverConfig
    office: Office

    def visitor(self, name: str = "") -> Visitor:
        """A browser, signed in as this profile (or as `controleur`) when one is named."""
        visitor = Visitor(self.port)
        if name:
            assert visitor.enter(self.seal.code(name)) == 303
        return visitor


@contextmanager
def serving(bench: Bench, config: ReceiverConfig, opposition: Path) -> Iterator[Site]:
    """The portal on a port of its own."""
    clock = bench.clock
    OppositionList.parse(encode_base(1, clock.now(), [])).save(opposition)
    parts = bench.parts
    parts.publisher = opposition_publisher(config, parts.receiver)
    controls = Controls(
        parts.ledger, parts.faults, lambda _: 0, lambda: clock.now().timestamp(), lambda: None,
        parts.counter,
    )  # fmt: skip
    office = portal_office(config, parts)
    portal = Portal(portal_app(config, parts, Actions(controls), office), "127.0.0.1", 0)
    try:
        yield Site(bench, portal.port, Seal.beside(config.state), opposition, config, office)
    finally:
        portal.close()
