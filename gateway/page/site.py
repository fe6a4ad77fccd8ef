"""The page put together: its parts, its routes, and the one-time links that open it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from gateway.api.service import Service
from gateway.brake import Brake
from gateway.page.codes import Codes
from gateway.page.door import Door
from gateway.page.entrance import Entrance
from gateway.page.pages_desk import DeskPages
from gateway.page.pages_lots import LotPages
from gateway.page.pages_money import MoneyPages
from gateway.page.pages_new import NewPages
from gateway.page.pages_sheets import SheetPages
from gateway.page.sessions import Sessions
from gateway.page.views import Panel, Views
from gateway.page.visit import Route, Routes


class Guest(Protocol):
    """What a bench puts beside the product: a panel on the desk, and the forms in it."""

    def routes(self) -> Routes:
        """Method and path → page."""
        ...

    @property
    def panel(self) -> Panel:
        """The HTML that stands at the foot of every page."""
        ...


@dataclass
class Site:
    """The page of one gateway. `hosts`: names under which a TLS proxy offers it, beside this machine's."""

    service: Service
    codes: Codes
    language: str = "fr"
    hosts: Collection[str] = ()
    guest: Guest | None = None
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.service.clock, self.service.daemon.practice.rng)

    def door(self) -> Door:
        """The application."""
        views = Views(None if self.guest is None else self.guest.panel)
        routes: dict[tuple[str, str], Route] = {}
        entrance = Entrance(views, self.codes, self.sessions, Brake(self.service.clock))
        for pages in (entrance, DeskPages(views), NewPages(views), SheetPages(views), LotPages(views),
                      MoneyPages(views)):  # fmt: skip
            routes |= pages.routes()
        if self.guest is not None:
            routes |= self.guest.routes()
        return Door(self.service, routes, self.sessions, views, self.language, self.hosts)

    def link(self, practice: str) -> str:
        """The path that signs in once, within an hour."""
        return f"/entrer/{self.sessions.link(practice)}"
