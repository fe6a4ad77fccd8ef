"""The link between vsmartcard's virtual reader (vpcd) and a card, the card's end: bytes in, events out.

Every message is a length (2 bytes, big-endian) and a payload. One byte is an order: 00 power off, 01 power
on, 02 reset, 04 give the ATR (the only order that is answered; vpcd sees by it that a card is there). Any
other payload is a command APDU, answered with its response. Bytes in any chunks give the same events.
"""

from __future__ import annotations

from contextlib import suppress

from card.iso7816.contacts import ApduCard
from reader.ccid.events import Event, PowerChanged, Send

LENGTH = 2
MAX_PAYLOAD = 0xFFFF
MAX_SLOTS = 2
"""Slots of the vpcd driver as it is built everywhere; slot n is at its port + n."""

DEFAULT_PORT = 35963

OFF, ON, RESET, GIVE_ATR = 0, 1, 2, 4

_NOT_POWERED, _MUTE = b"\x6f\x00", b""


def framed(payload: bytes) -> bytes:
    """Length and payload; what is longer than 65,535 bytes cannot be said and becomes no answer at all."""
    if len(payload) > MAX_PAYLOAD:
        payload = _MUTE
    return len(payload).to_bytes(LENGTH, "big") + payload


class VpcdCard:
    """A card that vpcd reaches. `slot` only numbers its events."""

    def __init__(self, card: ApduCard, slot: int = 0) -> None:
        self._card, self._slot = card, slot
        self._buffer = bytearray()
        self.active = False
        self._atr = b""
        with suppress(OSError):  # vpcd asks for it before it gives power
            self._atr = card.power_on()
            card.power_off()

    def feed(self, data: bytes) -> list[Event]:
        """Bytes of vpcd; every answer is one Send, length included."""
        self._buffer += data
        events: list[Event] = []
        buffer, at = self._buffer, 0
        while len(buffer) - at >= LENGTH:
            end = at + LENGTH + (buffer[at] << 8 | buffer[at + 1])
            if len(buffer) < end:
                break
            payload = bytes(buffer[at + LENGTH : end])
            at = end
            if len(payload) > 1:
                events.append(Send(framed(self._answer(payload))))
            elif payload:
                self._order(payload[0], events)
        del buffer[:at]
        return events

    def hang_up(self) -> list[Event]:
        """The connection has ended: half a message is forgotten, the card has no power."""
        self._buffer.clear()
        events: list[Event] = []
        self._order(OFF, events)
        return events

    def _answer(self, command: bytes) -> bytes:
        if not self.active:
            return _NOT_POWERED
        try:
            return self._card.transmit(command)
        except OSError:
            return _MUTE

    def _order(self, order: int, events: list[Event]) -> None:
        if order == GIVE_ATR:
            events.append(Send(framed(self._atr)))
        elif order in (ON, RESET):
            self._reset(events)
        elif order == OFF:
            with suppress(OSError):
                self._card.power_off()
            self._changed(False, events)

    def _reset(self, events: list[Event]) -> None:
        try:
            self._atr = self._card.power_on()
        except OSError:
            self._atr = b""
        self._changed(bool(self._atr), events)

    def _changed(self, active: bool, events: list[Event]) -> None:
        if self.active is not active:
            self.active = active
            events.append(PowerChanged(self._slot, active))
