"""What a host does after a reset (ISO/IEC 7816-3:2006, 6.2 and clause 8): collect the ATR, know the times.

Times are in seconds for a card clock of `frequency` Hz.
"""

from __future__ import annotations

from card.iso7816.atr import DIRECT, INVERSE, MAX_LENGTH, Atr
from card.iso7816.t1 import t1_bytes

_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_INVERTED = bytes(value ^ 0xFF for value in _REVERSED)
RAW_INVERSE = _INVERTED[INVERSE]
"""How a receiver of the direct convention sees the TS of an inverse card: 03."""


def inverted(data: bytes) -> bytes:
    """Between the two conventions (8.1): bits reversed and complemented, the same both ways."""
    return data.translate(_INVERTED)


def atr_length(begin: bytes) -> int | None:
    """How long the ATR that begins like this is, or None while that cannot be known (8.2)."""
    if len(begin) < 2:
        return None
    present, at, has_check = begin[1] >> 4, 2, False
    while present:
        at += (present & 7).bit_count()
        if not present & 8:
            break
        if at >= len(begin):
            return None
        has_check |= bool(begin[at] & 0x0F)
        present, at = begin[at] >> 4, at + 1
    return at + (begin[1] & 0x0F) + has_check


class AtrCollector:
    """Takes what the line says after a reset, in any pieces, until the ATR is whole or cannot be one.

    `atr` is it, in logical bytes, when `is_done`; `failure` says why it is none. At most 33 bytes are kept.
    """

    def __init__(self) -> None:
        self.atr = b""
        self.is_inverse = self.is_done = False
        self.failure = ""

    def feed(self, data: bytes) -> bytes:
        """Take bytes as a receiver of the direct convention sees them; those after the ATR come back."""
        for at, byte in enumerate(data):
            if self.is_done or self.failure:
                return data[at:]
            self._take(byte)
        return b""

    def _take(self, byte: int) -> None:
        if not self.atr:
            self.is_inverse = byte == RAW_INVERSE
        self.atr += inverted(bytes((byte,))) if self.is_inverse else bytes((byte,))
        if self.atr[0] not in (DIRECT, INVERSE) or (self.atr[0] == INVERSE and not self.is_inverse):
            self.failure = f"{byte:02X} does not begin an answer to reset"
            return
        length = atr_length(self.atr)
        if (length or len(self.atr)) > MAX_LENGTH or (length is None and len(self.atr) == MAX_LENGTH):
            self.failure = "its answer to reset has more than 33 bytes"
        self.is_done = not self.failure and length == len(self.atr)


def waiting_time(atr: Atr, fi: int, frequency: float) -> float:
    """WT of T=0: between two characters, WI x 960 x Fi / f (10.2)."""
    return atr.waiting_integer * 960 * fi / frequency


def block_waiting_time(atr: Atr, etu: float, frequency: float) -> float:
    """BWT of T=1: until the first character of a block, 11 etu + 2^BWI x 960 x Fd / f (11.4.3)."""
    bwi = min(_times(atr) >> 4, 9)
    return 11 * etu + (1 << bwi) * 960 * 372 / frequency


def character_waiting_time(atr: Atr, etu: float) -> float:
    """CWT of T=1: between two characters of a block, (11 + 2^CWI) etu (11.4.3)."""
    return (11 + (1 << (_times(atr) & 0x0F))) * etu


def _times(atr: Atr) -> int:
    """BWI and CWI: TB of T=1, 4 and 13 by default."""
    value = t1_bytes(atr).tb
    return 0x4D if value is None else value
