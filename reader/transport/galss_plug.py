"""The slots of an emulated reader behind the GALSS stand-in line: LAD n is slot n."""

from __future__ import annotations

from reader.galss import LadDevice
from reader.slot import Card, Slot
from reader.transport.galss import GalssServer


class GalssPlug:
    """Serves at `host`:`port` in a thread of its own; raises ReaderError when the port cannot be had."""

    def __init__(self, host: str, port: int, names: tuple[str, ...]) -> None:
        self._slots = tuple(Slot(name) for name in names)
        self._device = LadDevice(self._slots)
        self._server = GalssServer(self._device, host, port)
        self.port = self._server.port

    def insert(self, slot: int, card: Card) -> None:
        """A card is put in."""
        self._slots[slot].insert(card)

    def remove(self, slot: int) -> None:
        """The card is pulled out."""
        self._slots[slot].remove()

    def state(self, slot: int) -> str:
        """What is going on, in words."""
        if not self._slots[slot].is_present:
            return "empty"
        return "powered" if self._device.is_powered(slot) else "no power"

    def close(self) -> None:
        """Stop serving; the cards lose their power."""
        self._server.close()
