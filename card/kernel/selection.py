"""SELECT in all its forms (ISO 7816-4, 11.1.1; facts 5). A refused SELECT changes nothing."""

from __future__ import annotations

from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel.applet import DONE
from card.kernel.errors import CardError
from card.kernel.filesystem import DEACTIVATED, MF, Df, Ef
from card.kernel.session import Session

FCI, FCP, NOTHING = 0x00, 0x04, 0x0C

_NEXT = 0x02
_MIN_NAME, _MAX_NAME = 5, 16


class Selection:
    """The SELECT command of one applet.

    answers: which of FCI, FCP, NOTHING may be asked for (a CPS3 refuses FCI with 6A86).
    any_fid: P1 = 00 finds every near file (ISO), not the MF alone (CPS3).
    """

    def __init__(self, session: Session, answers: frozenset[int], *, any_fid: bool) -> None:
        self._session = session
        self._answers = answers
        self._any_fid = any_fid
        self._by_p1 = {
            0x00: self._by_identifier,
            0x01: self._child_df,
            0x02: self._child_ef,
            0x03: self._parent,
            0x04: self._by_name,
            0x08: self._path_from_mf,
            0x09: self._path,
        }

    def select(self, command: CommandAPDU) -> ResponseAPDU:
        """Find, then make current, then describe."""
        find = self._by_p1.get(command.p1)
        wanted = command.p2 & 0xFC
        if find is None or wanted not in self._answers or command.p2 & 0x01:
            raise CardError(0x6A86)
        if command.p2 & _NEXT and command.p1 != 0x04:
            raise CardError(0x6A86)
        found = find(command)
        if isinstance(found, Ef):
            self._session.open(found)
        else:
            self._session.enter(found)
        sw = 0x6283 if found.life == DEACTIVATED else 0x9000
        if wanted == NOTHING:
            return DONE if sw == 0x9000 else _warning(b"")
        data = found.fcp if wanted == FCP else b"\x6f" + found.fcp[1:]
        return ResponseAPDU(data) if sw == 0x9000 else _warning(data)

    def owns(self, name: bytes) -> bool:
        """Is there a DF with this name, or beginning so?"""
        return any(df.name is not None and df.name.startswith(name) for df in self._session.files.names)

    # ---- the ways to find a file

    def _by_identifier(self, command: CommandAPDU) -> Df | Ef:
        files = self._session.files
        if not command.data:
            return files.mf
        fid = _identifier(command.data)
        if fid == MF:
            return files.mf
        if not self._any_fid:
            raise CardError(0x6A82)
        # ISO 7816-4, 7.1.2: below the current DF, the DF itself, its parent, beside it.
        df = self._session.df
        if fid in df.children:
            return df.children[fid]
        for near in (df, df.parent):
            if near is not None and near.fid == fid:
                return near
        beside = df.parent.children.get(fid) if df.parent else None
        if isinstance(beside, Df):
            return beside
        raise CardError(0x6A82)

    def _child_df(self, command: CommandAPDU) -> Df | Ef:
        found = self._session.df.children.get(_identifier(command.data))
        if not isinstance(found, Df):
            raise CardError(0x6A82)
        return found

    def _child_ef(self, command: CommandAPDU) -> Df | Ef:
        fid = _identifier(command.data)
        found = self._session.df.children.get(fid)
        if isinstance(found, Ef):
            return found
        if fid == MF and not self._any_fid:
            return self._session.files.mf  # OpenSC asks for the MF this way, and a CPS3 gives it
        raise CardError(0x6A82)

    def _parent(self, command: CommandAPDU) -> Df | Ef:
        if command.data:
            raise CardError(0x6700)
        parent = self._session.df.parent
        if parent is None:
            raise CardError(0x6A82)
        return parent

    def _by_name(self, command: CommandAPDU) -> Df | Ef:
        name, session = command.data, self._session
        if not _MIN_NAME <= len(name) <= _MAX_NAME:
            raise CardError(0x6700 if len(name) > _MAX_NAME else 0x6A82)
        matching = [df for df in session.files.names if df.name is not None and df.name.startswith(name)]
        if command.p2 & _NEXT and session.df in matching:
            matching = matching[matching.index(session.df) + 1 :]
        if not matching:
            raise CardError(0x6A82)
        return matching[0]

    def _path_from_mf(self, command: CommandAPDU) -> Df | Ef:
        return self._walk(self._session.files.mf, command.data)

    def _path(self, command: CommandAPDU) -> Df | Ef:
        data = command.data
        if data[:2] == b"\x3f\x00":
            mf = self._session.files.mf
            return mf if len(data) == 2 else self._walk(mf, data[2:])
        return self._walk(self._session.df, data)

    @staticmethod
    def _walk(start: Df, path: bytes) -> Df | Ef:
        """Follow two-byte identifiers downwards only: no path leads out of its DF (attack K7)."""
        if not path or len(path) % 2:
            raise CardError(0x6700)
        node: Df | Ef | None = start
        for at in range(0, len(path), 2):
            if not isinstance(node, Df):
                raise CardError(0x6A82)
            node = node.children.get(path[at] << 8 | path[at + 1])
        if node is None:
            raise CardError(0x6A82)
        return node


def _identifier(data: bytes) -> int:
    if len(data) != 2:
        raise CardError(0x6700)
    return data[0] << 8 | data[1]


def _warning(data: bytes) -> ResponseAPDU:
    return ResponseAPDU(data, CardError(0x6283).sw)
