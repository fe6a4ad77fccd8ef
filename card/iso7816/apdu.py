"""Command and response APDU, short and extended (ISO 7816-3:2006, 12.1 and 12.2)."""

from __future__ import annotations

from dataclasses import dataclass

from card.iso7816.status import OK, StatusWord


class ApduError(ValueError):
    """The bytes are not an APDU. The text says why."""


@dataclass(frozen=True, slots=True)
class CommandAPDU:
    """A command: header, data (0..65535 bytes) and `ne`, the largest answer wanted (0..65536).

    Case 1: no data, ne 0. Case 2: ne. Case 3: data. Case 4: both. Le '00' is ne 256
    (short) or 65536 (extended).
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    ne: int = 0

    @classmethod
    def parse(cls, raw: bytes) -> CommandAPDU:
        """Read a short or extended APDU; raises ApduError when the lengths do not add up."""
        size = len(raw)
        if size < 4:
            raise ApduError(f"an APDU has at least 4 bytes, got {size}")
        if size == 4:
            return cls(raw[0], raw[1], raw[2], raw[3])
        body = raw[4]
        if size == 5:
            return cls(raw[0], raw[1], raw[2], raw[3], b"", body or 256)
        if body:
            if size == 5 + body:
                return cls(raw[0], raw[1], raw[2], raw[3], raw[5:])
            if size == 6 + body:
                return cls(raw[0], raw[1], raw[2], raw[3], raw[5 : 5 + body], raw[-1] or 256)
            raise ApduError(f"Lc says {body} bytes but {size - 5} follow")
        return cls._parse_extended(raw, size)

    @classmethod
    def _parse_extended(cls, raw: bytes, size: int) -> CommandAPDU:
        if size < 7:
            raise ApduError("Lc 00 announces an extended length that is not there")
        length = raw[5] << 8 | raw[6]
        if size == 7:
            return cls(raw[0], raw[1], raw[2], raw[3], b"", length or 65536)
        if length and size == 7 + length:
            return cls(raw[0], raw[1], raw[2], raw[3], raw[7:])
        if length and size == 9 + length:
            ne = (raw[-2] << 8 | raw[-1]) or 65536
            return cls(raw[0], raw[1], raw[2], raw[3], raw[7 : 7 + length], ne)
        raise ApduError(f"extended Lc says {length} bytes but {size - 7} follow")

    @property
    def is_extended(self) -> bool:
        """True when the command cannot be written with one-byte lengths."""
        return len(self.data) > 255 or self.ne > 256

    def to_bytes(self) -> bytes:
        """The shortest encoding of this command."""
        header = bytes((self.cla, self.ins, self.p1, self.p2))
        data, ne = self.data, self.ne
        if self.is_extended:
            lc = b"\0" + len(data).to_bytes(2, "big") + data if data else b"\0" if ne else b""
            return header + lc + ((ne & 0xFFFF).to_bytes(2, "big") if ne else b"")
        lc = bytes((len(data),)) + data if data else b""
        return header + lc + (bytes((ne & 0xFF,)) if ne else b"")


@dataclass(frozen=True, slots=True)
class ResponseAPDU:
    """An answer: data (may be empty) and the status word."""

    data: bytes = b""
    sw: StatusWord = OK

    @classmethod
    def parse(cls, raw: bytes) -> ResponseAPDU:
        """Read an answer; raises ApduError when there is no status word."""
        if len(raw) < 2:
            raise ApduError(f"an answer has at least 2 bytes, got {len(raw)}")
        return cls(raw[:-2], StatusWord(raw[-2] << 8 | raw[-1]))

    def to_bytes(self) -> bytes:
        """Data, SW1, SW2."""
        return self.data + self.sw.to_bytes()
