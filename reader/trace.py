"""A trace of what passes between host and cards that can be shown to anybody.

One line per exchange: slot, command name, P1-P2, lengths, status in words. No data byte of a command or an
answer is ever shown, except which file or application a SELECT names: files hold NIR, names and rights, and
VERIFY holds the PIN. The trace keeps finished lines only, never the bytes they were made from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from card.iso7816.apdu import ApduError, CommandAPDU
from card.iso7816.status import StatusWord

NAMES: dict[int, str] = {
    0x10: "DIVERSIFY (CPS2ter)",
    0x20: "VERIFY",
    0x22: "MANAGE SECURITY ENVIRONMENT",
    0x24: "CHANGE REFERENCE DATA",
    0x2A: "PERFORM SECURITY OPERATION",
    0x2C: "RESET RETRY COUNTER",
    0x44: "ACTIVATE FILE",
    0x47: "GENERATE KEY PAIR",
    0x70: "MANAGE CHANNEL",
    0x82: "EXTERNAL AUTHENTICATE",
    0x84: "GET CHALLENGE",
    0x88: "INTERNAL AUTHENTICATE",
    0xA4: "SELECT",
    0xB0: "READ BINARY",
    0xB1: "READ BINARY",
    0xB2: "READ RECORD",
    0xC0: "GET RESPONSE",
    0xCA: "GET DATA",
    0xCB: "GET DATA",
    0xD6: "UPDATE BINARY",
    0xD7: "UPDATE BINARY",
    0xDA: "PUT DATA",
    0xDB: "PUT DATA",
    0xDC: "UPDATE RECORD",
    0xE0: "CREATE FILE",
    0xE2: "APPEND RECORD",
    0xE4: "DELETE FILE",
}

OPERATIONS: dict[int, str] = {
    0x00AE: "VERIFY CERTIFICATE",
    0x90A0: "HASH",
    0x9E9A: "COMPUTE DIGITAL SIGNATURE",
    0x8086: "DECIPHER",
}

SECRET = frozenset({0x20, 0x24, 0x2C})
"""Instructions whose data is a PIN or a PUK: not even its length is shown."""

KEPT = 10_000
"""Lines kept; the oldest go first."""


class Trace:
    """Observer of slots: `reader.observe(trace)`. Each line also goes to `sink` when one is given."""

    def __init__(self, sink: Callable[[str], object] | None = None) -> None:
        self._sink = sink
        self._lines: deque[str] = deque(maxlen=KEPT)

    def __call__(self, slot: str, command: bytes, answer: bytes) -> None:
        """Note one exchange; an empty command is a power-on answered by an ATR."""
        line = f"{slot:<6} {self._sentence(command, answer)}"
        self._lines.append(line)
        if self._sink is not None:
            self._sink(line)

    def lines(self) -> tuple[str, ...]:
        """What was noted so far, oldest first."""
        return tuple(self._lines)

    @staticmethod
    def _sentence(command: bytes, answer: bytes) -> str:
        if not command:
            return f"POWER ON → ATR {answer.hex(' ').upper()}"
        return f"{describe_command(command)} → {describe_answer(answer)}"


def describe_command(raw: bytes) -> str:
    """A command in words, without its data: 'READ BINARY 0000 Le 256'."""
    try:
        command = CommandAPDU.parse(raw)
    except ApduError:
        return f"({len(raw)} bytes that are not a command)"
    words = [_name(command), f"{command.p1:02X}{command.p2:02X}"]
    if command.cla != 0:
        words.insert(0, f"CLA {command.cla:02X}")
    if command.data:
        words.append(_data(command))
    if command.ne:
        words.append(f"Le {command.ne}")
    return " ".join(words)


def describe_answer(raw: bytes) -> str:
    """An answer in words, without its data: '9000 normal processing, 256 bytes'."""
    if len(raw) < 2:
        return f"({len(raw)} bytes that are not an answer)"
    status = StatusWord(raw[-2] << 8 | raw[-1]).describe()
    return f"{status}, {len(raw) - 2} bytes" if len(raw) > 2 else status


def _name(command: CommandAPDU) -> str:
    if command.ins == 0x2A:
        operation = OPERATIONS.get(command.p1 << 8 | command.p2)
        return f"PSO {operation}" if operation else NAMES[0x2A]
    return NAMES.get(command.ins, f"INS {command.ins:02X}")


def _data(command: CommandAPDU) -> str:
    if command.ins in SECRET:
        return "data ****"
    if command.ins == 0xA4 and _names_a_file(command):
        return command.data.hex().upper()
    return f"{len(command.data)} bytes"


def _names_a_file(command: CommandAPDU) -> bool:
    """True when the data of a SELECT can only be an identifier: a short path, or an AID that is no text."""
    if command.p1 == 0x04:
        return len(command.data) <= 16 and command.data[0] >= 0x80
    return len(command.data) in (2, 4)
