"""Cards behind vpcd, the virtual reader of vsmartcard, over TCP.

vpcd sends length and payload of a message in two parts, and with Nagle's algorithm the second waits for our
acknowledgement: every read asks the kernel to acknowledge at once (TCP_QUICKACK does not last). An answer
is one write. A connection that ends or is refused is tried again as long as the card is in.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from card.iso7816.contacts import ApduCard
from reader.ccid.events import Event, PowerChanged, Send
from reader.errors import ReaderError
from reader.transport.liveness import notice_dead_peers
from reader.transport.loop import Loop, Timer
from reader.vpcd import VpcdCard

READ_SIZE = 65_536
RETRY = 1.0
"""Seconds between two attempts to reach vpcd."""

Moved = Callable[[int], None]


class VpcdPlug:
    """Cards for the vpcd at `host`:`port`, slot n at `port` + n. `reverse`: wait there for vpcd to connect.

    Raises ReaderError when the address is not one, or cannot be waited at.
    """

    def __init__(
        self, loop: Loop, host: str, port: int, slots: int, moved: Moved, *, reverse: bool = False
    ) -> None:
        try:
            address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        except OSError:
            raise ReaderError(f"There is no host {host}: correct --vpcd HOST:PORT.") from None
        self._lines = [_Line(loop, address, slot, moved, reverse=reverse) for slot in range(slots)]

    def insert(self, slot: int, card: ApduCard) -> None:
        """A card is put in: vpcd is told by connecting."""
        self._lines[slot].start(VpcdCard(card, slot))

    def remove(self, slot: int) -> None:
        """The card is pulled out: the connection ends."""
        self._lines[slot].stop()

    def state(self, slot: int) -> str:
        """What is going on, in words."""
        return self._lines[slot].state()

    def close(self) -> None:
        """Hang up everywhere."""
        for line in self._lines:
            line.stop()


class _Line:
    """One slot's connection while a card is in it."""

    def __init__(
        self,
        loop: Loop,
        address: tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]],
        slot: int,
        moved: Moved,
        *,
        reverse: bool,
    ) -> None:
        self._loop, self._slot, self._moved, self._reverse = loop, slot, moved, reverse
        self._family, self._where = address[0], (str(address[4][0]), int(address[4][1]) + slot)
        self._machine: VpcdCard | None = None
        self._socket: socket.socket | None = None
        self._listener: socket.socket | None = None
        self._retry: Timer | None = None
        self._connected = False

    def start(self, machine: VpcdCard) -> None:
        self._machine = machine
        if self._reverse:
            self._listen()
        else:
            self._connect()

    def stop(self) -> None:
        if self._listener is not None:  # first: who is hung up on must not find the port still open
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
        self._hang_up()
        self._machine = None
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def state(self) -> str:
        if self._machine is None:
            return "empty"
        if not self._connected:
            return f"waits for vpcd at {self._where[0]}:{self._where[1]}"
        return "powered" if self._machine.active else "no power"

    # ---- connecting

    def _connect(self) -> None:
        self._retry = None
        self._socket = socket.socket(self._family)
        self._socket.setblocking(False)
        self._socket.connect_ex(self._where)
        self._loop.watch_writing(self._socket.fileno(), self._connect_ended)

    def _connect_ended(self) -> None:
        connecting = self._socket
        if connecting is None:
            return
        self._loop.forget(connecting.fileno())
        if connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._lost()
        else:
            self._begin(connecting)

    def _listen(self) -> None:
        try:
            self._listener = socket.create_server(self._where, family=self._family, backlog=1)
        except OSError as problem:
            raise ReaderError(
                f"The port {self._where[0]}:{self._where[1]} cannot be opened ({problem.strerror}): "
                "choose another --vpcd."
            ) from None
        self._listener.setblocking(False)
        self._loop.watch(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        if self._listener is None:
            return
        with suppress(OSError):
            connected, _ = self._listener.accept()
            connected.setblocking(False)
            self._hang_up()  # vpcd was started again: its former connection is dead
            self._begin(connected)

    def _begin(self, connected: socket.socket) -> None:
        self._socket, self._connected = connected, True
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        notice_dead_peers(connected)
        self._loop.watch(connected.fileno(), self._hear)
        self._moved(self._slot)

    # ---- at work

    def _hear(self) -> None:
        connected, machine = self._socket, self._machine
        if connected is None or machine is None:
            return
        data, events = b"", list[Event]()
        try:
            data = connected.recv(READ_SIZE)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            events = machine.feed(data)
            if answers := b"".join([event.data for event in events if isinstance(event, Send)]):
                connected.sendall(answers)
        except BlockingIOError:
            if data:
                self._lost()  # a host that sends but does not read
            return
        except OSError:
            data = b""
        self._tell(events)
        if not data:
            self._lost()

    def _lost(self) -> None:
        """The connection has ended: once more, after a while."""
        self._hang_up()
        if self._machine is not None and not self._reverse and self._retry is None:
            self._retry = self._loop.after(RETRY, self._connect)

    def _hang_up(self) -> None:
        connected, self._socket = self._socket, None
        was, self._connected = self._connected, False
        if connected is not None:
            self._loop.forget(connected.fileno())
            connected.close()
        if was and self._machine is not None:
            self._machine.hang_up()
            self._moved(self._slot)

    def _tell(self, events: list[Event]) -> None:
        if any(isinstance(event, PowerChanged) for event in events):
            self._moved(self._slot)
