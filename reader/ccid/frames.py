"""CCID messages (rev 1.10, clause 6): a 10-byte header, then data; numbers are little-endian.

Command (host to reader): type, dwLength, bSlot, bSeq, three bytes of parameters, data.
Answer (reader to host): type, dwLength, bSlot, bSeq, bStatus, bError, one byte that depends on it, data.
The same messages travel over USB and, framed, over the serial line of a GemPC-Twin.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

HEADER = struct.Struct("<BIBB3s")
"""Type, dwLength, bSlot, bSeq, the last three bytes."""

HEADER_SIZE = 10
MAX_MESSAGE = 271
"""dwMaxCCIDMessageLength of a reader with short APDUs: a header and 261 bytes."""

MAX_DATA = MAX_MESSAGE - HEADER_SIZE
MAX_ANSWER_DATA = 259
"""The longest answer of a card at this level: a T=1 block of 254 bytes with CRC; T=0 has 256 and a status."""


class CcidError(ValueError):
    """The bytes are not a CCID message. The text says why."""


class Type(IntEnum):
    """bMessageType of commands (6.1), answers (6.2) and interrupts (6.3)."""

    SET_PARAMETERS = 0x61
    POWER_ON = 0x62
    POWER_OFF = 0x63
    GET_SLOT_STATUS = 0x65
    SECURE = 0x69
    T0_APDU = 0x6A
    ESCAPE = 0x6B
    GET_PARAMETERS = 0x6C
    RESET_PARAMETERS = 0x6D
    ICC_CLOCK = 0x6E
    XFR_BLOCK = 0x6F
    MECHANICAL = 0x71
    ABORT = 0x72
    SET_DATA_RATE = 0x73

    DATA_BLOCK = 0x80
    SLOT_STATUS = 0x81
    PARAMETERS = 0x82
    ESCAPE_ANSWER = 0x83
    DATA_RATE = 0x84

    NOTIFY_SLOT_CHANGE = 0x50
    HARDWARE_ERROR = 0x51


ANSWERED_BY: dict[int, int] = {
    Type.SET_PARAMETERS: Type.PARAMETERS,
    Type.POWER_ON: Type.DATA_BLOCK,
    Type.POWER_OFF: Type.SLOT_STATUS,
    Type.GET_SLOT_STATUS: Type.SLOT_STATUS,
    Type.SECURE: Type.DATA_BLOCK,
    Type.T0_APDU: Type.SLOT_STATUS,
    Type.ESCAPE: Type.ESCAPE_ANSWER,
    Type.GET_PARAMETERS: Type.PARAMETERS,
    Type.RESET_PARAMETERS: Type.PARAMETERS,
    Type.ICC_CLOCK: Type.SLOT_STATUS,
    Type.XFR_BLOCK: Type.DATA_BLOCK,
    Type.MECHANICAL: Type.SLOT_STATUS,
    Type.ABORT: Type.SLOT_STATUS,
    Type.SET_DATA_RATE: Type.DATA_RATE,
}
"""Which answer a command gets (6.1); a command of unknown type gets SLOT_STATUS."""


class Icc(IntEnum):
    """bmICCStatus, bits 0 and 1 of bStatus (6.2.6)."""

    ACTIVE = 0
    INACTIVE = 1
    ABSENT = 2


FAILED, TIME_EXTENSION = 0x40, 0x80
"""bmCommandStatus, bits 6 and 7 of bStatus (6.2.6)."""


class Error(IntEnum):
    """bError of a failed command (6.2.6); 01 to 7F is the offset of the byte the reader does not accept."""

    NOT_SUPPORTED = 0x00
    BAD_LENGTH = 0x01
    BAD_SLOT = 0x05
    BAD_PARAMETER_7 = 0x07
    BAD_LEVEL = 0x08
    BAD_DATA = 0x0A
    SLOT_BUSY = 0xE0
    PIN_CANCELLED = 0xEF
    PIN_TIMEOUT = 0xF0
    BUSY_WITH_AUTO_SEQUENCE = 0xF2
    DEACTIVATED_PROTOCOL = 0xF3
    PROCEDURE_BYTE_CONFLICT = 0xF4
    CLASS_NOT_SUPPORTED = 0xF5
    PROTOCOL_NOT_SUPPORTED = 0xF6
    BAD_ATR_TCK = 0xF7
    BAD_ATR_TS = 0xF8
    HARDWARE = 0xFB
    OVERRUN = 0xFC
    PARITY = 0xFD
    ICC_MUTE = 0xFE
    ABORTED = 0xFF


@dataclass(frozen=True, slots=True)
class Command:
    """A message to the reader. `parameters`: header bytes 7 to 9 (voltage; protocol; bBWI, wLevelParameter).

    >>> Command(Type.POWER_ON, 0, 5).to_bytes().hex()
    '62000000000005000000'
    """

    type: int
    slot: int
    seq: int
    parameters: bytes = b"\0\0\0"
    data: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Command:
        """Read one whole message; raises CcidError when the bytes and dwLength disagree."""
        kind, slot, seq, rest, data = _split(raw)
        return cls(kind, slot, seq, rest, data)

    def to_bytes(self) -> bytes:
        """Header and data."""
        return HEADER.pack(self.type, len(self.data), self.slot, self.seq, self.parameters) + self.data


@dataclass(frozen=True, slots=True)
class Answer:
    """A message from the reader. `specific`: header byte 9 (chaining, clock, protocol, RFU).

    >>> Answer.parse(bytes.fromhex("81000000000005420500")).error == Error.BAD_SLOT
    True
    """

    type: int
    slot: int
    seq: int
    status: int = 0
    error: int = 0
    specific: int = 0
    data: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Answer:
        """Read one whole message; raises CcidError when the bytes and dwLength disagree."""
        kind, slot, seq, rest, data = _split(raw)
        return cls(kind, slot, seq, rest[0], rest[1], rest[2], data)

    def to_bytes(self) -> bytes:
        """Header and data."""
        rest = bytes((self.status, self.error, self.specific))
        return HEADER.pack(self.type, len(self.data), self.slot, self.seq, rest) + self.data

    @property
    def icc(self) -> int:
        """0 active, 1 inactive, 2 absent; 3 is reserved."""
        return self.status & 0x03

    @property
    def failed(self) -> bool:
        """The command failed; `error` says why."""
        return self.status & 0xC0 == FAILED

    @property
    def wants_time(self) -> bool:
        """The reader asks for more time; `error` is the multiplier, the answer is still to come."""
        return self.status & 0xC0 == TIME_EXTENSION


def _split(raw: bytes) -> tuple[int, int, int, bytes, bytes]:
    if len(raw) < HEADER_SIZE:
        raise CcidError(f"a CCID message has at least {HEADER_SIZE} bytes, got {len(raw)}")
    kind, length, slot, seq, rest = HEADER.unpack_from(raw)
    if length != len(raw) - HEADER_SIZE:
        raise CcidError(f"dwLength says {length} bytes but {len(raw) - HEADER_SIZE} follow")
    return kind, slot, seq, rest, raw[HEADER_SIZE:]


def power_on(slot: int, seq: int, voltage: int = 0) -> Command:
    """PC_to_RDR_IccPowerOn (6.1.1); voltage: 0 automatic, 1 5 V, 2 3 V, 3 1.8 V."""
    return Command(Type.POWER_ON, slot, seq, bytes((voltage, 0, 0)))


def transfer(slot: int, seq: int, data: bytes, *, waiting: int = 0, level: int = 0) -> Command:
    """PC_to_RDR_XfrBlock (6.1.4); waiting is bBWI, level is wLevelParameter (0 at TPDU level)."""
    return Command(Type.XFR_BLOCK, slot, seq, struct.pack("<BH", waiting, level), data)


def set_parameters(slot: int, seq: int, parameters: ParametersT0 | ParametersT1) -> Command:
    """PC_to_RDR_SetParameters (6.1.7) for T=0 or T=1."""
    return Command(Type.SET_PARAMETERS, slot, seq, bytes((parameters.protocol, 0, 0)), parameters.to_bytes())


def secure(slot: int, seq: int, data: bytes) -> Command:
    """PC_to_RDR_Secure (6.1.11); data begins with bPINOperation."""
    return Command(Type.SECURE, slot, seq, b"\0\0\0", data)


@dataclass(frozen=True, slots=True)
class ParametersT0:
    """abProtocolDataStructure for T=0 (6.1.7): five bytes; `speed` is coded as TA1."""

    speed: int = 0x11
    convention: int = 0x00
    guard_time: int = 0
    waiting_integer: int = 10
    clock_stop: int = 0

    protocol = 0

    @classmethod
    def parse(cls, data: bytes) -> ParametersT0:
        """Read the five bytes; raises CcidError on another length."""
        if len(data) != 5:
            raise CcidError(f"the parameters of T=0 have 5 bytes, got {len(data)}")
        return cls(*data)

    def to_bytes(self) -> bytes:
        """bmFindexDindex, bmTCCKST0, bGuardTimeT0, bWaitingIntegerT0, bClockStop."""
        return bytes((self.speed, self.convention, self.guard_time, self.waiting_integer, self.clock_stop))


@dataclass(frozen=True, slots=True)
class ParametersT1:
    """abProtocolDataStructure for T=1 (6.1.7): seven bytes; `speed` is coded as TA1."""

    speed: int = 0x11
    checksum: int = 0x10
    guard_time: int = 0
    waiting_integers: int = 0x4D
    clock_stop: int = 0
    ifsc: int = 32
    nad: int = 0

    protocol = 1

    @classmethod
    def parse(cls, data: bytes) -> ParametersT1:
        """Read the seven bytes; raises CcidError on another length."""
        if len(data) != 7:
            raise CcidError(f"the parameters of T=1 have 7 bytes, got {len(data)}")
        return cls(*data)

    def to_bytes(self) -> bytes:
        """bmFindexDindex, bmTCCKST1, bGuardTimeT1, bmWaitingIntegersT1, bClockStop, bIFSC, bNadValue."""
        head = (self.speed, self.checksum, self.guard_time, self.waiting_integers)
        return bytes((*head, self.clock_stop, self.ifsc, self.nad))


class SlotChange(IntEnum):
    """One slot's two bits in a notice of card movement (6.3.1): bit 0 present, bit 1 changed."""

    REMOVED = 0b10
    INSERTED = 0b11
