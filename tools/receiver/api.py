"""The receiver's local API: look at the ledger, set faults, move the calendar. Loopback only, with a token.

    GET    /status /lots /refusals /returns     counts and accounts; the latest, ?limit=N
    GET    /arl/COMPOSTAGE                      every ARL about one mail, as JSON and as lines
    GET    /faults                              what is set, what fired, what can be set
    PUT    /faults     {"faults": ["slow=5"]}   exactly these
    POST   /faults     {"faults": ["slow=5"]}   these beside the others
    DELETE /faults     DELETE /faults/NAME      none; all but this one
    POST   /advance    {"days": 5}              payments still to come are nearer
    POST   /paper      {"practitioner": …}      a paper sheet arrives and is keyed in (paper.py)
    POST   /returns/ID/send                     the true return goes out (again)
    GET    /opposition /certificates /crls      what is published for everybody (public.py)

Each call but the published ones carries `Authorization: Bearer TOKEN`; the token stands in STATE/api.token
(0600) and is new with each start. Answers are JSON; an error is {"error": one sentence, "code": a word}.
The standard library's server is enough for one person and a test: it listens on loopback and nowhere else.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gateway.clock import Rng
from gateway.errors import GatewayError, InputError
from tools.receiver import listing
from tools.receiver.codes import TEXTS
from tools.receiver.faults import FAULTS, Faults
from tools.receiver.ledger import Ledger
from tools.receiver.paper import PaperCounter, PaperSheet
from tools.receiver.public import Document, NotPublishedError, Publications
from tools.receiver.reading import arl_json, arl_lines
from tools.receiver.server import is_loopback

TOKEN_FILE = "api.token"  # noqa: S105
MAX_BODY = 64 * 1024
_TIMEOUT = 10.0
_PULSE_SECONDS = 0.1
_MAX_ROWS = 1000
_MAX_DAYS = 3660
_PATH = re.compile(r"/[A-Za-z0-9/_-]{0,200}")


class ApiRefusal(Exception):
    """A call that is not done: the HTTP status, a word for programs, one sentence for people."""

    def __init__(self, status: HTTPStatus, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Controls:
    """What the API may look at and turn. `advance` takes days; `now` is seconds since the epoch."""

    ledger: Ledger
    faults: Faults
    advance: Callable[[float], int]
    now: Callable[[], float]
    wake: Callable[[], None]
    counter: PaperCounter | None = None


@dataclass(frozen=True)
class Call:
    """One request that may be answered: its last path word, its query and its JSON object."""

    word: str = ""
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)


Answer = dict[str, Any] | Document
PUBLISHED = frozenset({"/opposition", "/certificates", "/crls", "/crls/*"})
"""Paths that need no token."""


class Actions:
    """Each call of the API as a function from a Call to JSON."""

    def __init__(self, controls: Controls, published: Publications | None = None) -> None:
        self._on = controls
        self.routes: dict[tuple[str, str], Callable[[Call], Answer]] = {
            ("GET", "/status"): lambda _: listing.status(controls.ledger),
            ("GET", "/lots"): lambda call: {"lots": listing.lots(controls.ledger, _limit(call))},
            ("GET", "/refusals"): lambda call: {"refusals": listing.refusals(controls.ledger, _limit(call))},
            ("GET", "/returns"): lambda call: {"returns": listing.returns(controls.ledger, _limit(call))},
            ("GET", "/arl/*"): self._arl,
            ("GET", "/faults"): lambda _: self._faults(),
            ("PUT", "/faults"): self._set_faults,
            ("POST", "/faults"): self._add_faults,
            ("DELETE", "/faults"): self._clear_faults,
            ("DELETE", "/faults/*"): self._remove_fault,
            ("POST", "/advance"): self._advance,
            ("POST", "/returns/*/send"): self._send_again,
            ("POST", "/paper"): self._paper,
        }
        if published is not None:
            self.routes |= _published_routes(published)

    def _arl(self, call: Call) -> Answer:
        found = listing.arls(self._on.ledger, call.word)
        return {
            "arl": [arl_json(arl) for arl in found],
            "lines": [w for arl in found for w in arl_lines(arl)],
        }

    def _faults(self) -> Answer:
        faults = self._on.faults
        in_force = [
            {"fault": str(one), "name": one.name, "value": one.value, "left": one.left}
            for one in faults.in_force()
        ]
        return {"faults": in_force, "fired": dict(faults.fired), "known": FAULTS}

    def _set_faults(self, call: Call) -> Answer:
        self._on.faults.set(*_texts(call))
        return self._faults()

    def _add_faults(self, call: Call) -> Answer:
        self._on.faults.add(*_texts(call))
        return self._faults()

    def _clear_faults(self, _: Call) -> Answer:
        self._on.faults.set()
        return self._faults()

    def _remove_fault(self, call: Call) -> Answer:
        if call.word not in FAULTS:
            raise ApiRefusal(HTTPStatus.NOT_FOUND, "unknown", f"no fault is called {call.word}: GET /faults")
        self._on.faults.remove(call.word)
        return self._faults()

    def _advance(self, call: Call) -> Answer:
        days = call.body.get("days")
        if isinstance(days, bool) or not isinstance(days, int | float) or not 0 <= days <= _MAX_DAYS:
            raise InputError(f"days: give a number from 0 to {_MAX_DAYS}")
        return {"moved": self._on.advance(days)}

    def _paper(self, call: Call) -> Answer:
        if self._on.counter is None:
            raise ApiRefusal(HTTPStatus.NOT_FOUND, "unknown", "this receiver has no counter for paper")
        keyed = self._on.counter.receive(PaperSheet.from_json(call.body))
        return {
            "number": keyed.number, "decision": keyed.decision, "code": keyed.code,
            "text": TEXTS.get(keyed.code, ""), "amo_cents": keyed.amo_cents, "amc_cents": keyed.amc_cents,
            "twin": keyed.twin,
        }  # fmt: skip

    def _send_again(self, call: Call) -> Answer:
        ledger = self._on.ledger
        number = int(call.word) if re.fullmatch(r"[0-9]{1,9}", call.word) else 0
        with ledger.transaction():
            if not ledger.post_return(number, self._on.now()):
                sentence = f"there is no payment return {number}: GET /returns"
                raise ApiRefusal(HTTPStatus.NOT_FOUND, "unknown", sentence)
        self._on.wake()
        return {"sent": number}


def _published_routes(published: Publications) -> dict[tuple[str, str], Callable[[Call], Answer]]:
    return {
        ("GET", "/opposition"): lambda call: published.opposition(_last(call, "after")),
        ("GET", "/certificates"): lambda call: published.certificates(_last(call, "cn")),
        ("GET", "/crls"): lambda _: published.revocation_lists(),
        ("GET", "/crls/*"): lambda call: published.revocation_list(call.word),
    }


def _last(call: Call, name: str) -> str:
    return call.query.get(name, [""])[-1]


def _limit(call: Call) -> int:
    text = call.query.get("limit", ["20"])[-1]
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= _MAX_ROWS:
        raise InputError(f"limit: give a number from 1 to {_MAX_ROWS}")
    return int(text)


def _texts(call: Call) -> list[str]:
    faults = call.body.get("faults")
    if not isinstance(faults, list) or not all(isinstance(text, str) for text in faults):
        raise InputError('faults: give a list of texts, such as {"faults": ["slow=5", "drop-arl:1"]}')
    if set(call.body) != {"faults"}:
        raise InputError("the body has the one field faults")
    return faults


class _Handler(BaseHTTPRequestHandler):
    """Reads a request within its bounds, checks host and token, and writes JSON whatever happens."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "receiver", ""
    timeout = _TIMEOUT

    def _serve(self) -> None:
        try:
            status, answer = HTTPStatus.OK, self._answer()
            if isinstance(answer, Document):
                self._send(answer.status, answer.media, answer.body, answer.headers)
                return
        except NotPublishedError as refusal:
            status, answer = HTTPStatus.NOT_FOUND, {"error": str(refusal), "code": refusal.code}
        except ApiRefusal as refusal:
            status, answer = refusal.status, {"error": str(refusal), "code": refusal.code}
        except InputError as refusal:
            status, answer = HTTPStatus.BAD_REQUEST, {"error": str(refusal), "code": refusal.code}
        except GatewayError as trouble:
            status, answer = HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(trouble), "code": trouble.code}
        self._write(status, answer)

    do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    def _answer(self) -> Answer:
        parts = urlsplit(self.path)
        self._admit(parts.path)
        body = self._body()
        route, word = self._route(parts.path)
        return route(Call(word, parse_qs(parts.query[:1000]), body))

    def _admit(self, path: str) -> None:
        """A page in a browser may reach this port: its Host is another one, and it has no token."""
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        if host != "localhost" and not is_loopback(host):
            raise ApiRefusal(HTTPStatus.FORBIDDEN, "host", "ask this API by its loopback address")
        if _shape(path) in PUBLISHED:
            return
        given = self.headers.get("Authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, f"Bearer {self.server.token}".encode("ascii")):
            sentence = f"send Authorization: Bearer and the token of the file {TOKEN_FILE}"
            raise ApiRefusal(HTTPStatus.UNAUTHORIZED, "token", sentence)

    def _body(self) -> Mapping[str, Any]:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not re.fullmatch(r"[0-9]{1,9}", length):
            self.close_connection = True
            raise ApiRefusal(HTTPStatus.LENGTH_REQUIRED, "length", "give the body's Content-Length")
        if int(length) > MAX_BODY:
            self.close_connection = True
            sentence = f"a body has at most {MAX_BODY} octets"
            raise ApiRefusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "length", sentence)
        raw = self.rfile.read(int(length))
        try:
            body = json.loads(raw.decode("utf-8")) if raw else {}
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise InputError("the body is one JSON object in UTF-8")
        return body

    def _route(self, path: str) -> tuple[Callable[[Call], Answer], str]:
        """What answers this path, and its variable word: the second one."""
        routes, words, shape = self.server.actions.routes, path.split("/")[1:], _shape(path)
        route = routes.get((self.command, shape)) if _PATH.fullmatch(path) else None
        if route is not None:
            return route, words[1] if len(words) > 1 else ""
        allowed = sorted(method for method, known in routes if known == shape)
        if allowed:
            sentence = f"{self.command} is not done there: use {', '.join(allowed)}"
            raise ApiRefusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", sentence)
        raise ApiRefusal(HTTPStatus.NOT_FOUND, "unknown", f"nothing is here: see {', '.join(_known(routes))}")

    def _write(self, status: HTTPStatus, answer: Mapping[str, Any]) -> None:
        if status >= HTTPStatus.BAD_REQUEST:
            self.close_connection = True
        self._send(status, "application/json", json.dumps(answer).encode("ascii") + b"\n", {})

    def _send(self, status: HTTPStatus, media: str, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:  # RFC 9110 8.6: a 204 has neither body nor length
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library itself refuses (a request line that is none, an unknown method), as JSON too."""
        self.close_connection = True
        status = HTTPStatus(code)
        self._write(status, {"error": f"this request cannot be read: {status.phrase}", "code": "http"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing is logged: a path could hold anything."""


def _shape(path: str) -> str:
    """A path with its variable word, the second one, as a star."""
    words = path.split("/")[1:]
    return f"/{words[0]}" if len(words) == 1 else "/".join(["", *words[:1], "*", *words[2:]])


def _known(routes: Mapping[tuple[str, str], object]) -> list[str]:
    return sorted({path for _, path in routes})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    token: str
    actions: Actions

    def server_bind(self) -> None:
        """Bind, and look up no name: the library would ask for the host's."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A peer that goes away in the middle is no news."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class Api:
    """The API of one receiver: `port` says where it listens, `close` ends it."""

    def __init__(self, actions: Actions, state: Path, rng: Rng, host: str, port: int) -> None:
        if not is_loopback(host):
            raise InputError(f"{host} is not a loopback address: the API listens on 127.0.0.1 or ::1 only")
        try:
            self._server = (_Server6 if ":" in host else _Server)((host, port), _Handler)
        except (OSError, OverflowError):
            raise InputError(f"port {port} of {host} cannot be used for the API; choose another") from None
        self._server.token, self._server.actions = _new_token(state / TOKEN_FILE, rng), actions
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_PULSE_SECONDS,), name="receiver-api", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _new_token(path: Path, rng: Rng) -> str:
    """A fresh token in a file that only its owner can read."""
    token = rng(32).hex()
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(token + "\n")
    return token
