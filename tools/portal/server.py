"""The portal beside a running receiver: put together from its parts, served by uvicorn in one thread."""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from gateway.brake import Brake
from gateway.errors import InputError
from tools.portal.accounts import Accounts
from tools.portal.app import make_app
from tools.portal.controller_pages import ControllerPages
from tools.portal.entrance import Entrance
from tools.portal.insured_pages import InsuredPages
from tools.portal.money_pages import MoneyPages
from tools.portal.office import Office
from tools.portal.paper_pages import PaperPages
from tools.portal.postings import Follower
from tools.portal.register import Register, Seal
from tools.portal.sessions import Sessions
from tools.portal.state import State
from tools.portal.treasury import Treasury
from tools.portal.views import Views
from tools.receiver.api import Actions
from tools.receiver.config import ReceiverConfig
from tools.receiver.server import is_loopback

if TYPE_CHECKING:
    from tools.receiver.service import Parts

ORDERS = "cartes-commandees"
"""The folder of the state directory in which ordered cards are found."""


def portal_office(config: ReceiverConfig, parts: Parts) -> Office:
    """The desk behind the pages, with everything decided earlier in force."""
    office = Office(
        state=State(parts.ledger),
        register=Register(Seal.beside(config.state), config.profiles),
        receiver=parts.receiver,
        clerk=parts.clerk,
        insured=parts.insured,
        insurers=parts.insurers,
        tables=parts.tables,
        issuer=parts.authority.issuer,
        publisher=parts.publisher,
        orders=config.state / ORDERS,
        clock=config.clock,
        rng=config.rng,
    )
    office.put_in_force()
    return office


def portal_app(config: ReceiverConfig, parts: Parts, actions: Actions, office: Office) -> FastAPI:
    """The whole portal as an application."""
    views, sessions = Views(), Sessions(config.clock, config.rng)
    treasury = Treasury(parts.ledger, parts.vault, config.clock)
    treasury.register(office.register, parts.insured)
    accounts = Accounts(parts.ledger, parts.vault, office.register, parts.tables, treasury)
    seal = office.register.seal
    follower = Follower(parts.ledger, parts.vault, seal, parts.insured, parts.practitioners, parts.tables)
    insured = InsuredPages(office, parts.insured, views)
    money = MoneyPages(office, accounts, treasury, views, follower)
    staff, paper = ControllerPages(office, actions, views), PaperPages(office, actions, views)
    entrance = Entrance(office.register, sessions, Brake(config.clock), views)
    routes = {**money.routes(), **insured.routes(), **staff.routes(), **paper.routes()}
    return make_app(routes, entrance, sessions, views)


class Portal:
    """A portal that listens on loopback: `port` says where, `close` ends it."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self._listener = _listen(host, port)
        self.port: int = self._listener.getsockname()[1]
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # no address, no traceback reaches a log
        settings = uvicorn.Config(
            app, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, limit_concurrency=64, timeout_keep_alive=5, timeout_graceful_shutdown=2,
        )  # fmt: skip
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="portal", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


def _listen(host: str, port: int) -> socket.socket:
    if not is_loopback(host):
        raise InputError(f"{host} is not a loopback address: the portal listens on 127.0.0.1 or ::1 only")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=64)
    except (OSError, OverflowError):
        raise InputError(f"port {port} of {host} cannot be used for the portal; choose another") from None
