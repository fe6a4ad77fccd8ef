"""READ BINARY and UPDATE BINARY, even and odd instructions (ISO 7816-4, 11.2)."""

from __future__ import annotations

from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.iso7816.status import StatusWord
from card.kernel.access import READ, UPDATE
from card.kernel.applet import DONE
from card.kernel.errors import CardError
from card.kernel.filesystem import DEACTIVATED, TRANSPARENT, Ef
from card.kernel.session import Session

_END_OF_FILE = StatusWord(0x6282)
_LARGEST = 2048  # beyond this an extended Le means "all that is left", as Le 00 does


class BinaryCommands:
    """Transparent files. No Le, and Le 00, ask for all that is left, up to 256 bytes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, command: CommandAPDU) -> ResponseAPDU:
        """B0: P1 b8 = 1 names a file by its short identifier, else P1-P2 is the offset."""
        if command.data:
            raise CardError(0x6700)
        ef, offset = self._target(command.p1, command.p2)
        self._allow(ef, READ)
        return _slice(ef.content, offset, command.ne)

    def update(self, command: CommandAPDU) -> ResponseAPDU:
        """D6: bytes at an offset; nothing is written past the end of the file."""
        if not command.data:
            raise CardError(0x6700)
        ef, offset = self._target(command.p1, command.p2)
        self._allow(ef, UPDATE)
        self._write(ef, offset, command.data)
        return DONE

    def read_odd(self, command: CommandAPDU) -> ResponseAPDU:
        """B1: P1-P2 names the file, the data field has the offset in '54'; answers '53'."""
        ef = self._named(command.p1, command.p2)
        offset = _offset(command.data)
        self._allow(ef, READ)
        room = max(1, (command.ne or 256) - 4)
        piece = _slice(ef.content, offset, 256 if command.ne in (0, 256) else room)
        return ResponseAPDU(tlv.encode(0x53, piece.data[:room]), piece.sw)

    def update_odd(self, command: CommandAPDU) -> ResponseAPDU:
        """D7: offset in '54', bytes in '53'."""
        ef = self._named(command.p1, command.p2)
        self._allow(ef, UPDATE)
        content = _inner(command.data, 0x53)
        self._write(ef, _offset(command.data), content)
        return DONE

    def _target(self, p1: int, p2: int) -> tuple[Ef, int]:
        if p1 & 0x80:
            if p1 & 0x60:
                raise CardError(0x6A86)
            return self._short(p1 & 0x1F), p2
        return self._current(), p1 << 8 | p2

    def _named(self, p1: int, p2: int) -> Ef:
        """Odd instructions: 0000 is the current EF, up to 001E a short identifier, else a FID."""
        identifier = p1 << 8 | p2
        if identifier <= 0x1F:
            return self._short(identifier)
        found = self._session.df.children.get(identifier)
        if not isinstance(found, Ef):
            raise CardError(0x6A82)
        self._session.open(found)
        return found

    def _short(self, sfi: int) -> Ef:
        if sfi == 0:
            return self._current()
        ef = self._session.df.short.get(sfi)
        if ef is None:
            raise CardError(0x6A82)
        self._session.open(ef)
        return ef

    def _current(self) -> Ef:
        ef = self._session.ef
        if ef is None:
            raise CardError(0x6986)
        return ef

    def _allow(self, ef: Ef, action: int) -> None:
        if ef.kind is not TRANSPARENT:
            raise CardError(0x6981)
        self._session.require(ef.rules[action])
        if ef.life == DEACTIVATED:
            raise CardError(0x6985)

    def _write(self, ef: Ef, offset: int, data: bytes) -> None:
        if offset >= len(ef.content):
            raise CardError(0x6B00)
        end = offset + len(data)
        if end > len(ef.content):
            raise CardError(0x6A84)
        self._session.files.write(ef, ef.content[:offset] + data + ef.content[end:])


def _slice(content: bytes, offset: int, ne: int) -> ResponseAPDU:
    if offset >= len(content):
        raise CardError(0x6B00)
    piece = content[offset : offset + (ne or 256)]
    if len(piece) < ne <= _LARGEST and ne != 256:
        return ResponseAPDU(piece, _END_OF_FILE)
    return ResponseAPDU(piece)


def _inner(data: bytes, tag: int) -> bytes:
    try:
        value = tlv.find(data, tag)
    except tlv.TlvError:
        value = None
    if not value:
        raise CardError(0x6A80)
    return value


def _offset(data: bytes) -> int:
    value = _inner(data, 0x54)
    if len(value) > 3:
        raise CardError(0x6B00)
    return int.from_bytes(value, "big")
