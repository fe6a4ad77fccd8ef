"""Secure PIN entry: what a host asks of a reader that has a keypad, and how digits get into the command.

One description, two encodings: the structures of PC/SC part 10 (2.5.2 and 2.5.3) and those of
PC_to_RDR_Secure (CCID 1.10, 6.1.11). The reader alone sees the digits: it puts them into the template of the
command and hands the host a status word. Its own outcomes have status words too (PC/SC part 10, 2.5.4):
6400 no key in time, 6401 cancelled, 6402 the two new PINs differ, 6403 too few or too many digits.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import construct as wire

VERIFY, MODIFY = 0x00, 0x01
"""bPINOperation (CCID 1.10, 6.1.11)."""

SW_TIMED_OUT, SW_CANCELLED, SW_DIFFERENT, SW_LENGTH = b"\x64\x00", b"\x64\x01", b"\x64\x02", b"\x64\x03"

Operation = Literal["verify", "modify"]

PIN_INSTRUCTIONS = frozenset({0x20, 0x21, 0x24, 0x26, 0x28, 0x2C})
"""VERIFY, CHANGE, DISABLE, ENABLE, RESET RETRY COUNTER: a keypad gives digits to no other command, or a host
could have them written into a file and read them there."""

MAX_DIGITS = 16
DEFAULT_TIMEOUT = 30
"""Seconds for the first key when the host names none."""

_OFFSETS = {"operation": 10, "length": 1, "format": 12, "digits": 15, "template": 25}
"""Where the byte is in the Secure message: that is what bError names (CCID 1.10, 6.2.6)."""

_UNIT_BITS = {0b00: 8, 0b01: 4, 0b10: 8}
"""bmFormatString bits 1 and 0: binary (01 02), BCD (12), ASCII (31 32)."""


class PinError(ValueError):
    """The description of a PIN entry is not one. `offset` is that of the wrong byte in the Secure message."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(text)
        self.offset = _OFFSETS[what]


class Digits:
    """Digits as typed; they cannot be printed, compared with == or pickled.

    >>> Digits("1234")
    Digits(***)
    """

    __slots__ = ("_value",)

    def __init__(self, typed: str | bytes) -> None:
        try:
            value = bytearray(typed.encode("ascii") if isinstance(typed, str) else typed)
        except UnicodeEncodeError:
            value = bytearray(b"?")
        if not value.isdigit() or len(value) > MAX_DIGITS:
            raise ValueError(f"a PIN has 1 to {MAX_DIGITS} digits and nothing else")
        self._value = value

    def reveal(self) -> bytes:
        """The digits as ASCII characters. Never keep, log or compare what this returns."""
        return bytes(self._value)

    def matches(self, other: Digits) -> bool:
        """Constant-time comparison."""
        return hmac.compare_digest(self._value, other._value)

    def wipe(self) -> None:
        """Overwrite this copy (others may be left: an interpreter cannot promise more)."""
        self._value[:] = bytes(len(self._value))

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "Digits(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("Digits are not compared with ==; use matches()")

    def __hash__(self) -> NoReturn:
        raise TypeError("Digits are not hashable")

    def __reduce__(self) -> NoReturn:
        raise TypeError("Digits are not pickled")


@dataclass(frozen=True, slots=True)
class Entered:
    """The person typed: `digits` is the PIN (or the current one), `new` and `again` those of a change."""

    digits: Digits
    new: Digits | None = None
    again: Digits | None = None


@dataclass(frozen=True, slots=True)
class NotEntered:
    """The person did not type: the status word a host gets, and bError of the Secure message."""

    status: bytes
    error: int


CANCELLED = NotEntered(SW_CANCELLED, 0xEF)
TIMED_OUT = NotEntered(SW_TIMED_OUT, 0xF0)

Outcome = Entered | NotEntered


@dataclass(frozen=True, slots=True)
class PinEntry:
    """One secure PIN entry; the names of CCID 1.10 6.1.11 and PC/SC part 10 are in the comments.

    `minimum` and `maximum` count digits. Offsets are in bytes from the first byte after Lc. `messages` are
    the indices of what the reader may show; `message_count` may say otherwise (FF: the reader's own choice).
    """

    operation: Operation
    apdu_template: bytes  # abPINApdu, abData
    timeout_seconds: int = DEFAULT_TIMEOUT  # bTimeOut
    format_string: int = 0x82  # bmFormatString: units in bytes, position 0, left, ASCII
    block_string: int = 0x00  # bmPINBlockString: bits of the length field, bytes of the block
    length_format: int = 0x00  # bmPINLengthFormat
    minimum: int = 4  # wPINMaxExtraDigit, high byte
    maximum: int = 8  # wPINMaxExtraDigit, low byte
    entry_validation: int = 0x02  # bEntryValidationCondition: the validation key
    message_count: int = 1  # bNumberMessage
    messages: tuple[int, ...] = (0,)  # bMsgIndex, bMsgIndex1 to 3
    language: int = 0x0000  # wLangId
    teo_prologue: bytes = b"\0\0\0"  # bTeoPrologue: NAD, PCB and LEN of T=1
    old_offset: int = 0  # bInsertionOffsetOld
    new_offset: int = 0  # bInsertionOffsetNew
    confirm: int = 0x03  # bConfirmPIN: 1 type the new one twice, 2 ask for the current one

    @classmethod
    def for_cps(cls) -> PinEntry:
        """VERIFY of the cardholder PIN of a CPS: four ASCII digits in eight bytes padded with FF."""
        return cls("verify", bytes.fromhex("0020000108") + b"\xff" * 8, block_string=0x08, maximum=4)

    # ---- encodings

    @classmethod
    def parse_ccid(cls, data: bytes, *, all_messages: bool = False) -> PinEntry:
        """Read the data of PC_to_RDR_Secure, bPINOperation first; raises PinError.

        A modification has one, two or three message indices, as bNumberMessage says (0; 1 or 2; more). A
        GemPC Pinpad is always sent three: `all_messages`.
        """
        if data[:1] not in (b"\x00", b"\x01"):
            raise PinError("operation", "a PIN is verified (00) or modified (01), nothing else")
        operation: Operation = "modify" if data[0] == MODIFY else "verify"
        count = data[11] if len(data) > 11 else 0
        indices = 1 if operation == "verify" else 3 if all_messages else _indices(count)
        try:
            read = _structure(operation, indices, part10=False).parse(data[1:])
        except wire.ConstructError:
            raise PinError("length", "the description of the PIN entry is cut short") from None
        return cls._checked(operation, read)

    @classmethod
    def _checked(cls, operation: Operation, read: Any) -> PinEntry:
        values = {name: value for name, value in read.items() if name in cls.__slots__}
        values["messages"] = tuple(read.messages)
        values["timeout_seconds"] = read.timeout_seconds or DEFAULT_TIMEOUT
        entry = cls(operation=operation, **values)
        entry._check()
        return entry

    def _check(self) -> None:
        """Refuse what could never be filled in: an unknown format, a template that lies, no room."""
        template, bits = self.apdu_template, _UNIT_BITS.get(self.format_string & 3)
        if bits is None:
            raise PinError("format", "PIN format 3 does not exist")
        if len(template) != 4 and not (
            len(template) >= 5 and len(template) - 5 - template[4] in (0, 1) and len(template) <= 261
        ):
            raise PinError("template", "the template of the command is not a short APDU")
        if template[1] not in PIN_INSTRUCTIONS:
            raise PinError("template", "digits go into a PIN command and into no other")
        if self.least > self.most:
            raise PinError("digits", "no number of digits is both long enough and short enough")

    def to_ccid(self, *, all_messages: bool = False) -> bytes:
        """The data of PC_to_RDR_Secure, bPINOperation first. `all_messages`: as a GemPC Pinpad wants it."""
        indices = 3 if all_messages else _indices(self.message_count)
        first = bytes((VERIFY if self.operation == "verify" else MODIFY,))
        return first + self._built(indices, part10=False)

    def to_part10(self) -> bytes:
        """PIN_VERIFY_STRUCTURE or PIN_MODIFY_STRUCTURE, little-endian; a modification has three indices."""
        return self._built(3, part10=True)

    def _built(self, indices: int, *, part10: bool) -> bytes:
        """`indices`: how many message indices a modification has; a verification has one."""
        indices = indices if self.operation == "modify" else 1
        values = {name: getattr(self, name) for name in self.__slots__}
        messages = (*self.messages, 0, 0, 0)[:indices]
        values |= {"messages": messages, "timeout2": 0, "size": len(self.apdu_template)}
        built: bytes = _structure(self.operation, indices, part10=part10).build(values)
        return built

    # ---- what the person types

    @property
    def least(self) -> int:
        """Fewest digits that are taken."""
        return max(1, self.minimum)

    @property
    def most(self) -> int:
        """Most digits that are taken: what the host allows and what the block holds."""
        block = (self.block_string & 0x0F) * 8 // _UNIT_BITS[self.format_string & 3]
        return min(self.maximum or MAX_DIGITS, block or MAX_DIGITS, MAX_DIGITS)

    @property
    def prompts(self) -> tuple[str, ...]:
        """What is asked, one line each, in order."""
        if self.operation == "verify":
            return ("PIN",)
        asked = ("current PIN",) if self.confirm & 2 else ()
        return (*asked, "new PIN", *(("new PIN again",) if self.confirm & 1 else ()))

    def collected(self, lines: Sequence[Digits]) -> Entered:
        """What was typed for `prompts`, in order; raises ValueError when there are too few lines."""
        if len(lines) != len(self.prompts):
            raise ValueError(f"{len(self.prompts)} lines of digits are needed: {', '.join(self.prompts)}")
        if self.operation == "verify":
            return Entered(lines[0])
        current = lines[0] if self.confirm & 2 else Digits("0" * self.least)
        rest = list(lines[1 if self.confirm & 2 else 0 :])
        return Entered(current, *rest)

    def objection(self, entered: Entered) -> bytes | None:
        """The status word with which the reader itself refuses these digits (6402, 6403), or None."""
        for typed in (entered.digits, entered.new):
            if typed is not None and not self.least <= len(typed) <= self.most:
                return SW_LENGTH
        if self.operation == "verify":
            return None
        if entered.new is None:
            return SW_LENGTH
        if self.confirm & 1 and (entered.again is None or not entered.new.matches(entered.again)):
            return SW_DIFFERENT
        return None

    def fill(self, digits: Digits, new: Digits | None = None) -> bytes:
        """The command with the PIN block(s) in it; bytes of the template not covered by digits stay padding.

        Raises ValueError when `objection` would have refused the number of digits, or `new` is missing.
        """
        header, data = self.apdu_template[:4], self.apdu_template[5:]
        data = data[: self.apdu_template[4]] if len(self.apdu_template) > 4 else b""
        if self.operation == "verify":
            return _command(header, self._placed(data, digits, 0))
        if new is None:
            raise ValueError("a modification needs the new PIN")
        if self.confirm & 2:
            data = self._placed(data, digits, self.old_offset)
        return _command(header, self._placed(data, new, self.new_offset))

    def _placed(self, data: bytes, digits: Digits, offset: int) -> bytes:
        """`data` with one PIN block at `offset` and, when asked for, the number of digits."""
        if not self.least <= len(digits) <= self.most:
            raise ValueError(f"{self.least} to {self.most} digits are needed")
        bits = _UNIT_BITS[self.format_string & 3]
        value = _encoded(digits.reveal(), self.format_string & 3)
        size = len(digits) * bits
        block = (self.block_string & 0x0F) * 8 or (size + 7) // 8 * 8
        start = offset * 8 + (self.format_string >> 3 & 0x0F) * (8 if self.format_string & 0x80 else 1)
        if self.format_string & 0x04:
            start += block - size
        data = _inserted(data, value, start, size)
        if width := self.block_string >> 4:
            unit = 8 if self.length_format & 0x10 else 1
            data = _inserted(data, len(digits), offset * 8 + (self.length_format & 0x0F) * unit, width)
        return data


def _structure(operation: str, messages: int, *, part10: bool) -> Any:
    """The fields both encodings share; part 10 adds a second time-out and the length of the template."""
    modify = operation == "modify"
    byte, word = wire.Int8ul, wire.Int16ul
    return wire.Struct(
        "timeout_seconds" / byte,
        *(("timeout2" / byte,) if part10 else ()),
        "format_string" / byte,
        "block_string" / byte,
        "length_format" / byte,
        *(("old_offset" / byte, "new_offset" / byte) if modify else ()),
        "maximum" / byte,
        "minimum" / byte,
        *(("confirm" / byte,) if modify else ()),
        "entry_validation" / byte,
        "message_count" / byte,
        "language" / word,
        "messages" / byte[messages],
        "teo_prologue" / wire.Bytes(3),
        *(("size" / wire.Int32ul,) if part10 else ()),
        "apdu_template" / wire.GreedyBytes,
    )


def _indices(count: int) -> int:
    """Message indices of a modification in CCID: bMsgIndex2 from one message, bMsgIndex3 from three."""
    return 1 + (count > 0) + (count > 2)


def _encoded(ascii_digits: bytes, form: int) -> int:
    """The digits as one number, 4 or 8 bits each."""
    if form == 0b01:
        return int(ascii_digits, 16)
    return int.from_bytes(ascii_digits if form == 0b10 else bytes(digit & 0x0F for digit in ascii_digits))


def _inserted(data: bytes, value: int, start: int, size: int) -> bytes:
    """`data`, grown with FF when it is too short, with `size` bits from bit `start` replaced by `value`."""
    data = data.ljust((start + size + 7) // 8, b"\xff")
    shift = len(data) * 8 - start - size
    mask = (1 << size) - 1
    whole = int.from_bytes(data) & ~(mask << shift) | (value & mask) << shift
    return whole.to_bytes(len(data))


def _command(header: bytes, data: bytes) -> bytes:
    return header + bytes((min(len(data), 255),)) + data[:255]
