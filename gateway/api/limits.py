"""No peer holds the API: bounds on the size of a request, on how slowly it comes and is read."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.api.problems import MEDIA_TYPE, Problem, Refusal, problem_of, raw_body, refused
from gateway.care import MAX_ACT

MAX_CONNECTIONS = 128
"""Beyond so many at a time every request is refused, until some have gone."""

HEAD_SECONDS, BODY_SECONDS, READ_SECONDS = 10.0, 10.0, 20.0
"""For a whole head to arrive, for a whole body, and for a client to read what is sent to it."""

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Limits:
    """Around the application: what is too large or too slow ends with a problem, while one can be sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(receive, send)
        try:
            if scope["app"].state.connections() > MAX_CONNECTIONS:
                raise Refusal("crowded", "the API has too many connections: close idle ones and ask again")
            request.check_length(scope)
            await self._app(scope, request.receive, request.send)
        except Refusal as refusal:  # raised before the application began
            await _refuse(send, problem_of(refusal))


class _Request:
    """One request: bytes received so far, until when the rest is waited for."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._until = asyncio.get_running_loop().time() + BODY_SECONDS
        self._size = 0
        self._whole = False

    def check_length(self, scope: Scope) -> None:
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value) > MAX_ACT):
                raise _too_large()

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise Refusal("slow", "the request did not come in time: send it in one piece") from None
        self._size += len(message.get("body", b""))
        if self._size > MAX_ACT:
            raise _too_large()
        self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            named = {name.lower() for name, _ in headers}  # a page says for itself what it may load
            message["headers"] = [*headers, *(one for one in _HEADERS if one[0] not in named)]
        await self._send(message)


def _too_large() -> Refusal:
    return Refusal("too-large", f"the request has more than {MAX_ACT} bytes: send one care act at a time")


async def _refuse(send: Send, problem: Problem) -> None:
    headers, body = _closing(problem)
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _closing(problem: Problem) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of a problem after which the connection ends."""
    body = raw_body(problem)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    return [*headers, (b"connection", b"close"), *_HEADERS], body


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which waits for ever for a head that never ends and for a client that never reads.

    This one waits HEAD_SECONDS and READ_SECONDS; then the connection is cut, whatever is still to be sent.
    """

    head_seconds, read_seconds = HEAD_SECONDS, READ_SECONDS
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A head is expected."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """More of a head, or of what follows it."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._deadline is None:
            self._expect()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP gets a problem too, and none of its own words back."""
        headers, body = _closing(
            refused("not-http", "this is not a request of HTTP/1.1: correct the program")
        )
        for event in (
            h11.Response(status_code=400, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._forget()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read what is sent to it."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
