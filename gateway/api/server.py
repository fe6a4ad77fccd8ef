"""The API at its port: uvicorn in a thread of its own, on a socket that is taken before anything starts."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from gateway.api import health
from gateway.api.app import Page, make_app
from gateway.api.limits import PatientProtocol
from gateway.api.service import Service
from gateway.errors import GatewayError, InputError
from gateway.redact import RedactingFilter

BACKLOG, KEEP_ALIVE, GRACE = 64, 15, 2
MAX_HEAD = 16 * 1024
"""Bytes of a request's head."""


@contextmanager
def serving(service: Service, address: str, port: int, page: Page | None = None) -> Iterator[int]:
    """The API while the block runs; the port (that was free, when 0 was asked). InputError: it is taken.

    `page`: the practice's page, for every address that the API does not have. An API that ends by itself ends
    the gateway, in good order: who starts it starts it again.
    """
    with _listening(address, port) as listener:
        app = make_app(service, page)
        health.watch(app, service.daemon)
        server = _Server(_settings(app), lambda: service.daemon.pulse.beat("api"))
        app.state.connections = lambda: len(server.server_state.connections)
        thread = threading.Thread(target=_run, args=(server, listener, service), name="api")
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            service.stop.set()
            server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    """uvicorn that gives a sign of life ten times a second, as long as its loop turns."""

    def __init__(self, settings: uvicorn.Config, beat: Callable[[], None]) -> None:
        super().__init__(settings)
        self._beat = beat

    async def on_tick(self, counter: int) -> bool:
        """As often as the loop turns."""
        self._beat()
        return await super().on_tick(counter)


def _run(server: _Server, listener: socket.socket, service: Service) -> None:
    """The whole life of the API's thread."""
    why = ""
    try:
        server.run([listener])
    except BaseException as mistake:  # whatever it is: nobody else would hear of it
        why = f" ({type(mistake).__name__})"
    finally:
        service.daemon.pulse.ended("api")
        if not service.stop.is_set():
            sentence = f"the API ended by itself{why}: the gateway stops, start it again"
            service.daemon.fail(GatewayError(sentence, code="api-ended"))


def _settings(app: FastAPI) -> uvicorn.Config:
    _quiet()
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=MAX_HEAD,
    )


def _quiet() -> None:
    """uvicorn says nothing of its own: no address that was asked for, no traceback, reaches a log."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL)
        logger.addFilter(RedactingFilter())


def _listening(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        made = socket.create_server((address, port), family=family, backlog=BACKLOG)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # those that it accepts have it too
        return made
    except OSError as problem:
        raise InputError(
            f"port {port} of {address} cannot be used for the API ({problem.strerror}): "
            "stop the program that has it, or choose another port in [api]"
        ) from None
