"""A card at its contacts (ISO/IEC 7816-3:2006): reset, ATR, PPS, then the bytes of T=0 or T=1, no I/O.

`CardContacts` makes a card that speaks bytes out of one that speaks APDUs. `TpduLink` is what the electronics
of a reader do with such a card when the host speaks TPDUs to the reader (CCID 1.10, 6.1.4).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Protocol

from card.iso7816.atr import DI, FI, Atr, AtrError
from card.iso7816.pps import PPSS, Pps, PpsError
from card.iso7816.t0 import INCOMING, T0Card, T0Host
from card.iso7816.t1 import T1Card, ifsc_of, uses_crc

DEFAULT_SPEED = 372, 1
"""Fd and Dd: clock cycles of an etu are Fi / Di (8.1)."""


class ApduCard(Protocol):
    """A card that takes commands. Its link may raise OSError when it does not answer."""

    def power_on(self) -> bytes:
        """Reset; the ATR."""
        ...

    def transmit(self, apdu: bytes) -> bytes:
        """One command, one answer (data and status word)."""
        ...

    def power_off(self) -> None:
        """Take the power away."""
        ...


class CardContacts:
    """A card as the I/O contact shows it, in logical bytes (after the convention of TS).

    `atr`, `protocol` (0 or 1) and `speed` (Fi, Di) are those in force; b"", 0 and the default speed without
    power. `feed` does everything; who wants to see the card at work uses `receive`, `command`, `busy` and
    `answer` instead. Nothing here raises but the card's own OSError.

    incoming: instructions that carry command data under T=0.
    """

    def __init__(self, card: ApduCard, incoming: AbstractSet[int] = INCOMING) -> None:
        self._card, self._incoming = card, incoming
        self._cut()

    def reset(self) -> bytes:
        """The reset line is released, after power on (cold) or during operation (warm): the ATR."""
        self._cut()
        self.atr = self._card.power_on()
        try:
            self._parsed: Atr | None = Atr.parse(self.atr)
        except AtrError:
            self._parsed = None
        specific = self._parsed.specific_mode if self._parsed else None
        self.negotiable = specific is None
        if self._parsed is None or specific is None:
            self._speak(self._parsed.protocols[0] if self._parsed else 0)
        else:
            self._speak(specific & 0x0F)
            self.speed = DEFAULT_SPEED if specific & 0x10 else (self._parsed.fi, self._parsed.di)
        return self.atr

    def power_off(self) -> None:
        """The contacts are dead."""
        self._cut()
        self._card.power_off()

    def feed(self, data: bytes) -> bytes:
        """Bytes of the reader; the bytes the card sends back, b"" when mute. OSError of the card passes."""
        said = bytearray(self.receive(data))  # a chunk may hold thousands of commands: no copy for each
        while (command := self.command) is not None:
            try:
                response = self._card.transmit(command)
            except OSError:
                self.answer(b"")
                raise
            said += self.answer(response)
        return bytes(said)

    @property
    def command(self) -> bytes | None:
        """The APDU the card works on, if any."""
        return self._engine.command if self._engine else None

    def receive(self, data: bytes) -> bytes:
        """As `feed`, but stops when there is a `command` to carry out."""
        if self.negotiable and data:
            return self._negotiate(data)
        return self._engine.feed(data) if self._engine else b""

    def carry_out(self, command: bytes) -> bytes:
        """The card's work on its `command`, in any thread; the response, empty when its link fails."""
        try:
            return self._card.transmit(command)
        except OSError:
            return b""

    def answer(self, response: bytes) -> bytes:
        """What the card says after its `command` was carried out; an empty response leaves it mute."""
        return self._engine.answer(response) if self._engine else b""

    def busy(self) -> bytes:
        """What the card says to be given more time for its `command`: NULL, or S(WTX request)."""
        return self._engine.busy() if self._engine else b""

    def silence(self) -> bytes:
        """The reader stopped in the middle of something for too long; what the card says to that."""
        self._pps.clear()
        return self._engine.silence() if self._engine else b""

    # ---- PPS

    def _cut(self) -> None:
        self.atr, self.protocol, self.speed = b"", 0, DEFAULT_SPEED
        self.negotiable = False
        self._parsed = None
        self._pps = bytearray()
        self._engine: T0Card | T1Card | None = None

    def _speak(self, protocol: int) -> None:
        self.protocol = protocol
        if protocol == 1 and self._parsed is not None:
            self._engine = T1Card(ifsc_of(self._parsed), use_crc=uses_crc(self._parsed))
        else:
            self._engine = T0Card(self._incoming)

    def _negotiate(self, data: bytes) -> bytes:
        """The first byte after the ATR decides: PPSS begins a PPS, any other byte the protocol (clause 9)."""
        said = b""
        for at, byte in enumerate(data):
            if not self._pps and byte != PPSS:
                self.negotiable = False
                return said + self.receive(data[at:])
            self._pps.append(byte)
            if _is_pps(self._pps):
                request = bytes(self._pps)
                self._pps.clear()
                said += self._agree(request)
                if said:
                    self.negotiable = False
                    return said + self.receive(data[at + 1 :])
        return said

    def _agree(self, request: bytes) -> bytes:
        """The response to a PPS request; the card is mute to one it cannot read or follow (9.3)."""
        try:
            asked = Pps.parse(request)
        except PpsError:
            return b""
        atr = self._parsed
        if asked.protocol not in (atr.protocols if atr else (0,)) or asked.protocol > 1:
            return b""
        speed = _speed(asked.pps1, atr)
        self._speak(asked.protocol)
        self.speed = speed or DEFAULT_SPEED
        return Pps(asked.protocol, asked.pps1 if speed else None).to_bytes()


class TpduLink:
    """A card in a reader whose host speaks TPDUs: PPS requests, T=0 commands, T=1 blocks.

    `protocol` is the one the reader speaks; a PPS changes it, and so does `set_protocol`.
    """

    def __init__(self, card: ApduCard, incoming: AbstractSet[int] = INCOMING) -> None:
        self.contacts = CardContacts(card, incoming)
        self.protocol = 0
        self._host = T0Host()

    def power_on(self) -> bytes:
        """Reset; the ATR."""
        atr = self.contacts.reset()
        self.protocol = self.contacts.protocol
        return atr

    def power_off(self) -> None:
        """Take the power away."""
        self.contacts.power_off()

    def set_protocol(self, number: int) -> None:
        """What the host's parameters say: 0 or 1. The card is told by a PPS only."""
        self.protocol = 1 if number == 1 else 0

    def exchange(self, data: bytes) -> bytes:
        """One transfer of the host: a PPS request, a T=0 command (4 to 261 bytes) or a T=1 block; the answer.

        Raises TimeoutError when the card stays mute, OSError of the card's own link.
        """
        contacts = self.contacts
        if contacts.negotiable and _is_pps(data):
            answer = contacts.feed(data) or contacts.silence()
            self.protocol = contacts.protocol if answer else self.protocol
        elif self.protocol:
            answer = contacts.feed(data) or contacts.silence()
        else:
            answer = self._command(data)
        if not answer:
            raise TimeoutError("the card is mute")
        return answer

    def _command(self, command: bytes) -> bytes:
        host, feed = self._host, self.contacts.feed
        sent = host.start(command)
        while sent:
            received = feed(sent)
            sent = host.feed(received)
        if host.answer is None:
            self.contacts.silence()
        return host.answer or b""


def _is_pps(data: bytes | bytearray) -> bool:
    """Can these bytes be a PPS request?"""
    return len(data) > 2 and data[0] == PPSS and len(data) == 3 + (data[1] >> 4 & 7).bit_count()


def _speed(pps1: int | None, atr: Atr | None) -> tuple[int, int] | None:
    """Fi and Di asked by PPS1 when the card can follow: from the default values up to those of TA1 (9.3)."""
    if pps1 is None or atr is None:
        return None
    fi, di = FI[pps1 >> 4], DI[pps1 & 0x0F]
    if fi is None or di is None or not DEFAULT_SPEED[0] <= fi <= atr.fi or not 1 <= di <= atr.di:
        return None
    return fi, di
