"""A card at byte level behind telnet COM-PORT (RFC 2217): a Phoenix interface on a TCP port.

`serial.serial_for_url("rfc2217://HOST:PORT")` opens it as it would a serial port with such an interface. One
client at a time, as a port has. A thread of its own serves it; the card works in another, so that the host
can be asked for more time meanwhile.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress

from card.iso7816.contacts import ApduCard
from reader.errors import ReaderError
from reader.serial.comport import ComPort, Data, Event, Lines, Mode, Reply, escape
from reader.serial.phoenix import WIRINGS, Wiring
from reader.serial.phoenix_device import PhoenixDevice
from reader.stream import Clock
from reader.transport.liveness import notice_dead_peers

SEND_TIME, WORK_TIME, TICK, SHORT = 2.0, 10.0, 0.5, 0.02
"""Seconds a client may take no bytes; a pulled card may go on working; between two looks at the clock; a
command may take before the line is looked at again."""

Moved = Callable[[], None]
"""The card, or its power, has changed. Called from the server's thread."""


class Rfc2217Server:
    """Use it as a context manager, or call `close()`. Raises ReaderError when the port cannot be opened.

    host: keep it a loopback address: whoever reaches the port can use the card.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        wiring: Wiring = WIRINGS["phoenix"],
        *,
        inverse: bool = False,
        moved: Moved | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._listener = _listening(host, port)
        self.host, self.port = self._listener.getsockname()[:2]
        self._device = PhoenixDevice(wiring, inverse=inverse)
        self._moved, self._clock = moved or (lambda: None), clock
        self._lock = threading.RLock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rfc2217-card")
        self._work: Work | None = None
        self._client: socket.socket | None = None
        self._com = ComPort(cts=True)
        self._heard = 0.0
        self._half_said = self._stopping = False
        self._waking, self._woken = socket.socketpair()
        for end in (self._waking, self._woken):
            end.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._drain)
        self._thread = threading.Thread(target=self._serve, name="rfc2217", daemon=True)
        self._thread.start()

    def __enter__(self) -> Rfc2217Server:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """How pyserial names this port."""
        return f"rfc2217://{self.host}:{self.port}"

    @property
    def state(self) -> str:
        """What is going on, in words."""
        with self._lock:
            return self._device.state

    def insert(self, card: ApduCard) -> None:
        """Put a card in; the one that was there is pulled out first."""
        self.remove()
        with self._lock:
            self._device.insert(card)
        self._wake()

    def remove(self) -> None:
        """Pull the card out, whatever it is doing; it has no power any more when this returns."""
        with self._lock:
            contacts, work = self._device.remove(), self._work
        self._wake()
        if contacts is None:
            return
        if work is not None:
            wait((work.result,), WORK_TIME)
        with suppress(OSError):
            contacts.power_off()

    def close(self) -> None:
        """Hang up, and take the power away."""
        self._stopping = True
        self._wake()
        self._thread.join(timeout=5.0)
        self.remove()
        self._worker.shutdown(wait=False)

    # ---- the thread

    def _serve(self) -> None:
        while not self._stopping:
            for key, _events in self._selector.select(self._patience()):
                key.data()
            with self._lock:
                self._look()
        self._drop()
        self._selector.close()
        for end in (self._listener, self._waking, self._woken):
            end.close()

    def _patience(self) -> float:
        with self._lock:
            return min(TICK, max(0.0, self._work.ask_at - self._clock())) if self._work else TICK

    def _wake(self) -> None:
        with suppress(OSError):
            self._waking.send(b"\0")

    def _drain(self) -> None:
        with suppress(OSError):
            self._woken.recv(4096)

    def _accept(self) -> None:
        with suppress(OSError):
            connected, _peer = self._listener.accept()
            if self._client is not None:
                connected.close()
                return
            connected.settimeout(SEND_TIME)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            notice_dead_peers(connected)
            self._client = connected
            self._com = ComPort(cts=self._device.cts)
            self._selector.register(connected, selectors.EVENT_READ, self._hear)
            self._send(self._com.open())

    def _hear(self) -> None:
        client = self._client
        if client is None:
            return
        try:
            data = client.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._drop()
            return
        with self._lock:
            self._send(b"".join(self._obey(event) for event in self._com.feed(data)))

    def _obey(self, event: Event) -> bytes:
        """One event of the client; what to send it, telnet already."""
        if isinstance(event, Reply):
            return event.data
        if isinstance(event, Data):
            self._heard, self._half_said = self._clock(), True
            return escape(self._device.feed(event.data) + self._begin_work())
        if isinstance(event, Mode):
            self._device.set_mode(event.speed, event.parity)
            return b""
        return escape(self._put(event))

    def _put(self, lines: Lines) -> bytes:
        self._finish_work()
        before = self._device.state
        said = self._device.set_reset(lines.rts)
        if self._device.state != before:
            self._moved()
        return said

    # ---- the card at work

    def _begin_work(self) -> bytes:
        """Let the card carry out what it was told; what it says when that was short, else nothing yet."""
        said, command = b"", self._device.command
        while command is not None and self._work is None:
            result = self._worker.submit(self._device.carry_out, command)
            work = Work(command, result, self._clock() + self._device.patience()[0])
            if not wait((result,), SHORT).done:
                self._work = work
                result.add_done_callback(lambda _done: self._wake())
                break
            said += self._device.answer(work.response)
            command = self._device.command
        return said

    def _look(self) -> None:
        """What has become of the card's work, and of the host's silence."""
        self._send(self._com.set_cts(self._device.cts))
        work, now = self._work, self._clock()
        if work is not None and work.result.done():
            self._work = None
            said = self._device.answer(work.response) if self._device.command is work.command else b""
            self._send(escape(said + self._begin_work()))
        elif work is not None and now >= work.ask_at:
            work.ask_at = now + self._device.patience()[0]
            self._send(escape(self._device.busy()))
        elif work is None and self._half_said and now - self._heard > self._device.patience()[1]:
            self._half_said = False
            self._send(escape(self._device.silence()))

    def _finish_work(self) -> None:
        """A reset: the card ends what it is doing, and nobody wants to know what came of it."""
        work, self._work = self._work, None
        if work is not None:
            wait((work.result,), WORK_TIME)

    def _send(self, data: bytes) -> None:
        client = self._client
        if client is None or not data:
            return
        try:
            client.sendall(data)
        except OSError:
            self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        self._selector.unregister(client)
        client.close()
        with self._lock:
            self._finish_work()
            with suppress(OSError):
                self._device.hang_up()
        self._moved()


class Work:
    """A command the card is carrying out. ask_at: when to ask the host for more time."""

    def __init__(self, command: bytes, result: Future[bytes], ask_at: float) -> None:
        self.command, self.result, self.ask_at = command, result, ask_at

    @property
    def response(self) -> bytes:
        """Data and status word; empty when the card did not answer."""
        try:
            return self.result.result(0)
        except OSError:
            return b""


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as problem:
        raise ReaderError(
            f"The port {host}:{port} for a byte-level card cannot be opened ({problem.strerror or problem}): "
            "choose another one."
        ) from None
