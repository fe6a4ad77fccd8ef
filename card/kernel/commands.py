"""The file commands every applet of this house answers, by instruction byte."""

from __future__ import annotations

from card.kernel.applet import Handler
from card.kernel.binary import BinaryCommands
from card.kernel.lifecycle import LifeCycleCommands
from card.kernel.record import RecordCommands
from card.kernel.selection import Selection
from card.kernel.session import Session


def file_handlers(session: Session, selection: Selection) -> dict[int, Handler]:
    """SELECT, READ/UPDATE BINARY, READ/UPDATE/APPEND RECORD, and the life cycle of files."""
    binary, record, life = BinaryCommands(session), RecordCommands(session), LifeCycleCommands(session)
    return {
        0xA4: selection.select,
        0xB0: binary.read,
        0xB1: binary.read_odd,
        0xD6: binary.update,
        0xD7: binary.update_odd,
        0xB2: record.read,
        0xDC: record.update,
        0xE2: record.append,
        0xE0: life.create,
        0xE4: life.delete,
        0x44: life.activate,
        0x04: life.deactivate,
    }
