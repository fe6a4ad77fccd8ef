"""Three pictures of a year as SVG, written by hand: bars by month, delays, causes of refusal.

Plain shapes and text in one size of sheet; no script, no font file, nothing that a viewer must fetch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import ceil

WIDTH, HEIGHT = 960, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 24, 84, 56
_INK, _FAINT, _PAPER = "#22303c", "#d9dee3", "#ffffff"
COLOURS = ("#2f6f9f", "#e0913a", "#6a9c5b", "#9a6bb0", "#8a9099", "#c2b04a")
"""Blue, orange, green, violet, grey, ochre: they differ in lightness too, for who sees no red or no green."""
_STEPS = (1, 2, 2.5, 5)


def stacked(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Bars with parts on top of each other: column → part → value. Parts have one order and one colour."""
    parts = list(dict.fromkeys(part for row in rows.values() for part in row))
    top = _ceiling(max((sum(max(0.0, value) for value in row.values()) for row in rows.values()), default=1))
    frame = [*_head(title, parts), *_grid(top)]
    slot = _inner_width() / max(1, len(rows))
    for at, (name, row) in enumerate(rows.items()):
        left, base = _LEFT + slot * at + slot * 0.15, 0.0
        for part, value in row.items():
            low, high = _y(base, top), _y(base + max(0.0, value), top)
            frame.append(_box(left, high, slot * 0.7, low - high, COLOURS[parts.index(part) % len(COLOURS)]))
            base += max(0.0, value)
        if at % _every(slot, 62) == 0:
            frame.append(_text(left + slot * 0.35, HEIGHT - _BOTTOM + 22, name, "middle"))
    return _sheet(frame)


def steps(title: str, below: str, series: Mapping[str, Mapping[int, float]]) -> str:
    """Groups of bars over whole numbers: name → number → value; numbers between the first and the last."""
    numbers = [number for values in series.values() for number in values] or [0]
    first, last = min(numbers), max(numbers)
    top = _ceiling(max((value for values in series.values() for value in values.values()), default=1))
    frame = [*_head(title, list(series)), *_grid(top)]
    slot = _inner_width() / (last - first + 1)
    thick = slot * 0.84 / max(1, len(series))
    for at, values in enumerate(series.values()):
        for number, value in values.items():
            left = _LEFT + slot * (number - first) + slot * 0.08 + thick * at
            frame.append(
                _box(left, _y(value, top), thick, _y(0, top) - _y(value, top), COLOURS[at % len(COLOURS)])
            )
    under = HEIGHT - _BOTTOM + 20
    frame += [
        _text(_LEFT + slot * (number - first + 0.5), under, str(number), "middle")
        for number in range(first, last + 1, _every(slot, 26))
    ]
    frame.append(_text(_LEFT + _inner_width() / 2, HEIGHT - 14, below, "middle"))
    return _sheet(frame)


def ranked(title: str, groups: Sequence[str], rows: Sequence[tuple[str, str, float]]) -> str:
    """Lying bars in their order: group (its colour), words, value."""
    top, label = max((value for _, _, value in rows), default=1), 480
    height = _TOP + 34 * len(rows) + 14
    frame = list(_head(title, groups))
    for at, (group, words, value) in enumerate(rows):
        upper, long = _TOP + 34 * at, (WIDTH - label - 80) * value / top
        frame.append(_text(label - 10, upper + 16, words, "end"))
        frame.append(_box(label, upper, long, 22, COLOURS[groups.index(group) % len(COLOURS)]))
        frame.append(_text(label + long + 8, upper + 16, f"{value:g}", "start"))
    return _sheet(frame, height)


def _head(title: str, names: Sequence[str]) -> Iterator[str]:
    """The title, and one small square with its name for each colour."""
    yield f'<text x="24" y="32" font-size="19" font-weight="600" fill="{_INK}">{escape(title)}</text>'
    left = 24.0
    for at, name in enumerate(names):
        yield _box(left, 48, 13, 13, COLOURS[at % len(COLOURS)])
        yield _text(left + 19, 59, name, "start")
        left += 44 + 7.2 * len(name)


def _grid(top: float) -> Iterator[str]:
    for at in range(5):
        value, height = top * at / 4, _y(top * at / 4, top)
        yield f'<path d="M{_LEFT} {height:.1f}H{WIDTH - _RIGHT}" stroke="{_FAINT}"/>'
        yield _text(_LEFT - 10, height + 4, f"{value:,.1f}".removesuffix(".0").replace(",", " "), "end")


def _inner_width() -> float:
    return WIDTH - _LEFT - _RIGHT


def _every(slot: float, room: float) -> int:
    """Which labels fit: each, each second …"""
    return ceil(room / slot)


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * value / top


def _ceiling(value: float) -> float:
    """The next round number whose quarters are round too."""
    size = 4.0
    while True:
        for step in _STEPS:
            if size * step >= value:
                return size * step
        size *= 10


def _box(left: float, top: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}"'
        f' fill="{colour}"/>'
    )


def _text(left: float, top: float, words: str, anchor: str) -> str:
    return (
        f'<text x="{left:.1f}" y="{top:.1f}" font-size="13" fill="{_INK}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _sheet(inside: Sequence[str], height: int = HEIGHT) -> str:
    body = "\n".join(inside)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" font-family="DejaVu Sans, Verdana, sans-serif">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="{_PAPER}"/>\n{body}\n</svg>\n'
    )
