"""Mutually authenticated TLS 1.3 between agents and a gateway, both ends: the agent dials, the gateway
listens.

Both certificates come from the operator's agent authority and from nobody else. Whoever has not shown one
yet costs a bounded number of connections for a bounded time. A TLS object may not be used by two threads
at once: one lock guards it, and nobody waits inside.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reader.agent.lobby import Peer
from reader.errors import ReaderError
from reader.stream import Clock, Deadline
from reader.transport.liveness import notice_dead_peers

GATEWAY_NAME = "vitale-gateway"
"""The name in a gateway's certificate: agents know it by its authority, wherever it is."""

HANDSHAKE_SECONDS, DIAL_SECONDS, SEND_SECONDS = 5.0, 10.0, 10.0
MAX_WAITING = 32
"""Connections that have not shown a certificate yet."""

READ_SIZE = 16_384


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this end is, and whom it believes: files in PEM."""

    certificate: Path
    key: Path
    authority: Path


def context(identity: Identity, *, listens: bool) -> ssl.SSLContext:
    """TLS 1.3 only, a certificate of the authority on both ends; ReaderError names the file that is wrong."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if listens else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    if listens:
        made.num_tickets = 0  # a session is never taken up again: the register is asked each time
    try:
        made.load_verify_locations(cafile=str(identity.authority))
    except (OSError, ssl.SSLError):
        raise _unusable(identity.authority, "the authority's certificate in PEM") from None
    try:
        made.load_cert_chain(str(identity.certificate), str(identity.key), password=lambda: b"")
    except (OSError, ssl.SSLError, ValueError):
        what = f"a certificate whose key is {identity.key}"
        raise _unusable(identity.certificate, what) from None
    return made


def _unusable(path: Path, what: str) -> ReaderError:
    return ReaderError(
        f"{path} cannot be used as {what}: make it with vitale-gateway agent enrol, or correct its path."
    )


class TlsStream:
    """A `Stream` over TLS for one reading and several writing threads."""

    def __init__(self, secured: ssl.SSLSocket, clock: Clock = time.monotonic) -> None:
        secured.setblocking(False)
        self._socket, self._clock = secured, clock
        self._guard, self._sending = threading.Lock(), threading.Lock()
        self._closed = False

    def send(self, data: bytes) -> None:
        """All of it; OSError when the other end does not take it in time, or is gone."""
        with self._sending:
            deadline, left = Deadline(SEND_SECONDS, self._clock), memoryview(data)
            while left:
                left = left[self._sent(left, deadline) :]

    def _sent(self, data: memoryview, deadline: Deadline) -> int:
        try:
            with self._guard:
                return self._socket.send(data)
        except ssl.SSLWantWriteError:
            self._wait(select.POLLOUT, deadline.remaining())
        except ssl.SSLWantReadError:
            self._wait(select.POLLIN, deadline.remaining())
        except ValueError as closed:
            raise OSError("the connection is closed") from closed
        return 0

    def receive(self, seconds: float) -> bytes:
        """What has arrived, waiting at most `seconds`; OSError when the other end is gone."""
        for tried in (False, True):
            try:
                with self._guard:
                    data = self._socket.recv(READ_SIZE)
            except ssl.SSLWantReadError:
                if tried or not self._wait(select.POLLIN, seconds):
                    return b""
                continue
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT, seconds)
                continue
            except ValueError as closed:
                raise OSError("the connection is closed") from closed
            if not data:
                raise ConnectionResetError("the other end hung up")
            return data
        return b""

    def close(self) -> None:
        """Hang up; a thread that waits to read ends."""
        self._closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with self._guard, suppress(OSError):
            self._socket.close()

    def _wait(self, event: int, seconds: float) -> bool:
        descriptor = self._socket.fileno()
        if self._closed or descriptor < 0:
            raise OSError("the connection is closed")
        poll = select.poll()
        poll.register(descriptor, event)
        return bool(poll.poll(max(0, int(seconds * 1000))))


def dial(host: str, port: int, made: ssl.SSLContext) -> TlsStream:
    """Reach the gateway; OSError (ssl.SSLError when a certificate is not accepted) says why not."""
    try:
        plain = socket.create_connection((host, port), timeout=DIAL_SECONDS)
    except UnicodeError:
        raise OSError("that is no name of a machine") from None
    try:
        _prepare(plain)
        secured = made.wrap_socket(plain, server_hostname=GATEWAY_NAME)
    except BaseException:
        plain.close()
        raise
    return TlsStream(secured)


def _prepare(plain: socket.socket) -> None:
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    notice_dead_peers(plain)


class AgentPort:
    """The port where agents arrive. `arrived` is called in a thread of each admitted connection.

    Raises ReaderError when the port cannot be opened. `close()` ends it; connections end with `arrived`.
    """

    def __init__(
        self, address: str, port: int, made: ssl.SSLContext, arrived: Callable[[TlsStream, Peer], None]
    ) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            self._listener = socket.create_server((address, port), family=family, backlog=MAX_WAITING)
        except OSError as problem:
            raise ReaderError(
                f"Port {port} of {address} cannot be opened for agents ({problem.strerror or problem}): "
                f"stop the "
                "program that has it, or choose another port in [agents]."
            ) from None
        self.address, self.port = self._listener.getsockname()[:2]
        self._context, self._arrived = made, arrived
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)
        self._closed = False
        self._streams: set[TlsStream] = set()
        self._threads: set[threading.Thread] = set()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._accept, name="agents", daemon=True)
        self._thread.start()

    def close(self, seconds: float = 3.0) -> None:
        """No more arrivals; whoever is still there after a moment is hung up on."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        end = Deadline(seconds)
        for thread in tuple(self._threads):
            with suppress(TimeoutError):
                thread.join(end.remaining())
        for stream in tuple(self._streams):
            stream.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                plain, _address = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                time.sleep(0.1)  # no descriptor is left: one will be
                continue
            if not self._waiting.acquire(blocking=False):
                plain.close()
                continue
            thread = threading.Thread(target=self._serve, args=(plain,), name="agent", daemon=True)
            with self._guard:
                self._threads.add(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            shown = self._shown(plain)
        finally:
            self._waiting.release()
        stream = shown and shown[0]
        try:
            if shown is not None:
                with self._guard:
                    self._streams.add(shown[0])
                self._arrived(*shown)
        finally:
            if stream is not None:
                stream.close()
            with self._guard:
                self._streams.discard(stream)
                self._threads.discard(threading.current_thread())

    def _shown(self, plain: socket.socket) -> tuple[TlsStream, Peer] | None:
        """The handshake, whole within its time; None for whoever shows no certificate of ours."""
        ending = threading.Timer(HANDSHAKE_SECONDS, lambda: _cut(plain))
        ending.start()
        opened = plain
        try:
            plain.settimeout(HANDSHAKE_SECONDS)
            _prepare(plain)
            opened = secured = self._context.wrap_socket(plain, server_side=True)
            return TlsStream(secured), peer_of(secured.getpeercert() or {})
        except (OSError, ValueError):
            opened.close()
            return None
        finally:
            ending.cancel()


def _cut(plain: socket.socket) -> None:
    with suppress(OSError):
        plain.shutdown(socket.SHUT_RDWR)


def peer_of(shown: Any) -> Peer:
    """Who a checked certificate names: common name the agent, organization the practice; ValueError else."""
    subject: dict[str, str] = {}
    for part in shown.get("subject", ()):
        for key, value in part:
            if key in subject:
                raise ValueError("a name is given twice")
            subject[key] = value
    if subject.keys() != {"commonName", "organizationName"}:
        raise ValueError("the subject names an agent and its practice, nothing else")
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)
    return Peer(subject["commonName"], subject["organizationName"], int(shown["serialNumber"], 16), ends)
