"""The SMTP door: aiosmtpd on loopback, bounded in size, time and connections. 250 means durable."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import threading
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from gateway.errors import InputError, StoreError
from gateway.failpoint import failpoint
from tools.receiver.bulk import TooLong, TooMuch, read_message
from tools.receiver.config import Limits
from tools.receiver.faults import Faults
from tools.receiver.writer import Intake

_DRAIN_SECONDS = 0.2
HOST_NAME = "receiver.test"
KEPT = "250 2.0.0 kept"
FULL = "421 4.3.2 no room now: try again later"
BUSY = "451 4.3.2 too many messages wait here: try again later"
NOT_KEPT = "451 4.3.0 nothing was kept: try again later"


class LotHandler:
    """Hands each message to the intake and answers when it is on disk."""

    def __init__(self, intake: Intake, faults: Faults) -> None:
        self._intake, self._faults = intake, faults

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """One message. Whatever it holds, the reply says only whether it was kept."""
        failpoint("receiver-receive-after")
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        for _ in range(2 if self._faults.take("duplicate-delivery") else 1):
            if (trouble := await self._hand_in(raw)) is not None:
                return trouble
        if seconds := self._faults.seconds("slow", 2.0):
            await asyncio.sleep(seconds)
        if self._faults.take("reply-lost"):
            _abort(server)
        return error_reply(self._faults, "reply-kept") or KEPT

    async def _hand_in(self, raw: bytes) -> str | None:
        """Give one message to the intake; None once it is on disk, else the reply that says it is not."""
        future = self._intake.submit(raw)
        if future is None:
            return BUSY
        try:
            await asyncio.shield(asyncio.wrap_future(future))
        except StoreError:
            return NOT_KEPT
        return None

    async def handle_exception(self, _error: Exception) -> str:
        """Anything unforeseen: one reply that tells a peer nothing."""
        return NOT_KEPT


def error_reply(faults: Faults, name: str) -> str | None:
    """The SMTP error that a fault asks for, None when it is not in force."""
    fault = faults.take(name)
    if fault is None:
        return None
    code = int(fault.value or (421 if name == "reply-connect" else 451))
    return f"{code} {code // 100}.3.0 on demand: the fault {name} is set"


class Door(SMTP):
    """One SMTP connection: counted, with a total time budget, and with the faults of the line."""

    def __init__(self, *args: Any, house: House, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._house = house
        self._budget: asyncio.TimerHandle | None = None
        self._left: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the peer in, or say 421 and close when the house is full."""
        house = self._house
        assert isinstance(transport, asyncio.Transport)
        full = house.inside >= house.limits.connections or house.faults.take("refuse")
        if reply := FULL if full else error_reply(house.faults, "reply-connect"):
            transport.write(reply.encode("ascii") + b"\r\n")
            transport.close()
            return
        if fault := house.faults.take("close-at"):
            self._left = int(fault.value or 1)
        house.inside += 1
        self._budget = self.loop.call_later(house.limits.session_seconds, transport.abort)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Free the place."""
        if self._budget is None:
            return
        self._budget.cancel()
        self._house.inside -= 1
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Bytes of a peer that was turned away are dropped; the fault `close-at` counts the others."""
        if self._budget is None:
            return
        if self._left is None:
            super().data_received(data)
            return
        if self._left > 0:
            super().data_received(data[: self._left])
        self._left -= len(data)
        if self._left <= 0:
            _abort(self)

    def eof_received(self) -> bool | None:
        """End of input; nothing to do for a peer that was turned away."""
        return None if self._budget is None else super().eof_received()

    async def smtp_MAIL(self, arg: str) -> None:  # noqa: N802
        """MAIL, unless an error is asked for."""
        if reply := error_reply(self._house.faults, "reply-mail"):
            await self.push(reply)
            return
        await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str) -> None:  # noqa: N802
        """RCPT, unless an error is asked for."""
        if reply := error_reply(self._house.faults, "reply-rcpt"):
            await self.push(reply)
            return
        await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """DATA, unless the line is to break in the middle of it."""
        if reply := error_reply(self._house.faults, "reply-data"):
            await self.push(reply)
            return
        if self._house.faults.take("close-mid-message"):
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._reader.readline()
            _abort(self)
            return
        if arg or self.envelope is None or not self.envelope.rcpt_tos:
            await super().smtp_DATA(arg)  # it says what is missing
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        await self.push(await self._take(self.envelope))

    async def _take(self, envelope: Envelope) -> str:
        """Read the message and hand it in; the reply to its final dot."""
        try:
            envelope.content = await read_message(self._reader, self._house.limits.message_bytes)
            if reply := error_reply(self._house.faults, "reply-end"):
                return reply
            return str(await self._call_handler_hook("DATA"))
        except TooMuch:
            return "552 Error: Too much mail data"
        except TooLong:
            return "500 Line too long (see RFC5321 4.5.3.1.6)"
        finally:
            self._set_post_data_state()  # type: ignore[no-untyped-call]


class House:
    """The listening socket and its event loop, in a thread of their own."""

    def __init__(self, intake: Intake, faults: Faults, limits: Limits) -> None:
        self.faults, self.limits, self.inside = faults, limits, 0
        logging.getLogger("mail.log").setLevel(logging.ERROR)  # what peers type is not for this log
        self._handler = LotHandler(intake, faults)
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._run, name="receiver-smtp", daemon=True)

    def open(self, host: str, port: int) -> int:
        """Listen; returns the port. InputError when the address is not loopback or is taken."""
        if not is_loopback(host):
            raise InputError(
                f"{host} is not a loopback address: the receiver listens on 127.0.0.1 or ::1 only"
            )
        try:
            self._server = self._loop.run_until_complete(self._loop.create_server(self._door, host, port))
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "ports go from 0 to 65535"
            raise InputError(f"port {port} of {host} cannot be used ({why}); choose another") from None
        self._thread.start()
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    def _door(self) -> Door:
        return Door(
            self._handler,
            house=self,
            hostname=HOST_NAME,
            ident="mock national side",
            data_size_limit=self.limits.message_bytes,
            timeout=self.limits.idle_seconds,
            loop=self._loop,
        )

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def close(self) -> None:
        """Stop listening, give messages in hand a moment, close the loop."""
        if self._loop.is_closed():
            return
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._drain(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    async def _drain(self) -> None:
        assert self._server is not None
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=_DRAIN_SECONDS)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)


def _abort(connection: SMTP) -> None:
    """Close without a word, as a broken line does."""
    if isinstance(connection.transport, asyncio.Transport):
        connection.transport.abort()


def is_loopback(host: str) -> bool:
    """Whether this is an address of the machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
