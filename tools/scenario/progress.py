"""How far the year is: one line that renews itself on a terminal, a plain line a month elsewhere."""

from __future__ import annotations

import sys
from datetime import date
from typing import TextIO

_BAR = 16
_CLEAR = "\r\x1b[2K"


class Progress:
    """Told every day; says so as the place allows. `days`: days of care in all."""

    def __init__(self, days: int, out: TextIO | None = None) -> None:
        self._days, self._out = days, out or sys.stderr
        self._renews = self._out.isatty()
        self._told, self._month = 0, 0

    def tell(self, day: date, sheets: int, lots: int) -> None:
        """A day is over."""
        self._told += 1
        words = f"{day}  {sheets} sheets, {lots} lots"
        if self._told > self._days:
            words += ", last payments"
        if self._renews:
            done = min(_BAR, _BAR * self._told // self._days)
            self._write(f"{_CLEAR}[{'#' * done}{'.' * (_BAR - done)}] {words}")
        elif day.month != self._month:
            self._write(f"{words}\n")
        self._month = day.month

    def end(self) -> None:
        """Leave the line as a terminal wants it."""
        if self._renews:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
