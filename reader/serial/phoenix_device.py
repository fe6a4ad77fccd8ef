"""A Phoenix or Smartmouse interface, the emulated end: lines, one wire, and a card at its contacts. No I/O.

Every byte of the host comes back before anything the card says. The card hears only what is sent at its speed
and with the parity of its convention; a host that speaks otherwise gets its echo and silence, as in life.
"""

from __future__ import annotations

from contextlib import suppress

from card.iso7816.atr import INVERSE, Atr, AtrError
from card.iso7816.contacts import ApduCard, CardContacts
from card.iso7816.reset import block_waiting_time, character_waiting_time, inverted, waiting_time
from reader.serial.phoenix import DEFAULT_FI, LATENCY, WIRINGS, Wiring

TOLERANCE = 0.04
"""How far a speed may be off: half a bit in ten and a bit of reserve (ISO/IEC 7816-3:2006, 7.2)."""

PATIENCE = 5.0
"""Seconds a T=0 card waits for the rest of a command; the standard sets no time here."""

NO_ATR = Atr(b"", (), b"")


class PhoenixDevice:
    """The interface and what is in it. Bytes are as on the line: those of an inverse card look inverse.

    inverse: give the card the inverse convention whatever its ATR says (TS becomes 3F).
    """

    def __init__(self, wiring: Wiring = WIRINGS["phoenix"], *, inverse: bool = False) -> None:
        self._wiring, self._inverse = wiring, inverse
        self._contacts: CardContacts | None = None
        self._running = False
        self._reset = True
        self._speed, self._parity = wiring.speed(), "N"
        self._is_inverse = False

    # ---- the person

    @property
    def cts(self) -> bool:
        """CTS is asserted while no card is in."""
        return self._contacts is None

    def insert(self, card: ApduCard) -> None:
        """A card is put in. It says nothing before the next release of the reset line."""
        self._contacts, self._running = CardContacts(card), False

    def remove(self) -> CardContacts | None:
        """The card is pulled out, whatever it is doing; who pulled it takes its power away."""
        contacts, self._contacts, self._running = self._contacts, None, False
        return contacts

    @property
    def state(self) -> str:
        """What is going on, in words."""
        if self._contacts is None:
            return "empty"
        return "powered" if self._running else "in reset"

    # ---- the host

    def hang_up(self) -> None:
        """The host has closed its port: the card loses its power, the reset line is as if held."""
        self._reset, self._running = True, False
        if self._contacts is not None:
            self._contacts.power_off()

    def set_reset(self, level: bool) -> bytes:
        """The reset line (RTS) was put; at its release the card says its ATR."""
        held = level == self._wiring.reset_asserted
        before, self._reset = self._reset, held
        if self._contacts is None or held == before:
            return b""
        if held:
            self._running = False
            self._contacts.power_off()
            return b""
        return self._begin(self._contacts)

    def set_mode(self, speed: int, parity: str) -> None:
        """The host's port: baud, and parity N, E, O, M or S."""
        self._speed, self._parity = speed, parity

    def feed(self, raw: bytes) -> bytes:
        """Bytes of the host; what is on the line then: the same bytes, and what the card says at once."""
        contacts = self._contacts
        if contacts is None or not self._running or not self._is_heard(contacts):
            return raw
        return raw + self._on_line(contacts.receive(self._on_line(raw)))

    @property
    def command(self) -> bytes | None:
        """The APDU the card works on, if any."""
        return self._contacts.command if self._contacts and self._running else None

    def carry_out(self, command: bytes) -> bytes:
        """Let the card do its work, in any thread; data and status word, empty when the card fails."""
        return self._contacts.carry_out(command) if self._contacts else b""

    def answer(self, response: bytes) -> bytes:
        """The card has carried out `command`; what is on the line then."""
        return self._on_line(self._contacts.answer(response)) if self._contacts else b""

    def busy(self) -> bytes:
        """What the card says to be given more time for its `command`."""
        return self._on_line(self._contacts.busy()) if self._contacts and self._running else b""

    def silence(self) -> bytes:
        """The host has stopped in the middle of something."""
        return self._on_line(self._contacts.silence()) if self._contacts and self._running else b""

    def patience(self) -> tuple[float, float]:
        """Seconds until the card asks for more time, and seconds of silence that end what is half said."""
        contacts, atr = self._contacts, NO_ATR
        if contacts is not None:
            with suppress(AtrError):
                atr = Atr.parse(contacts.atr)
        speed = contacts.speed if contacts else (DEFAULT_FI, 1)
        frequency, etu = self._wiring.frequency, 1 / self._wiring.speed(*speed)
        if contacts is not None and contacts.protocol == 1:
            return block_waiting_time(atr, etu, frequency) / 3, character_waiting_time(atr, etu) + LATENCY
        return waiting_time(atr, speed[0], frequency) / 3, PATIENCE

    def _begin(self, contacts: CardContacts) -> bytes:
        try:
            atr = contacts.reset()
        except OSError:
            return b""
        self._running = True
        self._is_inverse = self._inverse or atr[:1] == bytes((INVERSE,))
        if self._inverse:
            atr = bytes((INVERSE,)) + atr[1:]
        return self._on_line(atr) if self._is_near(self._wiring.speed()) else b""

    def _is_heard(self, contacts: CardContacts) -> bool:
        """Does the card understand the characters of the host?"""
        return self._is_near(self._wiring.speed(*contacts.speed)) and self._parity == "EO"[self._is_inverse]

    def _is_near(self, speed: int) -> bool:
        return abs(self._speed - speed) <= TOLERANCE * speed

    def _on_line(self, data: bytes) -> bytes:
        """Between logical bytes and those of the line."""
        return inverted(data) if self._is_inverse else data
