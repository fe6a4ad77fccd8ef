"""The line below the LAD commands, both ends: a stand-in on loopback TCP for the PSS serial line.

The framing of PSS is not public. A connection is a GALSS session with exclusivity: while
one program holds it, others are answered EXCLUSIVITY. The cards lose their power when it ends.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from reader.errors import ReaderError
from reader.galss import EXECUTION, MAX_ANSWER, MAX_QUESTION, GalssError, LadDevice, Order
from reader.stream import Clock, Deadline, LineBusy, Stream

# INVENTED(galss-link): length-prefixed frames on loopback TCP stand for the PSS serial line below GALSS.
# Two bytes of length, then execution time (1 byte) and question, or GALSS error (2 bytes) and answer.
LENGTH = 2
MAX_REQUEST, MAX_REPLY = 1 + MAX_QUESTION, 2 + MAX_ANSWER

PATIENCE = {Order.PRESENCE: 2.0, Order.POWER_ON: 7.0, Order.POWER_OFF: 7.0}
COMMAND_PATIENCE = 20.0
"""Seconds for one exchange: the card may be computing a signature."""

IDLE, FRAME_TIME, MAX_CLIENTS = 60.0, 10.0, 8
"""Seconds a session may be silent; seconds a frame may take; connections held at once."""


class FrameError(OSError):
    """The other end sends what cannot be a frame: the connection is of no use any more."""


class Frames:
    """Bytes in any chunks to frames of 1 to `most` bytes; holds no more than one frame and its length."""

    def __init__(self, most: int) -> None:
        self._most, self._buffer = most, bytearray()

    @property
    def is_partial(self) -> bool:
        """True in the middle of a frame."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are now complete; FrameError on an impossible length, after those before it."""
        frames: list[bytes] = []
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= LENGTH:
            size = int.from_bytes(self._buffer[at : at + LENGTH], "big")
            if not 0 < size <= self._most:
                if frames:
                    break  # they were sent before; the next call raises
                self._buffer.clear()
                raise FrameError("the other end does not speak the GALSS stand-in line")
            if len(self._buffer) - at < LENGTH + size:
                break
            frames.append(bytes(self._buffer[at + LENGTH : at + LENGTH + size]))
            at += LENGTH + size
        del self._buffer[:at]
        return frames


def framed(content: bytes) -> bytes:
    """Length and content."""
    return len(content).to_bytes(LENGTH, "big") + content


class TcpStream:
    """A connected socket as a Stream."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """Write all of `data`, within 2 s."""
        self._socket.settimeout(2.0)
        self._socket.sendall(data)

    def receive(self, seconds: float) -> bytes:
        """What has arrived; empty when nothing came in time. ConnectionError at the end of the stream."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            data = self._socket.recv(4096)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionResetError("the reader has closed the connection")
        return data

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in receive
        self._socket.close()


class GalssLink:
    """One question at a time to the reader; reconnects by itself after a failure.

    A failed exchange closes the connection, so that a late answer is never taken for the next one.
    """

    def __init__(self, connect: Callable[[], Stream], clock: Clock = time.monotonic) -> None:
        self._connect, self._clock = connect, clock
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._closed = False

    def exchange(self, order: Order, question: bytes) -> bytes:
        """The answer to one question; raises OSError (TimeoutError) within the order's patience."""
        patience = PATIENCE.get(order, COMMAND_PATIENCE)
        if not self._lock.acquire(timeout=3 * COMMAND_PATIENCE):
            raise LineBusy("the reader is busy with another slot")
        try:
            reply = self._round_trip(bytes((EXECUTION[order],)) + question, Deadline(patience, self._clock))
        except BaseException:  # Ctrl-C too: an answer nobody waited for must not be taken for the next one
            self._hang_up()
            raise
        finally:
            self._lock.release()
        if (error := int.from_bytes(reply[:2], "big")) != GalssError.NONE:
            raise OSError(f"GALSS error {error:04X}")
        return reply[2:]

    def close(self) -> None:
        """Hang up for good. An exchange under way ends with OSError."""
        self._closed = True
        self._hang_up()

    def _round_trip(self, request: bytes, deadline: Deadline) -> bytes:
        if self._closed:
            raise OSError("the link to the reader is closed")
        if self._stream is None:
            self._stream = self._connect()
        stream, frames = self._stream, Frames(MAX_REPLY)
        stream.send(framed(request))
        while True:
            received = frames.feed(stream.receive(deadline.remaining()))
            if received:
                if len(received) > 1 or frames.is_partial or len(received[0]) < 2:
                    raise FrameError("the reader says more than it was asked")
                return received[0]

    def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def connector(host: str, port: int) -> Callable[[], Stream]:
    """How to reach the reader at HOST:PORT; raises OSError within 2 s."""
    return lambda: TcpStream(socket.create_connection((host, port), timeout=2.0))


class _Client:
    """One connection of the server."""

    def __init__(self, connected: socket.socket, now: float) -> None:
        connected.settimeout(1.0)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.frames, self.heard, self.begun = connected, Frames(MAX_REQUEST), now, now

    def is_stale(self, now: float) -> bool:
        """Silent for too long, or a frame that never ends."""
        return now - self.heard > IDLE or (self.frames.is_partial and now - self.begun > FRAME_TIME)


class GalssServer:
    """The emulated reader's end: `LadDevice` behind a loopback port, in a thread of its own.

    Raises ReaderError when the port cannot be opened. Use it as a context manager or call `close()`.
    """

    def __init__(
        self, device: LadDevice, host: str = "127.0.0.1", port: int = 0, clock: Clock = time.monotonic
    ) -> None:
        self._device, self._clock = device, clock
        try:
            self._listener = socket.create_server((host, port))
        except OSError as problem:
            raise ReaderError(
                f"The GALSS port {host}:{port} cannot be opened ({problem.strerror or problem}): "
                "choose another one."
            ) from None
        self.host, self.port = self._listener.getsockname()[:2]
        self._selector = selectors.DefaultSelector()
        self._clients: list[_Client] = []
        self._owner: _Client | None = None
        self._stopping = threading.Event()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="galss", daemon=True)
        self._thread.start()

    def __enter__(self) -> GalssServer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; the cards lose their power."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            for key, _events in self._selector.select(timeout=0.1):
                if key.data is None:
                    self._accept()
                else:
                    self._hear(key.data)
            now = self._clock()
            for client in [c for c in self._clients if c.is_stale(now)]:
                self._drop(client)
        for client in tuple(self._clients):
            self._drop(client)
        self._selector.close()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            connected, _peer = self._listener.accept()
            if len(self._clients) >= MAX_CLIENTS:
                connected.close()
                return
            client = _Client(connected, self._clock())
            self._clients.append(client)
            self._selector.register(connected, selectors.EVENT_READ, client)

    def _hear(self, client: _Client) -> None:
        now = self._clock()
        try:
            data = client.socket.recv(4096)
            if not client.frames.is_partial:
                client.begun = now
            requests = client.frames.feed(data)
            client.heard = now
            for request in requests:
                client.begun = now
                client.socket.sendall(framed(self._reply(client, request)))
        except OSError:
            data = b""
        if not data:
            self._drop(client)

    def _reply(self, client: _Client, request: bytes) -> bytes:
        if self._owner is None:
            self._owner = client
        if self._owner is not client:
            return GalssError.EXCLUSIVITY.to_bytes(2, "big")
        return GalssError.NONE.to_bytes(2, "big") + self._device.answer(request[1:])

    def _drop(self, client: _Client) -> None:
        self._selector.unregister(client.socket)
        self._clients.remove(client)
        client.socket.close()
        if client is self._owner:
            self._owner = None
            self._device.end()
