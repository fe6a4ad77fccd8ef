"""Protocol and parameters selection (ISO 7816-3:2006, clause 9): PPSS PPS0 [PPS1 PPS2 PPS3] PCK."""

from __future__ import annotations

from dataclasses import dataclass

from card.iso7816.check import exclusive_or

PPSS = 0xFF


class PpsError(ValueError):
    """The bytes are not a PPS request or response. The text says why."""


@dataclass(frozen=True, slots=True)
class Pps:
    """One request or response: protocol T, and PPS1 (speed, coded as TA1), PPS2, PPS3 when present.

    >>> Pps(0, 0x13).to_bytes().hex().upper()
    'FF1013FC'
    """

    protocol: int = 0
    pps1: int | None = None
    pps2: int | None = None
    pps3: int | None = None

    @classmethod
    def parse(cls, raw: bytes) -> Pps:
        """Read PPSS to PCK; raises PpsError."""
        if len(raw) < 3 or raw[0] != PPSS:
            raise PpsError("a PPS begins with FF and has at least 3 bytes")
        expected = 3 + (raw[1] >> 4 & 7).bit_count()
        if len(raw) != expected:
            raise PpsError(f"PPS0 announces {expected} bytes, got {len(raw)}")
        if exclusive_or(raw[:-1]) != raw[-1]:
            raise PpsError("the check byte PCK does not match")
        optional = iter(raw[2:-1])
        values = [next(optional) if raw[1] & (0x10 << bit) else None for bit in range(3)]
        return cls(raw[1] & 0x0F, *values)

    def to_bytes(self) -> bytes:
        """PPSS, PPS0, what is present, PCK."""
        optional = (self.pps1, self.pps2, self.pps3)
        pps0 = self.protocol | sum(0x10 << bit for bit, value in enumerate(optional) if value is not None)
        body = bytes((PPSS, pps0, *(value for value in optional if value is not None)))
        return body + bytes((exclusive_or(body),))

    def is_agreed_by(self, response: Pps) -> bool:
        """Is `response` an acceptable answer to this request (9.3)? A card may leave PPS1 to PPS3 out."""
        pairs = ((self.pps1, response.pps1), (self.pps2, response.pps2), (self.pps3, response.pps3))
        return self.protocol == response.protocol and all(theirs in (None, ours) for ours, theirs in pairs)
