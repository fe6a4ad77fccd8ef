"""The card in one slot of a CCID reader at TPDU level, as a slot of ours holds it; no I/O.

The reader carries T=0 commands and T=1 blocks; speed, parameters and the protocol itself are the host's
business (CCID rev 1.10, 4.2.2 and annex A). `ask` sends one command and gives its answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from card.iso7816.atr import DI, FI, Atr, AtrError
from card.iso7816.pps import Pps, PpsError
from card.iso7816.t1 import ifsc_of, t1_bytes, uses_crc
from card.iso7816.t1host import T1Host
from reader import tpdu
from reader.ccid.frames import Answer, Error, Icc, ParametersT0, ParametersT1, Type
from reader.errors import CardProtocolError, CardRemoved, NoPinPad
from reader.pinpad import SW_CANCELLED, SW_TIMED_OUT, PinEntry
from reader.stream import Clock, Deadline

DEFAULT_CLOCK = 4_000
"""kHz, dwDefaultClock of the readers of this family."""

DEFAULT_SPEED = 0x11
"""Fi 372, Di 1: what every card speaks after its reset (ISO 7816-3:2006, 8.1)."""

AUTO_VOLTAGE, AUTO_PARAMETERS, AUTO_PPS = 0x08, 0x02, 0xC0
"""Bits of dwFeatures (CCID 1.10, 5.1)."""

Ask = Callable[[int, bytes, bytes, float], Answer]
"""(bMessageType, header bytes 7 to 9, data, seconds) to the answer; raises OSError when none comes."""

POWER_SECONDS, TRANSFER_SECONDS, PAD_MARGIN = 10.0, 20.0, 15.0
"""How long a reset, one exchange with the card, and the keys beyond the entry's own time-out may take."""

BUDGET = 30.0
"""Seconds for a whole command or reset, whatever a card or reader asks for."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a reader does by itself: dwFeatures, dwMaxDataRate in bit/s, whether it has a PIN pad."""

    features: int = 0x0001_0230
    max_rate: int = 344_086
    has_pad: bool = False


class CcidCard:
    """From its insertion to its removal. `slot` names it in sentences; `gone` is called when it has left."""

    def __init__(
        self,
        ask: Ask,
        slot: str,
        abilities: Abilities,
        gone: Callable[[], None],
        clock: Clock = time.monotonic,
    ) -> None:
        self._ask, self._slot, self._abilities, self._gone = ask, slot, abilities, gone
        self._clock, self._budget = clock, Deadline(0, clock)
        self.has_left = False
        self.power = 0  # counts what we did to the power: odd while the card has some
        self._t1: T1Host | None = None

    @property
    def _powered(self) -> bool:
        return bool(self.power & 1)

    def power_on(self) -> bytes:
        """Cold reset; the ATR. Protocol and speed are settled before this returns."""
        self._t1, self._budget = None, Deadline(BUDGET, self._clock)
        atr = self._reset()
        try:
            self._negotiate(Atr.parse(atr))
        except AtrError as wrong:
            raise CardProtocolError(self._slot, f"its answer to reset is not one: {wrong}") from None
        return atr

    def power_off(self) -> None:
        """Take the power away; nothing is said about a card that has left."""
        if self._powered and not self.has_left:
            self.power += 1
            self._ask(Type.POWER_OFF, b"\0\0\0", b"", POWER_SECONDS)

    def transmit(self, apdu: bytes) -> bytes:
        """One command and its answer: short over T=0, of any length the card takes over T=1."""
        self._budget = Deadline(BUDGET, self._clock)
        return tpdu.transmit(apdu, self._t0) if self._t1 is None else self._blocks(self._t1, apdu)

    def leave(self) -> None:
        """The card is out, or was out for a moment (it has lost its power): it is never spoken to again."""
        if not self.has_left:
            self.has_left = True
            self._gone()

    def was_out(self, state: int, before: int) -> bool:
        """True when bmICCStatus `state` cannot be that of the card we know.

        Absent, or without power though we gave it some and did nothing since `power` was `before`.
        """
        return state == Icc.ABSENT or (state == Icc.INACTIVE and before == self.power and self._powered)

    # ---- reset and negotiation

    def _reset(self) -> bytes:
        """Power on with 5 V, then 3 V, then 1.8 V, or as the reader chooses (6.1.1); the ATR."""
        self.power += self.power & 1
        voltages = (0,) if self._abilities.features & AUTO_VOLTAGE else (1, 2, 3)
        for voltage in voltages:
            answer = self._raw(
                Type.POWER_ON, bytes((voltage, 0, 0)), b"", self._budget.remaining(POWER_SECONDS)
            )
            if not answer.failed or answer.icc == Icc.ABSENT:
                break
        atr = self._checked(answer).data
        self.power += 1
        return atr

    def _negotiate(self, atr: Atr) -> None:
        """Speed and protocol (ISO 7816-3:2006, 6.3 and clause 9), then the reader's parameters (6.1.7)."""
        protocol = _protocol(atr)
        if protocol not in (0, 1):
            raise CardProtocolError(self._slot, f"it speaks T={protocol} only")
        speed = self._speed(atr)
        if atr.wants_pps and speed != DEFAULT_SPEED and not self._abilities.features & AUTO_PPS:
            speed = self._select(Pps(protocol, speed))
        self._set(t1_parameters(atr, speed) if protocol else t0_parameters(atr, speed))
        self._t1 = T1Host(ifsc_of(atr), use_crc=uses_crc(atr)) if protocol else None

    def _speed(self, atr: Atr) -> int:
        """TA1 when this reader can follow it, else the default."""
        ta1 = atr.groups[0].ta if atr.groups else None
        if ta1 is None or not FI[ta1 >> 4] or not DI[ta1 & 0x0F]:
            return DEFAULT_SPEED
        return ta1 if DEFAULT_CLOCK * 1000 * atr.di // atr.fi <= self._abilities.max_rate else DEFAULT_SPEED

    def _select(self, wanted: Pps) -> int:
        """PPS; a card that refuses it is reset and spoken to at the default speed (clause 9.2)."""
        try:
            response = Pps.parse(self._exchange(wanted.to_bytes()))
        except (PpsError, TimeoutError):
            response = None
        if response is not None and wanted.is_agreed_by(response):
            return DEFAULT_SPEED if response.pps1 is None else response.pps1
        self._reset()
        return DEFAULT_SPEED

    def _set(self, parameters: ParametersT0 | ParametersT1) -> None:
        header = bytes((parameters.protocol, 0, 0))
        self._do(Type.SET_PARAMETERS, header, parameters.to_bytes(), POWER_SECONDS)

    # ---- one exchange

    def _t0(self, command: bytes, _outgoing: bool) -> bytes:
        return self._exchange(command)

    def _blocks(self, host: T1Host, apdu: bytes) -> bytes:
        """A command through T=1: the reader carries blocks, the machine says which (annex B of CCID 1.10)."""
        block = host.start(apdu)
        while block:
            try:
                received = self._exchange(block, min(host.extension, 0xFF))
            except TimeoutError:
                received = b""
            block = host.feed(received) if received else host.timeout()
        if host.answer is None:
            raise OSError(host.failure or "the card sent half a block")
        return host.answer

    def _exchange(self, data: bytes, waiting: int = 0) -> bytes:
        """PC_to_RDR_XfrBlock (6.1.4) and the data block that answers it; `waiting` is bBWI."""
        return self._do(Type.XFR_BLOCK, bytes((waiting, 0, 0)), data, TRANSFER_SECONDS).data

    def _do(self, kind: int, parameters: bytes, data: bytes, seconds: float) -> Answer:
        return self._checked(self._raw(kind, parameters, data, self._budget.remaining(seconds)))

    def _raw(self, kind: int, parameters: bytes, data: bytes, seconds: float) -> Answer:
        if self.has_left:
            raise CardRemoved(self._slot)
        return self._ask(kind, parameters, data, seconds)

    def _checked(self, answer: Answer) -> Answer:
        """The answer of a command that was carried out; else what its error byte says (6.2.6)."""
        if not answer.failed:
            return answer
        if answer.icc == Icc.ABSENT or (self._powered and answer.icc == Icc.INACTIVE):
            self.leave()
            raise CardRemoved(self._slot)
        if answer.error in _SILENT:
            raise TimeoutError(f"the reader reports error {answer.error:02X}")
        raise CardProtocolError(
            self._slot, _SAID.get(answer.error, f"the reader reports error {answer.error:02X}")
        )


_SILENT = frozenset({Error.ICC_MUTE, Error.PARITY, Error.OVERRUN, Error.HARDWARE, Error.ABORTED})

_NOT_TYPED: dict[int, bytes] = {Error.PIN_CANCELLED: SW_CANCELLED, Error.PIN_TIMEOUT: SW_TIMED_OUT}

_SAID: dict[int, str] = {
    Error.BAD_ATR_TS: "the first byte of its answer to reset is wrong",
    Error.BAD_ATR_TCK: "the check byte of its answer to reset is wrong",
    Error.PROTOCOL_NOT_SUPPORTED: "the reader cannot speak its protocol",
    Error.PROCEDURE_BYTE_CONFLICT: "it answers a command with a byte that is none",
    Error.SLOT_BUSY: "the reader says that it is still busy with it",
    Error.BAD_SLOT: "the reader has no such slot",
}


class PinPadCard(CcidCard):
    """The same in a reader with a PIN pad: has the ability of a `reader.slot.PadCard`."""

    def verify_on_pad(self, entry: PinEntry) -> bytes:
        """PC_to_RDR_Secure (6.1.11): the person types on the reader; the status word."""
        if self._t1 is not None:
            raise NoPinPad(self._slot)  # the numbers of its blocks would be out of step afterwards
        seconds = entry.timeout_seconds + PAD_MARGIN
        data = entry.to_ccid(all_messages=True)  # every reader with a pad here is a GemPC Pinpad
        answer = self._raw(Type.SECURE, b"\0\0\0", data, seconds)
        if answer.failed and answer.error in _NOT_TYPED:
            return _NOT_TYPED[answer.error]
        return self._checked(answer).data[-2:]


def t0_parameters(atr: Atr, speed: int) -> ParametersT0:
    """What the reader must know for T=0: convention, guard time and waiting time of the ATR."""
    return ParametersT0(speed, atr.is_inverse << 1, atr.extra_guard_time, atr.waiting_integer)


def t1_parameters(atr: Atr, speed: int) -> ParametersT1:
    """What the reader must know for T=1: check bytes, convention, guard and waiting times, IFSC (11.4)."""
    named = t1_bytes(atr)
    checksum = 0x10 | atr.is_inverse << 1 | uses_crc(atr)
    waiting = 0x4D if named.tb is None else named.tb
    return ParametersT1(speed, checksum, atr.extra_guard_time, waiting, 0, ifsc_of(atr), 0)


def _protocol(atr: Atr) -> int:
    """TA2 fixes the protocol (specific mode, 6.3.1), else the first one offered."""
    ta2 = atr.groups[1].ta if len(atr.groups) > 1 else None
    return atr.protocols[0] if ta2 is None else ta2 & 0x0F
