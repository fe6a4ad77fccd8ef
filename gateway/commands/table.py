"""Tables in a terminal: columns as wide as what is in them, the last one cut at the edge."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from reader.console import plain

GAP = "  "
NARROWEST = 20


def show(headings: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """Print the rows under their headings, numbers to the right; `nothing` when there are none."""
    if not rows:
        print(nothing)
        return
    for line in laid_out(headings, rows, _edge()):
        print(line)


def laid_out(headings: Sequence[str], rows: Sequence[Sequence[object]], edge: int | None) -> list[str]:
    """The lines of a table; `edge`: how many characters a line may have, None for no limit."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[column]) for line in (headings, *cells)) for column in range(len(headings))]
    right = [all(_is_number(line[column]) for line in cells) for column in range(len(headings))]
    lines = []
    for line in (list(headings), *cells):
        set_out = [
            text.rjust(width) if to_the_right else text.ljust(width)
            for text, width, to_the_right in zip(line, widths, right, strict=True)
        ]
        whole = GAP.join(set_out).rstrip()
        lines.append(whole if edge is None or len(whole) <= edge else whole[: edge - 1] + "…")
    return lines


def wrapped(text: str, first: str) -> list[str]:
    """A sentence behind its first words, on as many lines as the terminal needs."""
    edge, indent = _edge(), " " * len(first)
    if edge is None or edge - len(first) < NARROWEST:
        return [first + text]
    return textwrap.wrap(text, edge, initial_indent=first, subsequent_indent=indent)


def euros(cents: int) -> str:
    """An amount as people write it: 26.50."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02}"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) is not None


def _cell(value: object) -> str:
    return "" if value is None else plain(str(value))


def _edge() -> int | None:
    """Nothing is cut where no person looks: in a file or a pipe."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return max(NARROWEST, shutil.get_terminal_size().columns)


def as_json(value: Any) -> Any:
    """A value of the store for programs: days and moments as ISO 8601 text."""
    if isinstance(value, dict):
        return {key: as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
