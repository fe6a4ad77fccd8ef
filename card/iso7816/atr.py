"""Answer to reset (ISO 7816-3:2006, clause 8): how a card introduces itself.

TS T0 | TA1 TB1 TC1 TD1 | TA2 ... | historical bytes | TCK.  T0 and each TD say which bytes follow.
"""

from __future__ import annotations

from dataclasses import dataclass

from card.iso7816.check import exclusive_or

MAX_LENGTH = 33

DIRECT, INVERSE = 0x3B, 0x3F

# Clock rate conversion and baud rate adjustment (tables 7 and 8); None is reserved.
FI = (372, 372, 558, 744, 1116, 1488, 1860, None, None, 512, 768, 1024, 1536, 2048, None, None)
DI = (None, 1, 2, 4, 8, 16, 32, 64, 12, 20, None, None, None, None, None, None)


class AtrError(ValueError):
    """The bytes are not an answer to reset. The text says why."""


@dataclass(frozen=True, slots=True)
class InterfaceBytes:
    """One group TAi TBi TCi TDi; a missing byte is None."""

    ta: int | None = None
    tb: int | None = None
    tc: int | None = None
    td: int | None = None


@dataclass(frozen=True, slots=True)
class Atr:
    """A parsed answer to reset.

    >>> Atr.parse(bytes.fromhex("3B751300004309EA9000")).protocols
    (0,)
    """

    raw: bytes
    groups: tuple[InterfaceBytes, ...]
    historical: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Atr:
        """Read an ATR of 2 to 33 bytes in logical order; raises AtrError on anything that does not fit."""
        if not 2 <= len(raw) <= MAX_LENGTH:
            raise AtrError(f"an ATR has 2 to 33 bytes, got {len(raw)}")
        if raw[0] not in (DIRECT, INVERSE):
            raise AtrError(f"TS is 3B or 3F, got {raw[0]:02X}")
        groups, at = _groups(raw)
        end = at + (raw[1] & 0x0F)
        if end > len(raw):
            raise AtrError(f"T0 announces {raw[1] & 15} historical bytes, {len(raw) - at} are there")
        parsed = cls(bytes(raw), groups, bytes(raw[at:end]))
        parsed._check_tail(end)
        return parsed

    def _check_tail(self, end: int) -> None:
        """TCK is there exactly when a protocol other than T=0 is named (8.2.5)."""
        expected = end + (self.protocols != (0,))
        if len(self.raw) != expected:
            raise AtrError(f"the ATR has {len(self.raw)} bytes, its own bytes announce {expected}")
        if expected > end and exclusive_or(self.raw[1:]):
            raise AtrError("the check byte TCK does not match")

    @property
    def protocols(self) -> tuple[int, ...]:
        """The protocols offered, in order; T=0 alone when no TD names one. 15 is not a protocol."""
        named = [group.td & 0x0F for group in self.groups if group.td is not None]
        return tuple(dict.fromkeys(named)) or (0,)

    @property
    def is_inverse(self) -> bool:
        """True for the inverse convention, as old Vitale 1 cards use it."""
        return self.raw[0] == INVERSE

    @property
    def fi(self) -> int:
        """Clock rate conversion factor of TA1 (372 by default)."""
        return FI[self._ta1 >> 4] or 372

    @property
    def di(self) -> int:
        """Baud rate adjustment factor of TA1 (1 by default)."""
        return DI[self._ta1 & 0x0F] or 1

    @property
    def waiting_integer(self) -> int:
        """WI of T=0, from TC2 (10 by default, 10.2)."""
        second = self.groups[1] if len(self.groups) > 1 else InterfaceBytes()
        return second.tc or 10

    @property
    def extra_guard_time(self) -> int:
        """N of TC1, in etu (0 by default)."""
        return (self.groups[0].tc if self.groups else None) or 0

    @property
    def wants_pps(self) -> bool:
        """True when TA1 offers another speed than the default one and no TA2 fixes it."""
        specific = len(self.groups) > 1 and self.groups[1].ta is not None
        return not specific and self._ta1 != 0x11

    @property
    def specific_mode(self) -> int | None:
        """TA2: the card keeps its protocol (bits 4 to 1) and speed, there is no PPS; else None (8.3)."""
        return self.groups[1].ta if len(self.groups) > 1 else None

    @property
    def _ta1(self) -> int:
        ta1 = self.groups[0].ta if self.groups else None
        return 0x11 if ta1 is None else ta1


def _groups(raw: bytes) -> tuple[tuple[InterfaceBytes, ...], int]:
    """Follow T0 and every TD; the length of the ATR bounds the chain."""
    groups: list[InterfaceBytes] = []
    present, at = raw[1] >> 4, 2
    while present:
        values: list[int | None] = []
        for bit in range(4):
            if not present & (1 << bit):
                values.append(None)
                continue
            if at >= len(raw):
                raise AtrError(f"interface byte T{'ABCD'[bit]}{len(groups) + 1} is missing")
            values.append(raw[at])
            at += 1
        groups.append(InterfaceBytes(*values))
        td = values[3]
        present = 0 if td is None else td >> 4
    return tuple(groups), at
