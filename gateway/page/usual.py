"""What a specialty bills most, in one click: the usual act and a few favourites, as today's tables have them.

A favourite is written as in the address of a new sheet: codes joined by +, a coefficient behind a colon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.billing.tables import DayTables
from gateway.page.care_form import ActLine, lines_of

_GP = ("G+MEG", "G", "TCG", "VG+MD", "G+DEQP003", "COE", "APC", "GL1")
_OF: Mapping[tuple[str, ...], Sequence[str]] = {
    ("01", "22", "23"): _GP,
    ("24",): ("AMI:1.5+MAU", "AMI:2", "AMI:4", "AIS:3", "AMI:1+IFD", "DI:1.5"),
    ("26",): ("AMK:8.5", "AMS:7.5", "AMK:8.5+IFD", "AMS:9.5", "AMC:9"),
    ("28",): ("AMO:12.8", "AMO:14", "AMO:10"),
    ("21",): ("C", "SF:15", "SF:12", "SF:8", "V+ID"),
    ("19", "36", "53", "54"): ("C", "HBJD001", "HBMD053", "HBGD036", "HBLD634"),
    ("12",): ("CEG", "CEK", "CEH", "COE"),
    ("07", "70", "77", "79"): ("CS", "CS+MCS", "JKHD001", "JKLD001", "TCS"),
    ("17", "32", "33", "75"): ("CNP", "CNP+MCS", "APY", "TCS"),
    ("03",): ("CS+DEQP003", "CS", "CS+MCS", "APC"),
    ("30", "37", "38"): ("9005+0552", "0552", "0578"),
    ("50",): ("3400930168592+HD7", "3400949444137+HD7", "3400936820982+HD7"),
}
# INVENTED(favourites): what each specialty bills most is no public list; these come first on the page.
_OTHERS = ("CS", "CS+MCS", "APC", "C")
"""Every other specialist."""


@dataclass(frozen=True)
class Favourite:
    """One click: the words of the address, and the acts."""

    word: str
    acts: tuple[ActLine, ...]

    @property
    def label(self) -> str:
        """What the button says: G + MEG, AMI 2,5."""
        return " + ".join(f"{one.code} {one.coefficient}".strip() for one in self.acts)


def favourites(specialty: str, tables: DayTables, age: int | None = None) -> tuple[Favourite, ...]:
    """Those of this specialty that today's tables let it bill at this age; the first one is the usual act."""
    words = next((words for codes, words in _OF.items() if specialty in codes), _OTHERS)
    found = (Favourite(word, lines_of(word)) for word in words)
    return tuple(
        one for one in found if one.acts and all(_may(tables, a.code, specialty, age) for a in one.acts)
    )


def _may(tables: DayTables, code: str, specialty: str, age: int | None) -> bool:
    rows = tables.act(code, specialty).values()
    return any(
        age is None
        or ((row.below_age is None or age < row.below_age) and (row.from_age is None or age >= row.from_age))
        for row in rows
    )
