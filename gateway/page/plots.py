"""Plots as SVG made here: classes for colours (style sheet, print, dark mode), no script, no foreign font.

Every plot stands beside a table of the same figures; to a screen reader it is one picture with a title.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from gateway.page.texts import Texts

WIDTH, HEIGHT = 960, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 36, 34
_ROW = 34
_LABEL = 52


@dataclass(frozen=True)
class Series:
    """One payer, or one quantity, over the months; `tone` is its class in the style sheet."""

    name: str
    tone: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Bars:
    """Stacked bars: one for each name along the foot."""

    title: str
    names: tuple[str, ...]
    series: tuple[Series, ...]
    unit: str


def bars(drawing: Bars, t: Texts) -> str:
    """Stacked bars with a scale of round numbers."""
    totals = [sum(values) for values in zip(*(one.values for one in drawing.series), strict=True)]
    step, top = scale(max(totals, default=0))
    parts = [_head(drawing.title, HEIGHT)]
    parts += _grid(step, top, drawing.unit, t)
    width = (WIDTH - _LEFT - _RIGHT) / max(1, len(drawing.names))
    for at, name in enumerate(drawing.names):
        x = _LEFT + at * width
        parts.append(_text(x + width / 2, HEIGHT - 12, name, "tick mid"))
        parts += _stack(drawing, at, x + width * 0.18, width * 0.64, top)
    if len(drawing.series) > 1:
        parts += _legend(drawing.series)
    return "".join((*parts, "</svg>"))


def rows_of(title: str, counted: Mapping[str, int]) -> str:
    """Horizontal bars, one for each cause, with its number."""
    height = len(counted) * (_ROW + 12) + 12
    most = max(counted.values(), default=1)
    parts = [_head(title, height)]
    for at, (name, number) in enumerate(counted.items()):
        y = 8 + at * (_ROW + 12)
        length = max(4, (WIDTH - 80) * number / most)
        text = name if len(name) <= _LABEL * 2 else f"{name[: _LABEL * 2 - 1]}…"
        parts.append(_text(0, y + 10, text, "name"))
        parts.append(f'<rect class="bar bad" x="0" y="{y + 17}" width="{length:.1f}" height="16" rx="3"/>')
        parts.append(_text(length + 8, y + 30, str(number), "tick"))
    return "".join((*parts, "</svg>"))


def scale(most: float) -> tuple[float, float]:
    """A round step (1, 2 or 5 times a power of ten) and the top of the scale, four or five steps up."""
    if most <= 0:
        return 1.0, 4.0
    raw = most / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    return step, step * math.ceil(most / step)


def _stack(drawing: Bars, at: int, x: float, width: float, top: float) -> Sequence[str]:
    found, y = [], float(HEIGHT - _BOTTOM)
    for one in drawing.series:
        height = (HEIGHT - _TOP - _BOTTOM) * one.values[at] / top
        if height <= 0:
            continue
        y -= height
        found.append(
            f'<rect class="bar {one.tone}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
            f"<title>{escape(drawing.names[at])} · {escape(one.name)} : "
            f"{one.values[at]:.2f} {escape(drawing.unit)}</title></rect>"
        )
    return found


def _grid(step: float, top: float, unit: str, t: Texts) -> Sequence[str]:
    found = []
    for line in range(round(top / step) + 1):
        value = line * step
        y = HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top
        text = f"{value:,.0f}" if step >= 1 else f"{value:.1f}"
        text = text.replace(",", "\u202f").replace(".", t("decimal"))
        found.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        found.append(_text(_LEFT - 8, y + 4, f"{text} {unit}", "tick end"))
    return found


def _legend(series: Sequence[Series]) -> Sequence[str]:
    found, x = [], float(_LEFT)
    for one in series:
        found.append(f'<rect class="bar {one.tone}" x="{x:.0f}" y="6" width="14" height="14" rx="3"/>')
        found.append(_text(x + 20, 18, one.name, "name"))
        x += 44 + len(one.name) * 7.6
    return found


def _head(title: str, height: float) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>'
    )


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
