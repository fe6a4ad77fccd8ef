"""Emulated slots as byte-level cards: slot n is a Phoenix interface behind RFC 2217 at PORT + n."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from card.iso7816.contacts import ApduCard
from reader.serial.phoenix import WIRINGS, Wiring
from reader.transport.loop import Loop
from reader.transport.rfc2217 import Rfc2217Server

Moved = Callable[[int], None]
"""Something of this slot changed; called in the loop's thread."""


class Rfc2217Plug:
    """`urls` says where each slot is to be found. Raises ReaderError when a port cannot be opened."""

    def __init__(
        self,
        loop: Loop,
        host: str,
        port: int,
        slots: int,
        moved: Moved,
        wiring: Wiring = WIRINGS["phoenix"],
        *,
        inverse: bool = False,
    ) -> None:
        self._loop, self._moved = loop, moved
        self._waking, self._woken = socket.socketpair()
        for end in (self._waking, self._woken):
            end.setblocking(False)
        loop.watch(self._woken.fileno(), self._tell)
        self._servers: list[Rfc2217Server] = []
        try:
            for slot in range(slots):
                number = port + slot if port else 0
                self._servers.append(
                    Rfc2217Server(host, number, wiring, inverse=inverse, moved=self._teller(slot))
                )
        except BaseException:
            self.close()
            raise

    @property
    def urls(self) -> tuple[str, ...]:
        """The ports by the names pyserial gives them, in slot order."""
        return tuple(server.url for server in self._servers)

    def insert(self, slot: int, card: ApduCard) -> None:
        """A card is put in."""
        self._servers[slot].insert(card)

    def remove(self, slot: int) -> None:
        """The card is pulled out."""
        self._servers[slot].remove()

    def state(self, slot: int) -> str:
        """What is going on, in words."""
        return self._servers[slot].state

    def close(self) -> None:
        """Hang up."""
        for server in self._servers:
            server.close()
        self._loop.forget(self._woken.fileno())
        for end in (self._waking, self._woken):
            end.close()

    def _teller(self, slot: int) -> Callable[[], None]:
        def moved() -> None:
            with suppress(OSError):
                self._waking.send(bytes((slot,)))

        return moved

    def _tell(self) -> None:
        with suppress(OSError):
            for slot in sorted(set(self._woken.recv(4096))):
                self._moved(slot)
