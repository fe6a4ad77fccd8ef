"""The API at its port: uvicorn in a thread of its own, on a socket that is taken before anything starts."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from gateway.api.app import make_app
from gateway.api.limits import PatientProtocol
from gateway.api.service import Service
from gateway.errors import InputError
from gateway.redact import RedactingFilter

BACKLOG, KEEP_ALIVE, GRACE = 64, 15, 2
MAX_HEAD = 16 * 1024
"""Bytes of a request's head."""


@contextmanager
def serving(service: Service, address: str, port: int) -> Iterator[int]:
    """The API while the block runs; the port (that was free, when 0 was asked). InputError: it is taken."""
    with _listening(address, port) as listener:
        app = make_app(service)
        server = uvicorn.Server(_settings(app))
        app.state.connections = lambda: len(server.server_state.connections)
        thread = threading.Thread(target=server.run, args=([listener],), name="api")
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            service.stop.set()
            server.should_exit = True
            thread.join()


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
