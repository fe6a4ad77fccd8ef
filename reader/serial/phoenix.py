"""A Phoenix or Smartmouse interface: a serial line that is the card's I/O contact. The host's end.

The interface does nothing but levels: RTS holds the card in reset, CTS tells whether one is there, and as the
line is one wire, every byte sent comes back and is checked. All of ISO/IEC 7816-3 is done here: answer to
reset, convention, PPS, T=0 and T=1. `Wire` and the machines of `card.iso7816` are pure; `PhoenixCard` runs
them over a `Line`, and gives up in time whatever the line does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from card.iso7816.atr import Atr, AtrError
from card.iso7816.pps import Pps, PpsError
from card.iso7816.reset import (
    AtrCollector,
    block_waiting_time,
    character_waiting_time,
    inverted,
    waiting_time,
)
from card.iso7816.t0 import T0Host
from card.iso7816.t1 import ifsc_of, uses_crc
from card.iso7816.t1host import T1Host
from reader.stream import Clock, Deadline

DEFAULT_FI = 372
FREQUENCY = 3_571_200.0
"""Hz: 9600 baud at Fi 372."""

RESET_HOLD = 0.2
"""Seconds the card is held in reset; 400 clock cycles would do (6.2.2)."""

LATENCY = 0.5
"""Seconds that adapters, drivers and networks may add to any time of the standard."""

ATR_TIME, BUDGET = 5.0, 60.0
"""Seconds a whole ATR may take, and a whole command with all its waiting."""

NOTHING_BACK = "what is sent does not come back: this is no Phoenix interface, or it has no power"

HELD = 65_536
"""Bytes of a card that are kept at once; more is not a card talking."""


class Line(Protocol):
    """A serial port with its modem lines, raw bytes of the direct convention. OSError when it is gone."""

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        ...

    def receive(self, seconds: float) -> bytes:
        """What has arrived, waiting at most `seconds` for the first byte; empty when nothing came."""
        ...

    def clear(self) -> None:
        """Forget what has arrived."""
        ...

    def set_reset(self, asserted: bool) -> None:
        """Put RTS."""
        ...

    def is_cts(self) -> bool:
        """Is CTS asserted?"""
        ...

    def supports(self, speed: int) -> bool:
        """Can the port run at this speed (baud)?"""
        ...

    def set_mode(self, speed: int, *, odd: bool) -> None:
        """8 data bits, even or odd parity, at this speed."""
        ...

    def close(self) -> None:
        """Give the port back. Never raises."""
        ...


@dataclass(frozen=True)
class Wiring:
    """How an interface is built. frequency: clock of the card in Hz."""

    name: str
    reset_asserted: bool = True
    frequency: float = FREQUENCY

    def speed(self, fi: int = DEFAULT_FI, di: int = 1) -> int:
        """Baud of an etu of Fi / Di clock cycles."""
        return round(self.frequency * di / fi)


WIRINGS = {
    wiring.name: wiring
    for wiring in (
        Wiring("phoenix"),
        Wiring("phoenix6", frequency=6_000_000.0),
        Wiring("smartmouse", reset_asserted=False),
        Wiring("smartmouse6", reset_asserted=False, frequency=6_000_000.0),
    )
}


class Wire:
    """One wire, both directions: what is sent comes back first, and must be what was sent. No I/O.

    `failure` says what did not come back as it was sent.
    """

    def __init__(self) -> None:
        self.is_inverse = False
        self._mirror = bytearray()
        self.failure = ""

    @property
    def awaits_mirror(self) -> bool:
        """Bytes of ours have not come back yet."""
        return bool(self._mirror)

    def send(self, data: bytes) -> bytes:
        """The bytes to write for these logical ones."""
        raw = inverted(data) if self.is_inverse else data
        self._mirror += raw
        return raw

    def hear(self, raw: bytes) -> bytes:
        """Take bytes off the line; the logical bytes that are the card's."""
        ours = len(self._mirror)
        if ours and not self.failure:
            back = raw[:ours]
            if back != self._mirror[: len(back)]:
                self.failure = "a byte came back from the line other than it was sent"
            del self._mirror[: len(back)]
            raw = raw[ours:]
        if self.failure:
            return b""
        return inverted(raw) if self.is_inverse else raw


class PhoenixCard:
    """A card in such an interface, as a slot holds it. 61xx and 6Cxx are left to the Connection.

    Every wait is bounded by the times of the card's ATR, every command by BUDGET. Raises TimeoutError when
    the card is mute and OSError when what it says cannot be used; a reset is needed then.
    """

    def __init__(
        self,
        line: Line,
        wiring: Wiring = WIRINGS["phoenix"],
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._line, self._wiring, self._clock, self._sleep = line, wiring, clock, sleep
        self._wire = Wire()
        self._protocol: _T0 | _T1 | None = None

    def power_on(self) -> bytes:
        """Reset, ATR, and the fastest speed that card and port agree on; the ATR."""
        atr = self._reset()
        try:
            self._negotiate(atr)
        except OSError:  # a card that offers a speed and does not keep to it: once more, without asking
            atr = self._reset()
        if self._protocol is None:
            self._speak(atr, _protocol(atr))
        return atr.raw

    def power_off(self) -> None:
        """There is no switch for the power: the card is held in reset, and forgets."""
        self._protocol = None
        self._line.set_reset(self._wiring.reset_asserted)

    def transmit(self, apdu: bytes) -> bytes:
        """One command, one answer."""
        protocol = self._protocol
        if protocol is None:
            raise OSError("the card is not powered")
        try:
            return protocol.exchange(apdu, Deadline(BUDGET, self._clock))
        except OSError:
            self._protocol = None
            raise

    # ---- reset and PPS

    def _reset(self) -> Atr:
        self._protocol, self._wire = None, Wire()
        self._line.set_mode(self._wiring.speed(), odd=False)
        self._line.set_reset(self._wiring.reset_asserted)
        self._sleep(RESET_HOLD)
        self._line.clear()
        self._line.set_reset(not self._wiring.reset_asserted)
        collector, deadline = AtrCollector(), Deadline(ATR_TIME, self._clock)
        wait = DEFAULT_FI * 9600 / self._wiring.frequency + LATENCY  # initial waiting time (8.1)
        while not collector.is_done:
            collector.feed(self._received(wait, deadline))
            if collector.failure:
                raise OSError(collector.failure)
        self._wire.is_inverse = collector.is_inverse
        if collector.is_inverse:
            self._line.set_mode(self._wiring.speed(), odd=True)
        return _parsed(collector.atr)

    def _negotiate(self, atr: Atr) -> None:
        """Agree on the card's speed when it has one to offer and the port can follow (clause 9)."""
        specific, protocol = atr.specific_mode, _protocol(atr)
        if specific is not None:
            self._speak(atr, protocol, *((DEFAULT_FI, 1) if specific & 0x10 else (atr.fi, atr.di)))
            return
        wanted = atr.wants_pps and self._line.supports(self._wiring.speed(atr.fi, atr.di))
        if not wanted and protocol == atr.protocols[0]:
            return
        agreed = self._ask(Pps(protocol, atr.groups[0].ta if wanted else None), atr)
        self._speak(atr, protocol, *((DEFAULT_FI, 1) if agreed.pps1 is None else (atr.fi, atr.di)))

    def _ask(self, request: Pps, atr: Atr) -> Pps:
        raw, said = request.to_bytes(), b""
        wait = waiting_time(atr, DEFAULT_FI, self._wiring.frequency) + LATENCY
        deadline = Deadline(2 * wait, self._clock)
        self.say(raw)
        while len(said) < 2 or len(said) < 3 + (said[1] >> 4 & 7).bit_count():
            said += self.hear(wait, deadline)
        try:
            response = Pps.parse(said)
        except PpsError as wrong:
            raise OSError(str(wrong)) from None
        if not request.is_agreed_by(response):
            raise OSError("it does not agree with the speed it offered")
        return response

    def _speak(self, atr: Atr, protocol: int, fi: int = DEFAULT_FI, di: int = 1) -> None:
        speed = self._wiring.speed(fi, di)
        self._line.set_mode(speed, odd=self._wire.is_inverse)
        frequency = self._wiring.frequency
        if protocol == 0:
            self._protocol = _T0(self, waiting_time(atr, fi, frequency) + LATENCY)
        else:
            self._protocol = _T1(self, atr, 1 / speed, frequency)

    # ---- bytes

    def say(self, data: bytes) -> None:
        """Send logical bytes; they come back through `hear`."""
        self._line.send(self._wire.send(data))

    def hear(self, wait: float, deadline: Deadline) -> bytes:
        """The next logical bytes of the card; TimeoutError when none come within `wait` seconds."""
        while True:
            heard = self._wire.hear(self._received(wait, deadline))
            if self._wire.failure:
                raise OSError(self._wire.failure)
            if heard:
                return heard

    def _received(self, wait: float, deadline: Deadline) -> bytes:
        received = self._line.receive(deadline.remaining(wait))
        if not received:
            raise TimeoutError(NOTHING_BACK if self._wire.awaits_mirror else "the card is mute")
        return received[:HELD]


class _T0:
    """Commands by T=0: `wait` seconds between two characters of the card."""

    def __init__(self, card: PhoenixCard, wait: float) -> None:
        self._card, self._wait = card, wait
        self._host = T0Host()

    def exchange(self, apdu: bytes, deadline: Deadline) -> bytes:
        host = self._host
        sent = host.start(apdu)
        while host.answer is None:
            if sent:
                self._card.say(sent)
            sent = host.feed(self._card.hear(self._wait, deadline))
            if host.failure:
                raise OSError(host.failure)
        return host.answer


class _T1:
    """Commands by T=1: BWT until a block begins, CWT inside of one."""

    def __init__(self, card: PhoenixCard, atr: Atr, etu: float, frequency: float) -> None:
        self._card = card
        self._block = block_waiting_time(atr, etu, frequency)
        self._character = character_waiting_time(atr, etu) + LATENCY
        self._host = T1Host(ifsc_of(atr), use_crc=uses_crc(atr))

    def exchange(self, apdu: bytes, deadline: Deadline) -> bytes:
        host, sent = self._host, self._host.start(apdu)
        while host.answer is None:
            if sent:
                self._card.say(sent)
            if host.failure:
                raise OSError(host.failure)
            sent = self._heard(self._block * host.extension + LATENCY, deadline)
        return host.answer

    def _heard(self, wait: float, deadline: Deadline) -> bytes:
        """What the host says to what the card says; never in the middle of a block (half duplex)."""
        host, sent = self._host, b""
        try:
            sent = host.feed(self._card.hear(wait, deadline))
            while host.is_partial:
                sent += host.feed(self._card.hear(self._character, deadline))
        except TimeoutError:
            deadline.remaining()
            if sent:
                host.forget_partial()
            else:
                sent = host.timeout()
        return sent


def _parsed(atr: bytes) -> Atr:
    try:
        return Atr.parse(atr)
    except AtrError as wrong:
        raise OSError(str(wrong)) from None


def _protocol(atr: Atr) -> int:
    """The one to speak: that of TA2, or the first offered that we know."""
    offered = atr.protocols if atr.specific_mode is None else (atr.specific_mode & 0x0F,)
    known = [number for number in offered if number in (0, 1)]
    if not known:
        raise OSError("it speaks neither T=0 nor T=1")
    return known[0]
