"""Fetching what is published over HTTP: one GET, bounded in time and size, this machine only by default.

The line is not trusted: what it carries is signed. So there are no cookies, no redirects, no proxies, and
nothing of an answer is kept but its status and its body.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection

from gateway.errors import ExchangeError
from gateway.exchange.address import checked

_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: the HTTP status and the body."""

    status: int
    body: bytes = field(repr=False)


class Fetcher:
    """Asks one publisher. `base`: http:// or https:// and a host, perhaps a path; InputError: it is none.

    `timeout`: seconds for one whole `get`, however slowly the peer drips.
    """

    def __init__(
        self,
        base: str,
        *,
        allow_remote: bool = False,
        timeout: float = 20.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base = base.rstrip("/")
        self._parts = checked(base, allow_remote=allow_remote)
        self._timeout, self._monotonic = timeout, monotonic

    def get(self, path: str, limit: int) -> Answer:
        """The answer to GET base + path, at most `limit` octets. ExchangeError: nothing usable came."""
        deadline = self._monotonic() + self._timeout
        connection = self._connection()
        try:
            connection.request("GET", self._parts.path.rstrip("/") + path, headers={"Connection": "close"})
            response = connection.getresponse()
            return Answer(response.status, self._read(response, limit, deadline))
        except (OSError, HTTPException) as problem:
            why = getattr(problem, "strerror", None) or type(problem).__name__
            raise ExchangeError(f"{self.base} cannot be asked ({why}); it will be tried again") from None
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        host = "127.0.0.1" if self._parts.hostname == "localhost" else str(self._parts.hostname)
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return HTTPSConnection(host, self._parts.port, timeout=self._timeout, context=context)
        return HTTPConnection(host, self._parts.port, timeout=self._timeout)

    def _read(self, response: HTTPResponse, limit: int, deadline: float) -> bytes:
        pieces, size = list[bytes](), 0
        while piece := response.read1(_CHUNK):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise ExchangeError(
                    f"{self.base} sends more than {limit} octets: this is not what was asked for"
                )
            if self._monotonic() > deadline:
                raise ExchangeError(f"{self.base} is too slow; it will be tried again")
        if response.length:  # the peer hung up before the end that it announced
            raise ExchangeError(f"{self.base} broke off in the middle; it will be tried again")
        return b"".join(pieces)
