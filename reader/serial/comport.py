"""Telnet COM-PORT (RFC 2217), the end that has the port. Bytes in any chunks, events out, no I/O.

Only what a serial port has is agreed to: binary, suppress-go-ahead, echo by the port, COM-PORT. All other
options are refused, what is malformed is ignored, and no answer is much longer than what asked for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

IAC, DONT, DO, WONT, WILL, SB, SE = 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0xFA, 0xF0
BINARY, ECHO, SUPPRESS_GO_AHEAD, COM_PORT = 0, 1, 3, 44

SET_SPEED, SET_SIZE, SET_PARITY, SET_STOP, SET_CONTROL = 1, 2, 3, 4, 5
NOTIFY_LINE, NOTIFY_MODEM, SUSPEND, RESUME, LINE_MASK, MODEM_MASK, PURGE = 6, 7, 8, 9, 10, 11, 12
FROM_SERVER = 100

PARITIES = {1: "N", 2: "O", 3: "E", 4: "M", 5: "S"}
CTS, CTS_CHANGED, PRESENT_LINES = 0x10, 0x01, 0xA0
"""Modem state bits (RFC 2217, section 3); DSR and carrier are always there."""

MAX_SUBNEGOTIATION = 64
MAX_SPEED = 4_000_000

_OURS = frozenset((BINARY, ECHO, SUPPRESS_GO_AHEAD, COM_PORT))
_THEIRS = frozenset((BINARY, SUPPRESS_GO_AHEAD, COM_PORT))


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes to send to the client, telnet already."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes the client wrote to the port."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Lines:
    """The client put its modem lines."""

    rts: bool
    dtr: bool


@dataclass(frozen=True, slots=True)
class Mode:
    """The client set its port: baud, and parity N, E, O, M or S."""

    speed: int
    parity: str


Event = Reply | Data | Lines | Mode


def escape(data: bytes) -> bytes:
    """Data as telnet carries it: IAC doubled."""
    return data.replace(b"\xff", b"\xff\xff")


class ComPort:
    """One client's view of the port. `feed` never raises and keeps at most MAX_SUBNEGOTIATION bytes."""

    def __init__(self, *, cts: bool, speed: int = 9600) -> None:
        self.rts = self.dtr = False
        self._speed, self._size, self._parity, self._stop, self._flow = speed, 8, 1, 1, 1
        self._cts, self._modem_mask = cts, 0xFF
        self._break = False
        self._active: set[tuple[int, int]] = set()
        self._state: Callable[[int], None] = self._plain
        self._verb = 0
        self._sub = bytearray()
        self._in_sub = False
        self._text = bytearray()
        self._events: list[Event] = []

    def open(self) -> bytes:
        """What the port says first: what it wants to agree on."""
        said = b""
        for verb, option in (
            (WILL, ECHO),
            (WILL, SUPPRESS_GO_AHEAD),
            (DO, BINARY),
            (WILL, BINARY),
            (DO, COM_PORT),
        ):
            self._active.add((verb, option))
            said += bytes((IAC, verb, option))
        return said

    def feed(self, data: bytes) -> list[Event]:
        """What the client's bytes mean, in order; text between two other events is one Data."""
        for byte in data:
            self._state(byte)
        self._flush()
        events, self._events = self._events, []
        return events

    def set_cts(self, asserted: bool) -> bytes:
        """CTS changed; the notice for the client."""
        changed, self._cts = asserted != self._cts, asserted
        return self._modem_state(CTS_CHANGED) if changed and self._modem_mask & CTS else b""

    # ---- bytes

    def _plain(self, byte: int) -> None:
        if byte == IAC:
            self._state = self._command
        else:
            self._keep(byte)

    def _keep(self, byte: int) -> None:
        if not self._in_sub:
            self._text.append(byte)
        elif len(self._sub) < MAX_SUBNEGOTIATION:
            self._sub.append(byte)

    def _command(self, byte: int) -> None:
        self._state = self._plain
        if byte == IAC:
            self._keep(byte)
        elif byte in (DO, DONT, WILL, WONT):
            self._verb, self._state = byte, self._option
        elif byte == SB:
            self._sub.clear()
            self._in_sub = True
        elif byte == SE and self._in_sub:
            self._in_sub = False
            self._flush()
            self._subnegotiated(bytes(self._sub))

    def _option(self, option: int) -> None:
        """Agree or refuse, once: what is so already, or answers our own wish, is not answered (RFC 854)."""
        self._state = self._plain
        asks_us = self._verb in (DO, DONT)
        wanted = self._verb in (DO, WILL)
        key = (WILL if asks_us else DO), option
        known = option in (_OURS if asks_us else _THEIRS)
        was = key in self._active
        if wanted and known and not was:
            self._active.add(key)
            self._reply(bytes((IAC, key[0], option)))
        elif wanted and not known:
            self._reply(bytes((IAC, WONT if asks_us else DONT, option)))
        elif not wanted and was:
            self._active.discard(key)
            self._reply(bytes((IAC, WONT if asks_us else DONT, option)))
        if wanted and option == COM_PORT:
            self._reply(self._modem_state())

    # ---- subnegotiation

    def _subnegotiated(self, content: bytes) -> None:
        if len(content) < 2 or content[0] != COM_PORT:
            return
        what, value = content[1], content[2:]
        if what == SET_SPEED and len(value) == 4:
            self._set_speed(int.from_bytes(value, "big"))
        elif what in (SET_SIZE, SET_PARITY, SET_STOP) and len(value) == 1:
            self._set_format(what, value[0])
        elif what == SET_CONTROL and len(value) == 1:
            self._tell(what, bytes((self._control(value[0]),)))
        elif what == NOTIFY_MODEM:
            self._reply(self._modem_state())
        elif what == MODEM_MASK and len(value) == 1:
            self._modem_mask = value[0]
            self._tell(what, value)
        elif what in (LINE_MASK, PURGE) and len(value) == 1:
            self._tell(what, value)

    def _set_speed(self, speed: int) -> None:
        if 0 < speed <= MAX_SPEED:
            self._speed = speed
            self._mode()
        self._tell(SET_SPEED, self._speed.to_bytes(4, "big"))

    def _set_format(self, what: int, value: int) -> None:
        """Size, parity, stop bits; 0 asks only, and what a port cannot do changes nothing."""
        if what == SET_SIZE:
            self._size = value if 5 <= value <= 8 else self._size
            now = self._size
        elif what == SET_STOP:
            self._stop = value if 1 <= value <= 3 else self._stop
            now = self._stop
        else:
            self._parity = value if value in PARITIES else self._parity
            now = self._parity
            self._mode()
        self._tell(what, bytes((now,)))

    def _control(self, value: int) -> int:
        """Flow control, break, DTR and RTS: set, or asked; what is so now."""
        if value in (8, 9, 11, 12):
            self.dtr = value == 8 if value < 10 else self.dtr
            self.rts = value == 11 if value > 10 else self.rts
            self._flush()
            self._events.append(Lines(self.rts, self.dtr))
            return value
        if value in (4, 5, 6):
            self._break = value == 5 if value > 4 else self._break
            return 5 if self._break else 6
        if value in (7, 10):
            return (8 if self.dtr else 9) if value == 7 else (11 if self.rts else 12)
        if value in (1, 2, 3):
            self._flow = value
        return self._flow if value < 4 else value

    # ---- events

    def _mode(self) -> None:
        self._flush()
        self._events.append(Mode(self._speed, PARITIES[self._parity]))

    def _tell(self, what: int, value: bytes) -> None:
        self._reply(_subnegotiation(what + FROM_SERVER, value))

    def _modem_state(self, changed: int = 0) -> bytes:
        state = PRESENT_LINES | (CTS if self._cts else 0) | changed
        return _subnegotiation(NOTIFY_MODEM + FROM_SERVER, bytes((state & self._modem_mask,)))

    def _reply(self, data: bytes) -> None:
        self._flush()
        self._events.append(Reply(data))

    def _flush(self) -> None:
        if self._text:
            self._events.append(Data(bytes(self._text)))
            self._text.clear()


def _subnegotiation(what: int, value: bytes) -> bytes:
    return bytes((IAC, SB, COM_PORT, what)) + escape(value) + bytes((IAC, SE))
