"""Blocks of T=1 (ISO/IEC 7816-3:2006, 11.3): NAD PCB LEN, INF of 0 to 254 bytes, LRC or CRC."""

from __future__ import annotations

from dataclasses import dataclass

from card.iso7816.check import exclusive_or

PROLOGUE = 3
MAX_INF = 254
BUFFER = 65_536

S_RESYNCH, S_IFS, S_ABORT, S_WTX = 0xC0, 0xC1, 0xC2, 0xC3
S_RESPONSE = 0x20
"""Added to the PCB of an S-block request in its response (11.3.2.2)."""

EDC_ERROR, OTHER_ERROR = 1, 2
"""What an R-block says of the block it asks for again (11.3.2.2)."""


def i_pcb(number: int, *, more: bool) -> int:
    """PCB of an I-block: N(S) and the chaining bit M."""
    return number << 6 | more << 5


def r_pcb(number: int, error: int = 0) -> int:
    """PCB of an R-block: N(R), the number of the I-block expected next, and an error code."""
    return 0x80 | number << 4 | error


@dataclass(frozen=True, slots=True)
class Block:
    """A block whose check bytes are right."""

    pcb: int
    inf: bytes = b""
    nad: int = 0

    @property
    def is_i(self) -> bool:
        """True for an information block: bits 5 to 1 are 0 (11.3.2.2), which a lost byte may not keep."""
        return not self.pcb & 0x9F

    @property
    def is_r(self) -> bool:
        """True for a receive-ready block that is well formed."""
        return self.pcb & 0xEC == 0x80 and not self.inf

    @property
    def ns(self) -> int:
        """N(S) of an I-block."""
        return self.pcb >> 6 & 1

    @property
    def more(self) -> bool:
        """M of an I-block: the chain goes on."""
        return bool(self.pcb & 0x20)

    @property
    def nr(self) -> int:
        """N(R) of an R-block."""
        return self.pcb >> 4 & 1


@dataclass(frozen=True, slots=True)
class BadBlock:
    """A block that cannot be used: EDC_ERROR or OTHER_ERROR."""

    error: int


def lrc(data: bytes) -> bytes:
    """The longitudinal redundancy check: exclusive-or of all bytes (11.4.4)."""
    return bytes((exclusive_or(data),))


def _table() -> tuple[int, ...]:
    entries = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


_CRC = _table()


def crc(data: bytes) -> bytes:
    """The 16-bit CRC of ISO/IEC 13239, preset FFFF, high byte first, as readers send it."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "big")


class Codec:
    """Blocks to bytes and bytes, in any chunks, to blocks. use_crc: two check bytes instead of one."""

    def __init__(self, *, use_crc: bool = False) -> None:
        self._check, self._tail = (crc, 2) if use_crc else (lrc, 1)
        self._buffer = bytearray()

    def encode(self, pcb: int, inf: bytes = b"", nad: int = 0) -> bytes:
        """A block of at most 254 INF bytes."""
        body = bytes((nad, pcb, len(inf))) + inf
        return body + self._check(body)

    def feed(self, data: bytes) -> None:
        """Keep bytes, 64 KiB at most; `next` gives the blocks in them."""
        self._buffer += data
        del self._buffer[BUFFER:]

    def next(self) -> Block | BadBlock | None:
        """The next block, or None while one is not complete."""
        buffer = self._buffer
        if len(buffer) < PROLOGUE:
            return None
        end = PROLOGUE + buffer[2]
        if len(buffer) < end + self._tail:
            return None
        raw = bytes(buffer[: end + self._tail])
        del buffer[: end + self._tail]
        if self._check(raw[:end]) != raw[end:]:
            return BadBlock(EDC_ERROR)
        if raw[2] > MAX_INF:
            return BadBlock(OTHER_ERROR)
        return Block(raw[1], raw[PROLOGUE:end], raw[0])

    @property
    def is_partial(self) -> bool:
        """Bytes are waiting for the rest of their block."""
        return bool(self._buffer)

    def drop(self) -> bool:
        """Forget an unfinished block; was there one?"""
        unfinished = bool(self._buffer)
        self._buffer.clear()
        return unfinished
