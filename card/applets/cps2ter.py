"""The CPS2ter face of a CPS3: class A0, status words of the GSM 11.11 family (facts 4.3).

Two files deep and read only: SELECT by identifier, GET RESPONSE, READ BINARY. PINs are shared with
the other face. What INS 10, 46 to 5E, 3E, B4, 5C, 58, D8 and 76 did is not public: 6D00.
"""

from __future__ import annotations

from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.iso7816.status import StatusWord
from card.kernel.access import READ, SecurityStatus
from card.kernel.applet import dispatch
from card.kernel.errors import CardError
from card.kernel.filesystem import MF, TRANSPARENT, Df, Ef, FileSystem

NOT_FOUND, WRONG_TYPE, BAD_ADDRESS, NOT_ALLOWED = 0x9404, 0x9408, 0x9402, 0x9804

_TYPE_MF, _TYPE_DF, _TYPE_EF = 0x01, 0x02, 0x04


class SecondFace:
    """Current file and waiting answer of the CPS2ter face."""

    def __init__(self, files: FileSystem, security: SecurityStatus) -> None:
        self._files = files
        self._security = security
        self._handlers = {0xA4: self._select, 0xC0: self._get_response, 0xB0: self._read}
        self.reset()

    def reset(self) -> None:
        """The MF is current and nothing waits."""
        self._df: Df = self._files.mf
        self._ef: Ef | None = None
        self.waiting = b""

    def process(self, command: CommandAPDU) -> ResponseAPDU:
        """One command of class A0."""
        if command.ins != 0xC0:
            self.waiting = b""
        return dispatch(self._handlers, command)

    def _select(self, command: CommandAPDU) -> ResponseAPDU:
        if command.p1 or command.p2:
            raise CardError(0x6B00)
        if len(command.data) != 2:
            raise CardError(0x6700)
        found = self._find(int.from_bytes(command.data, "big"))
        if isinstance(found, Ef):
            self._df, self._ef = found.parent, found
        else:
            self._df, self._ef = found, None
        self.waiting = _information(found)
        return ResponseAPDU(b"", StatusWord(0x9F00 | len(self.waiting)))

    def _find(self, fid: int) -> Df | Ef:
        """The MF, a child of the current DF, the DF itself, its parent or a file beside it."""
        if fid == MF:
            return self._files.mf
        for near in (self._df, self._df.parent):
            if near is not None and (found := near.children.get(fid)) is not None:
                return found
        if self._df.fid == fid:
            return self._df
        raise CardError(NOT_FOUND)

    def _get_response(self, command: CommandAPDU) -> ResponseAPDU:
        waiting, self.waiting = self.waiting, b""
        if command.p1 or command.p2:
            raise CardError(0x6B00)
        if not waiting:
            raise CardError(0x6F00)
        if command.data or (command.ne or 256) > len(waiting):
            raise CardError(0x6700)
        return ResponseAPDU(waiting[: command.ne])

    def _read(self, command: CommandAPDU) -> ResponseAPDU:
        if command.data:
            raise CardError(0x6700)
        ef = self._ef
        if ef is None or ef.kind is not TRANSPARENT:
            raise CardError(WRONG_TYPE)
        if not self._security.satisfies(ef.rules[READ]):
            raise CardError(NOT_ALLOWED)
        start = command.p1 << 8 | command.p2
        end = start + (command.ne or 256)
        if end > len(ef.content):
            raise CardError(BAD_ADDRESS)
        return ResponseAPDU(ef.content[start:end])


def _information(node: Df | Ef) -> bytes:
    """85 L: size, identifier, type. A DF tells no size."""
    if isinstance(node, Ef):
        size, kind = len(node.content), _TYPE_EF
    else:
        size, kind = 0, _TYPE_MF if node.parent is None else _TYPE_DF
    value = size.to_bytes(2, "big") + node.fid.to_bytes(2, "big") + bytes((kind,))
    return b"\x85" + bytes((len(value),)) + value
