"""The colours of the page can be read: WCAG 2.1 AA in light and in dark, for text and for marks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.page import views

CSS = (Path(views.__file__).parent / "static" / "page.css").read_text("utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
)
TEXT = [
    *((name, on) for name in ("ink", "faint", "link", "good", "bad", "wait") for on in ("ground", "card")),
    ("brand-ink", "brand"), *((name, f"{name}-bg") for name in ("good", "go", "wait", "bad", "off")),
    ("faint", "wait-bg"), ("ink", "wait-bg"),
]  # fmt: skip
MARKS = [
    ("field", "card"),
    ("focus", "ground"),
    ("focus", "card"),
    ("amo", "card"),
    ("patient", "card"),
    ("focus-top", "brand"),
]


def light_of(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    """Between 1 and 21."""
    high, low = sorted((light_of(one), light_of(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_can_be_told_from_their_ground(theme: dict[str, str]) -> None:
    """Text has a contrast of 4.5 at least, fields, focus and bars of 3; black on white has 21."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    found = {pair: round(contrast(theme[pair[0]], theme[pair[1]]), 2) for pair in (*TEXT, *MARKS)}
    assert {pair: value for pair, value in found.items() if value < (4.5 if pair in TEXT else 3)} == {}
