"""Status words: the two bytes that end every answer of a card (ISO 7816-4, table 6)."""

from __future__ import annotations

_NAMES: dict[int, str] = {
    0x9000: "normal processing",
    0x6200: "warning, memory unchanged",
    0x6281: "part of returned data may be corrupted",
    0x6282: "end of file reached before reading Le bytes",
    0x6283: "selected file deactivated",
    0x6284: "file control information not formatted",
    0x6285: "selected file in termination state",
    0x6300: "warning, memory changed",
    0x6400: "execution error, memory unchanged",
    0x6401: "immediate response required (cancelled)",
    0x6500: "execution error, memory changed",
    0x6581: "memory failure",
    0x6600: "security-related issue",
    0x6700: "wrong length",
    0x6800: "function in CLA not supported",
    0x6881: "logical channel not supported",
    0x6882: "secure messaging not supported",
    0x6883: "last command of the chain expected",
    0x6884: "command chaining not supported",
    0x6900: "command not allowed",
    0x6981: "command incompatible with file structure",
    0x6982: "security status not satisfied",
    0x6983: "authentication method blocked",
    0x6984: "reference data not usable",
    0x6985: "conditions of use not satisfied",
    0x6986: "command not allowed, no current EF",
    0x6987: "expected secure messaging data objects missing",
    0x6988: "incorrect secure messaging data objects",
    0x6A80: "incorrect parameters in the command data field",
    0x6A81: "function not supported",
    0x6A82: "file or application not found",
    0x6A83: "record not found",
    0x6A84: "not enough memory space in the file",
    0x6A85: "Nc inconsistent with TLV structure",
    0x6A86: "incorrect parameters P1-P2",
    0x6A87: "Nc inconsistent with parameters P1-P2",
    0x6A88: "referenced data not found",
    0x6A89: "file already exists",
    0x6A8A: "DF name already exists",
    0x6B00: "wrong parameters P1-P2 (offset outside the file)",
    0x6D00: "instruction not supported",
    0x6E00: "class not supported",
    0x6F00: "no precise diagnosis",
}


class StatusWord(int):
    """SW1-SW2 as one integer. The families 61xx, 63Cx and 6Cxx carry a value.

    >>> StatusWord(0x63C2).remaining_tries
    2
    """

    __slots__ = ()

    @property
    def is_success(self) -> bool:
        """True for 9000 and for 61xx (more data waiting)."""
        return self == 0x9000 or self >> 8 == 0x61

    @property
    def more_available(self) -> int | None:
        """For 61xx: how many bytes GET RESPONSE will give (256 when xx is 00); else None."""
        return ((self & 0xFF) or 256) if self >> 8 == 0x61 else None

    @property
    def exact_length(self) -> int | None:
        """For 6Cxx: the exact Le to use (256 when xx is 00); else None."""
        return ((self & 0xFF) or 256) if self >> 8 == 0x6C else None

    @property
    def remaining_tries(self) -> int | None:
        """For 63Cx: how many tries are left; else None."""
        return self & 0x0F if self & 0xFFF0 == 0x63C0 else None

    def to_bytes(self, length: int = 2, byteorder: str = "big", *, signed: bool = False) -> bytes:  # type: ignore[override]
        """SW1 then SW2."""
        return int.to_bytes(self, 2, "big")

    def describe(self) -> str:
        """Plain words for a person, e.g. '6982 security status not satisfied'."""
        if (tries := self.remaining_tries) is not None:
            text = f"{tries} tries left"
        elif (more := self.more_available) is not None:
            text = f"{more} bytes available"
        elif (exact := self.exact_length) is not None:
            text = f"wrong Le, {exact} bytes available"
        else:
            text = _NAMES.get(int(self), "unknown status")
        return f"{int(self):04X} {text}"

    def __repr__(self) -> str:
        return f"StatusWord(0x{int(self):04X})"

    __str__ = describe


OK = StatusWord(0x9000)


def more_available(count: int) -> StatusWord:
    """61xx for `count` waiting bytes (00 stands for 256 or more)."""
    return StatusWord(0x6100 | (count if count < 256 else 0))


def exact_length(count: int) -> StatusWord:
    """6Cxx for an answer of exactly `count` bytes (1..256)."""
    return StatusWord(0x6C00 | (count & 0xFF))


def remaining_tries(count: int) -> StatusWord:
    """63Cx for `count` tries left (0..15)."""
    return StatusWord(0x63C0 | count)
