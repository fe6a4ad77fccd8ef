"""T=0, the protocol that sends characters (ISO/IEC 7816-3:2006, clause 10), both ends, no I/O.

The host sends a header CLA INS P1 P2 P3; the card steers with procedure bytes (table 11): 60 wait,
INS all the data now, INS xor FF the next data byte only, 6x or 9x the first byte of the status word.
Only the card knows which way the data go, and it knows it from INS: see INCOMING.

Both machines take bytes in any chunks, never raise, and hold at most 64 KiB.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

NULL = 0x60
HEADER = 5
BUFFER = 65_536
MAX_NULLS = 2000
"""NULL bytes a host accepts during one command: ten minutes of a card that asks every 0.3 s."""

INCOMING: frozenset[int] = frozenset(
    bytes.fromhex(
        "04 0C 0D 0E 0F 10 12 14 20 21 22 24 25 26 28 2A 2B 2C 2D 44 46 47 50 82 86 87 88 89 A0 A1 A2 A4 A5"
        "B1 B3 C2 C3 CB D0 D1 D2 D6 D7 D8 DA DB DC DD E0 E2 E3 E4 E6 E8 F0 F2 FE"
    )
)
"""Instructions whose P3 is the length of command data (ISO/IEC 7816-4:2005, table 4; GlobalPlatform 2.3).

All others take no data: their P3 is Le. A card that does not know an instruction refuses it either way.
"""

_WRONG_LENGTH, _NO_INSTRUCTION, _NO_CLASS, _NO_DIAGNOSIS = b"\x67\0", b"\x6d\0", b"\x6e\0", b"\x6f\0"


class T0Card:
    """The card's end. `feed` bytes of the host; carry out `command` when there is one, then `answer` it.

    P3 = 00 with an incoming instruction is a command without data and without Le (case 1): a card that
    has something to say answers 61xx. With an outgoing one it is Le 256 (10.3.2, 12.2).
    each_byte: acknowledge every data byte on its own, as some cards do.
    """

    __slots__ = ("_asked", "_buffer", "_each_byte", "_header", "_incoming", "command")

    def __init__(self, incoming: AbstractSet[int] = INCOMING, *, each_byte: bool = False) -> None:
        self._incoming, self._each_byte = incoming, each_byte
        self._buffer = bytearray()
        self._header, self._asked = b"", 0
        self.command: bytes | None = None

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the host; what the card says before it works."""
        if not self._buffer and self.command is None and not self._each_byte:
            header = self._header
            if len(data) == (header[4] if header else HEADER):  # whole, as hosts send it: nothing to keep
                if not header:
                    return self._begin(data)
                self.command, self._header = header + data, b""
                return b""
        self._buffer += data
        del self._buffer[BUFFER:]
        return self._advance()

    def answer(self, response: bytes) -> bytes:
        """What the card says when the command is done; `response` is data and status word, or empty: mute."""
        command, self.command = self.command, None
        if command is None:
            return b""
        said = self._said(command, response)
        return said + self._advance() if self._buffer else said

    def busy(self) -> bytes:
        """What the card says while it works on a command: one NULL, for another waiting time."""
        return b"" if self.command is None else bytes((NULL,))

    def silence(self) -> bytes:
        """The host stopped in the middle: what it began is forgotten."""
        if self.command is None:
            self._buffer.clear()
            self._header = b""
        return b""

    def _advance(self) -> bytes:
        said, buffer = b"", self._buffer
        while self.command is None:
            if self._header and self._each_byte:
                said += self._ask_bytes()
            size = self._header[4] if self._header else HEADER
            if len(buffer) < size:
                break
            part = bytes(buffer[:size])
            del buffer[:size]
            if self._header:
                self.command, self._header = self._header + part, b""
            else:
                said += self._begin(part)
        return said

    def _begin(self, header: bytes) -> bytes:
        if header[1] not in self._incoming:
            self.command = header
        elif header[4] == 0:
            self.command = header[:4]
        else:
            self._header, self._asked = header, 0
            return b"" if self._each_byte else header[1:2]
        return b""

    def _ask_bytes(self) -> bytes:
        """One INS xor FF for each data byte that is there and one for the next, never twice for the same."""
        wanted = min(len(self._buffer) + 1, self._header[4])
        more, self._asked = wanted - self._asked, wanted
        return bytes((self._header[1] ^ 0xFF,)) * more

    def _said(self, command: bytes, response: bytes) -> bytes:
        size = len(response) - 2
        if size < 0:
            return b""
        if response[size] >> 4 not in (6, 9) or response[size] == NULL:
            return _NO_DIAGNOSIS
        if size == 0:
            return response
        asked = (command[4] or 256) if len(command) == HEADER else 0
        if size > asked or command[1] >> 4 in (6, 9):
            return _NO_DIAGNOSIS
        if size == asked and not self._each_byte:
            return command[1:2] + response
        return self._trickled(command[1] ^ 0xFF, response)

    @staticmethod
    def _trickled(acknowledge: int, response: bytes) -> bytes:
        """Fewer bytes than P3, then a status word: byte by byte, for INS alone would promise all of them."""
        size = len(response) - 2
        said = bytearray((acknowledge,)) * (2 * size)
        said[1::2] = response[:size]
        return bytes(said) + response[size:]


class T0Host:
    """The host's end: `start` a command, send what it gives, `feed` what the card says, send what that gives.

    It is over when `answer` is not None (data and status word, 2 to 258 bytes) or `failure` says why there is
    none. The machine has no clock: whoever reads the line restarts the waiting time at each byte and gives
    up when it is over.
    """

    __slots__ = (
        "_command",
        "_expected",
        "_ins",
        "_nulls",
        "_received",
        "_sent",
        "_sw1",
        "_take",
        "answer",
        "failure",
    )

    def __init__(self) -> None:
        self.answer: bytes | None = None
        self.failure = "no command was sent"
        self._start(b"")

    def start(self, command: bytes) -> bytes:
        """The header of a command of 4 bytes (case 1), 5 (case 2), 5 + Lc (case 3), 6 + Lc (case 4, less Le).

        What T=0 cannot carry is answered here: other lengths 6700, an INS of 6x or 9x 6D00, CLA FF 6E00.
        """
        size = len(command)
        if size == 4:
            command += b"\0"
        elif size > HEADER and command[4] and size == HEADER + 1 + command[4]:
            command = command[:-1]
        elif size != HEADER and not (size > HEADER and command[4] and size == HEADER + command[4]):
            self._start(b"")
            self.answer = _WRONG_LENGTH
            return b""
        self._start(command)
        if command[1] >> 4 in (6, 9) or command[0] == 0xFF:
            self.answer = _NO_CLASS if command[0] == 0xFF else _NO_INSTRUCTION
            return b""
        return command[:HEADER]

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the card; data bytes it asked for. What comes after the end is dropped."""
        said, at, size = b"", 0, len(data)
        if size > 1 and self._is_fresh and data[-2] >> 4 in (6, 9) and data[-2] != NULL:
            if size == 2:
                self.answer = data  # the whole status word, as cards send it
            elif self._expected and size == self._expected + 3 and data[0] == self._ins:
                self.answer = data[1:]  # all the data and the status word
        while at < size and self.answer is None and not self.failure:
            if self._take:
                part = data[at : at + self._take]
                self._received += part
                self._take -= len(part)
                at += len(part)
            elif self._sw1 is not None:
                self.answer = bytes(self._received) + bytes((self._sw1, data[at]))
            else:
                said += self._obey(data[at])
                at += 1
        return said

    @property
    def _is_fresh(self) -> bool:
        """Nothing came of the answer yet, and it is still awaited."""
        return not (self._received or self._take or self._sw1 or self.answer or self.failure)

    def _start(self, command: bytes) -> None:
        self._command, self._ins = command, command[1] if command else 0
        self._sent, self._take, self._nulls = HEADER, 0, 0
        self._expected = (command[4] or 256) if len(command) == HEADER else 0
        self._received = bytearray()
        self._sw1: int | None = None
        self.answer, self.failure = None, ""

    def _obey(self, byte: int) -> bytes:
        """One procedure byte (10.3.3, table 11)."""
        if byte == self._ins:
            return self._transfer(256)
        if byte == self._ins ^ 0xFF:
            return self._transfer(1)
        if byte == NULL:
            self._nulls += 1
            if self._nulls > MAX_NULLS:
                self.failure = "the card asks for more time without end"
        elif byte >> 4 in (6, 9):
            self._sw1 = byte
        else:
            self.failure = f"{byte:02X} is not a procedure byte"
        return b""

    def _transfer(self, most: int) -> bytes:
        """Send the next data bytes, or expect some."""
        part = self._command[self._sent : self._sent + most]
        self._sent += len(part)
        self._take = min(most, self._expected - len(self._received))
        if not part and not self._take:
            self.failure = "the card asks for more bytes than the command has"
        return part
