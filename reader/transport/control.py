"""How a running emulator is told to do things: one request, one answer, in JSON on a Unix socket (0600)."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from reader.errors import ReaderError
from reader.transport.loop import Loop, Timer

MAX_LINE = 16_384
MAX_CLIENTS = 16
PATIENCE = 10.0
"""Seconds an asker has for its line; the answer may take longer."""

Request = dict[str, Any]


class Reply(Protocol):
    """Answers a request, now or later, once; nothing happens when the asker has gone."""

    def __call__(self, answer: Request) -> None:
        """Send the answer."""
        ...

    def is_awaited(self) -> bool:
        """The asker is still there."""
        ...


Handler = Callable[[Request, Reply], None]


class ControlServer:
    """Takes requests at `path` while the loop runs. Raises ReaderError when something else is there."""

    def __init__(self, loop: Loop, path: Path, handler: Handler) -> None:
        self.path, self._loop, self._handler = path, loop, handler
        self._clients: set[_Client] = set()
        self._remove_old()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setblocking(False)
        before = os.umask(0o177)
        try:
            with _short(path) as name:
                self._listener.bind(name)
        except OSError as problem:
            self._listener.close()
            raise ReaderError(f"{path} cannot be made ({problem.strerror}): choose another --link.") from None
        finally:
            os.umask(before)
        self._listener.listen(MAX_CLIENTS)
        loop.watch(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """No more requests; the socket's name goes."""
        for client in tuple(self._clients):
            self.drop(client)
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _remove_old(self) -> None:
        if not os.path.lexists(self.path):
            return
        if not stat.S_ISSOCK(self.path.lstat().st_mode):
            raise ReaderError(f"There is something else at {self.path}: choose another --link.")
        self.path.unlink()

    def _accept(self) -> None:
        with suppress(OSError):
            connected, _ = self._listener.accept()
            if len(self._clients) >= MAX_CLIENTS:
                connected.close()
                return
            connected.setblocking(False)
            client = _Client(self, connected)
            client.deadline = self._loop.after(PATIENCE, lambda: self.drop(client))
            self._clients.add(client)
            self._loop.watch(connected.fileno(), client.hear)

    def drop(self, client: _Client) -> None:
        """Forget a client and hang up."""
        if client in self._clients:
            self._clients.remove(client)
            client.heard_out()
            self._loop.forget(client.socket.fileno())
            client.socket.close()

    def handle(self, client: _Client, line: bytes) -> None:
        """One request; what is not one is answered with a refusal."""
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            client({"ok": False, "text": "The request is not understood."})
            return
        self._handler(request, client)


class _Client:
    """One asker: a line in, a line out."""

    def __init__(self, server: ControlServer, connected: socket.socket) -> None:
        self._server, self.socket = server, connected
        self._line: bytes | None = b""
        self.deadline: Timer | None = None

    def heard_out(self) -> None:
        """Its line is there, or it has gone: it is not waited for any more."""
        if self.deadline is not None:
            self.deadline.cancel()

    def hear(self) -> None:
        try:
            data = self.socket.recv(MAX_LINE)
        except OSError:
            data = b""
        if not data or self._line is None or len(self._line) + len(data) > MAX_LINE:
            self._server.drop(self)
            return
        self._line += data
        if b"\n" in self._line:
            line, self._line = self._line.partition(b"\n")[0], None
            self.heard_out()
            self._server.handle(self, line)

    def is_awaited(self) -> bool:
        return self.socket.fileno() >= 0

    def __call__(self, answer: Request) -> None:
        with suppress(OSError):
            self.socket.sendall(json.dumps(answer).encode() + b"\n")
        self._server.drop(self)


def ask(path: Path, request: Request, seconds: float) -> Request:
    """Send one request to the emulator at `path`; its answer. Raises ReaderError when none is there."""
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(seconds)
        try:
            with _short(path) as name:
                connected.connect(name)
            connected.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(_line(connected))
        except (OSError, ValueError):
            raise ReaderError(
                f"No emulated reader answers at {path}: start one with vitale-reader emulate."
            ) from None
    if not isinstance(answer, dict):
        raise ReaderError(f"What answers at {path} is not an emulated reader: choose its --link.")
    return answer


def _line(connected: socket.socket) -> bytes:
    line = b""
    while b"\n" not in line and len(line) < MAX_LINE:
        data = connected.recv(MAX_LINE)
        if not data:
            break
        line += data
    return line


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of this path that fits into a Unix socket address (107 bytes), however deep the folder is."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
