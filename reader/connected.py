"""Readers that are connected to this machine, by name: `[DRIVER:]WHAT` on a command line.

Without a driver a name means a PC/SC reader: a part of its name, or a regular expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

from reader.errors import ReaderError
from reader.pcsc_slots import kind_of
from reader.reader import Reader
from reader.slot import Slot

DRIVERS = "vitale_gateway.reader_drivers"
EMULATED, PCSC = "emulated", "pcsc"
PCSC_SLOT = "PC/SC"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list of slots. `state`: card, mute or empty; `kind`: Vitale, CPS, other or nothing.

    `pin_pad` and `in_use` (by another program) are None where nobody can tell.
    """

    reader: str
    state: str
    kind: str = ""
    atr: str = ""
    pin_pad: bool | None = None
    in_use: bool | None = None


def open_connected(text: str) -> Reader:
    """The reader `[DRIVER:]WHAT`; raises ReaderError when the driver cannot open it."""
    driver, what = split(text)
    if driver == PCSC:
        from reader.pcsc import PcscReader  # noqa: PLC0415 - start-up time

        return PcscReader([what], (PCSC_SLOT,))
    opening: Callable[[Sequence[str]], Reader] = entry_points(group=DRIVERS)[driver].load()
    return opening([what])


def split(text: str) -> tuple[str, str]:
    """(driver, what); a word before a colon that is no driver belongs to the name of a PC/SC reader."""
    driver, colon, what = text.partition(":")
    known = entry_points(group=DRIVERS).names - {EMULATED}
    name = (driver, what) if colon and driver in known else (PCSC, text)
    if not name[1].strip():
        raise ReaderError("The name of the reader is empty: see vitale-reader list.")
    return name


def rows_of(reader: Reader) -> list[Row]:
    """What is in each slot of an open reader; cards that are there are reset."""
    return [_row(slot) for slot in reader.slots]


def survey(text: str | None) -> list[Row]:
    """What is connected: every PC/SC reader, or what `--reader` names. PC/SC cards are not touched."""
    driver, what = split(text) if text else (PCSC, "")
    if driver != PCSC:
        with open_connected(f"{driver}:{what}") as reader:
            return rows_of(reader)
    return _pcsc_rows(what)


def _row(slot: Slot) -> Row:
    if not slot.is_present:
        return Row(slot.name, "empty")
    connection = slot.connect()
    atr = connection.atr
    return Row(slot.name, "card", kind_of(atr) or "other", atr.hex(), pin_pad=connection.has_pad)


def _pcsc_rows(what: str) -> list[Row]:
    from reader import pcsc_slots as bits  # noqa: PLC0415 - start-up time
    from reader.pcsc import look  # noqa: PLC0415

    rows = []
    for state, pad in look(what):
        card = "mute" if state.is_mute else "card" if state.has_card else "empty"
        kind = (kind_of(state.atr) or "other") if card == "card" else ""
        in_use = bool(state.state & (bits.IN_USE | bits.EXCLUSIVE))
        rows.append(Row(state.name, card, kind, state.atr.hex() if kind else "", pad, in_use))
    return rows
