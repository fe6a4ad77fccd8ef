"""READ, UPDATE and APPEND RECORD on linear and cyclic files (ISO 7816-4, 11.3).

In a cyclic file record 1 is always the newest; the oldest one makes room for the next.
"""

from __future__ import annotations

from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.iso7816.status import exact_length
from card.kernel.access import READ, UPDATE, WRITE
from card.kernel.applet import DONE
from card.kernel.errors import CardError
from card.kernel.filesystem import CYCLIC, DEACTIVATED, TRANSPARENT, Ef
from card.kernel.session import Session

_FIRST, _LAST, _NEXT, _PREVIOUS, _NUMBER, _FROM_NUMBER = range(6)


class RecordCommands:
    """P1 is the record number; P2 is a short file identifier and how to understand P1."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, command: CommandAPDU) -> ResponseAPDU:
        """B2: one record, or with mode 5 all from P1 to the last."""
        if command.data:
            raise CardError(0x6700)
        ef = self._target(command.p2, READ)
        records = ef.records()
        number = self._number(command, len(records))
        if command.p2 & 0x07 == _FROM_NUMBER:
            return ResponseAPDU(b"".join(records[number - 1 :]))
        self._session.record = number
        record = records[number - 1]
        if command.ne not in (0, len(record)) and command.ne < 256:
            raise CardError(exact_length(len(record)))
        return ResponseAPDU(record)

    def update(self, command: CommandAPDU) -> ResponseAPDU:
        """DC: replaces one record; in a cyclic file mode "previous" turns the wheel."""
        ef = self._target(command.p2, UPDATE)
        _check_size(ef, command.data)
        if ef.kind is CYCLIC and command.p2 & 0x07 == _PREVIOUS and command.p1 == 0:
            self._turn(ef, command.data)
            return DONE
        records = ef.records()
        number = self._number(command, len(records))
        if command.p2 & 0x07 == _FROM_NUMBER:
            raise CardError(0x6A86)
        records[number - 1] = command.data
        self._session.files.write(ef, b"".join(records))
        self._session.record = number
        return DONE

    def append(self, command: CommandAPDU) -> ResponseAPDU:
        """E2: a new last record of a linear file, a new record 1 of a cyclic one."""
        if command.p1 or command.p2 & 0x07:
            raise CardError(0x6A86)
        ef = self._target(command.p2, WRITE, UPDATE)
        _check_size(ef, command.data)
        if ef.kind is CYCLIC:
            self._turn(ef, command.data)
            return DONE
        if len(ef.content) // ef.record_size >= ef.capacity:
            raise CardError(0x6A84)
        self._session.files.write(ef, ef.content + command.data)
        self._session.record = len(ef.content) // ef.record_size
        return DONE

    def _turn(self, ef: Ef, record: bytes) -> None:
        kept = ef.content[: (ef.capacity - 1) * ef.record_size]
        self._session.files.write(ef, record + kept)
        self._session.record = 1

    def _target(self, p2: int, *actions: int) -> Ef:
        """The EF of P2, if one of the actions is allowed on it (APPEND: write, or else update)."""
        sfi = p2 >> 3
        if sfi == 0x1F:
            raise CardError(0x6A86)
        ef = self._session.df.short.get(sfi) if sfi else self._session.ef
        if ef is None:
            raise CardError(0x6A82 if sfi else 0x6986)
        if ef.kind is TRANSPARENT:
            raise CardError(0x6981)
        for action in actions[:-1]:
            if self._session.security.satisfies(ef.rules[action]):
                break
        else:
            self._session.require(ef.rules[actions[-1]])
        if ef.life == DEACTIVATED:
            raise CardError(0x6985)
        if sfi:
            self._session.open(ef)
        return ef

    def _number(self, command: CommandAPDU, count: int) -> int:
        """The record number meant by P1 and the mode; 6A83 when there is no such record."""
        mode, p1, current = command.p2 & 0x07, command.p1, self._session.record
        if mode in (_NUMBER, _FROM_NUMBER):
            number = p1 or current
        elif mode > _FROM_NUMBER or p1:
            raise CardError(0x6A86)  # record identifiers need SIMPLE-TLV records: none here
        else:
            before = current - 1 if current else count
            number = {_FIRST: 1, _LAST: count, _NEXT: current + 1, _PREVIOUS: before}[mode]
        if not 1 <= number <= count:
            raise CardError(0x6A83)
        return number


def _check_size(ef: Ef, record: bytes) -> None:
    if len(record) != ef.record_size:
        raise CardError(0x6700)
