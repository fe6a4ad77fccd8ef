"""A small client for practice software: the standard library only, one connection, one thread.

    with Client("127.0.0.1", 8420, token) as gateway:
        gateway.open_session("1234")
        print(gateway.bill({"date": "2026-11-20", "acts": [{"code": "G"}]})["number"])

Every write goes out under a new idempotency key; when the connection breaks before the answer came, the same
request is made once more under the same key, so that nothing is done twice. A refusal is an `ApiProblem`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

JsonObject = dict[str, Any]

MAX_ANSWER = 16 * 1024 * 1024

NO_ANSWER = (OSError, HTTPException)
"""What a call raises when nobody answers, or nobody who speaks HTTP."""


class ApiProblem(Exception):
    """A refusal: `status`, the stable `code`, and one sentence (`str`)."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event; `id` is empty for how things are now."""

    name: str
    data: JsonObject
    id: str = ""


class Client:
    """One practice software at one gateway. Raises ApiProblem, or OSError when nobody answers."""

    def __init__(self, host: str, port: int, token: str, *, timeout: float = 60.0) -> None:
        self._connection = HTTPConnection(host, port, timeout=timeout)
        self._authorization = {"Authorization": f"Bearer {token}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    # The desk

    def readers(self) -> list[JsonObject]:
        """Readers with their slots."""
        return list(self.get("/readers")["readers"])

    def session(self) -> JsonObject:
        """The practitioner's session."""
        return self.get("/session")

    def open_session(self, pin: str | None = None, *, last_try: bool = False) -> JsonObject:
        """Give the PIN of the CPS; without one it is typed on the reader's own pad."""
        how: JsonObject = {"pin_pad": True} if pin is None else {"pin": pin}
        return self.write("POST", "/session", {**how, "last_try": last_try})

    def close_session(self) -> JsonObject:
        """Lock the CPS."""
        return self.write("DELETE", "/session")

    def rights(self, on: str | None = None) -> JsonObject:
        """The rights on the inserted Vitale, on that day (YYYY-MM-DD) or today."""
        return self.get("/vitale/rights", **({} if on is None else {"on": on}))

    def attestation(self) -> JsonObject:
        """The same as an attestation."""
        return self.get("/vitale/attestation")

    def price(self, request: Mapping[str, Any]) -> JsonObject:
        """Price one sheet without any card."""
        return self._asked("POST", "/price", request, {})

    # FSE and lots

    def price_at_desk(self, act: Mapping[str, Any]) -> JsonObject:
        """What this care act would come to with the cards at the desk; nothing is signed or kept."""
        return self._asked("POST", "/fse/price", act, {})

    def bill(self, act: Mapping[str, Any], *, key: str | None = None) -> JsonObject:
        """Bill one care act with both cards: number, destination and price of the FSE that is kept."""
        return self.write("POST", "/fse", act, key=key)

    def rectify(
        self, number: int, act: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> JsonObject:
        """Make a refused FSE anew, from the corrected care act or from its own."""
        return self.write("POST", f"/fse/{number}/rectify", act, key=key)

    def cancel(self, number: int, *, key: str | None = None) -> JsonObject:
        """Withdraw an FSE that is in no lot yet."""
        return self.write("POST", f"/fse/{number}/cancel", key=key)

    def sign(self) -> list[int]:
        """Sign every FSE that waits for the CPS; their numbers."""
        return list(self.write("POST", "/sign")["numbers"])

    def twin(self, number: int) -> str:
        """The paper twin of an FSE made without a Vitale."""
        return str(self.get(f"/fse/{number}/twin")["text"])

    def sheets(self, *, limit: int = 50, offset: int = 0, state: Sequence[str] = ()) -> JsonObject:
        """One page of FSE, newest first."""
        return self.get("/fse", limit=limit, offset=offset, state=list(state))

    def sheet(self, number: int) -> JsonObject:
        """One FSE with its history and payments."""
        return self.get(f"/fse/{number}")

    def lots(self, *, limit: int = 50, offset: int = 0) -> JsonObject:
        """One page of lots, newest first."""
        return self.get("/lots", limit=limit, offset=offset)

    def lot(self, lot_id: str) -> JsonObject:
        """One lot with its FSE and ARL."""
        return self.get(f"/lots/{quote(lot_id, safe='')}")

    def close_lots(self) -> list[JsonObject]:
        """Close lots of every FSE that waits."""
        return list(self.write("POST", "/lots")["lots"])

    def send_lots(self) -> JsonObject:
        """Send what is due now."""
        return self.write("POST", "/send")

    def release(self, lot_id: str) -> JsonObject:
        """Put a parked lot back into the queue."""
        return self.write("POST", f"/lots/{quote(lot_id, safe='')}/release")

    # What came back

    def payments(self, *, limit: int = 50, offset: int = 0) -> JsonObject:
        """One page of payments, newest first."""
        return self.get("/payments", limit=limit, offset=offset)

    def refusals(self, *, limit: int = 50, offset: int = 0) -> JsonObject:
        """One page of refused FSE with their remedies."""
        return self.get("/refusals", limit=limit, offset=offset)

    def audit(self, *, after: int = 0, limit: int = 50, verify: bool = False) -> JsonObject:
        """One page of the audit trail, oldest first."""
        return self.get("/audit", after=after, limit=limit, verify=str(verify).lower())

    def events(self, seconds: int = 3600, last: str = "") -> Iterator[Event]:
        """Events as they come, for that long; `last`: the last id seen. Use a client of its own for it."""
        headers = {"Last-Event-ID": last} if last else {}
        answer = self._send("GET", f"/events?seconds={seconds}", None, headers)
        if answer.status != 200:
            raise _problem(answer.status, answer.read(MAX_ANSWER))
        yield from _events(answer)

    # How it is asked

    def get(self, path: str, **query: object) -> JsonObject:
        """Read one resource under /v1."""
        text = urlencode(query, doseq=True)
        return self._asked("GET", f"{path}?{text}" if text else path, None, {})

    def write(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> JsonObject:
        """One write under an idempotency key, a new one when none is given."""
        return self._asked(method, path, body, {"Idempotency-Key": key or secrets.token_hex(16)})

    def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> JsonObject:
        try:
            answer = self._send(method, path, body, headers)
            raw = _whole(answer)
        except NO_ANSWER:  # the same once more: nothing is done twice
            self._connection.close()
            answer = self._send(method, path, body, headers)
            raw = _whole(answer)
        if not 200 <= answer.status < 300:
            raise _problem(answer.status, raw)
        content: JsonObject = json.loads(raw)
        return content

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> HTTPResponse:
        raw = None if body is None else json.dumps(body).encode()
        typed = {} if raw is None else {"Content-Type": "application/json"}
        try:
            self._connection.request(method, "/v1" + path, raw, {**self._authorization, **headers, **typed})
            return self._connection.getresponse()
        except NO_ANSWER:
            self._connection.close()
            raise


def _whole(answer: HTTPResponse) -> bytes:
    """The body of an answer; IncompleteRead when the connection ended before its end."""
    promised = answer.length
    raw = answer.read(MAX_ANSWER)
    if promised is not None and len(raw) < min(promised, MAX_ANSWER):
        raise IncompleteRead(raw, promised - len(raw))
    return raw


def _problem(status: int, raw: bytes) -> ApiProblem:
    with suppress(ValueError, TypeError, KeyError):
        said = json.loads(raw)
        return ApiProblem(status, said["code"], said["detail"])
    return ApiProblem(status, "unknown-answer", f"the gateway answered with status {status} and no reason")


def _events(answer: HTTPResponse) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in answer:
        name, _, value = line.decode().rstrip("\r\n").partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield Event(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id", ""))
            fields = {}
        if not (name or value):
            fields = {}
