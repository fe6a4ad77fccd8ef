"""Templates to bytes: one Jinja environment, everything escaped, an unknown name is an error."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gateway.page import french, words
from gateway.page.texts import Texts
from gateway.page.visit import Reply, Visit

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
MENU = (
    ("/", "menu.desk"),
    ("/feuille/nouvelle", "menu.new"),
    ("/feuilles", "menu.sheets"),
    ("/a-reprendre", "menu.mend"),
    ("/lots", "menu.lots"),
    ("/paiements", "menu.payments"),
    ("/releve", "menu.statement"),
    ("/chiffres", "menu.figures"),
)
_GLYPHS = {
    "AWAITING_CPS": "◔", "SIGNED": "✓", "RELAYED": "→", "IN_LOT": "▣", "SENT": "➚", "ACCEPTED": "✓✓",
    "PAID": "€", "REJECTED": "✕", "PAYMENT_REJECTED": "✕", "CANCELLED": "–", "RECTIFIED": "↻",
    "SEALED": "▣", "SENDING": "➚", "ACKNOWLEDGED": "✓✓", "OVERDUE": "!", "PARKED": "‖",
}  # fmt: skip
_TONES = {
    "AWAITING_CPS": "wait", "SIGNED": "go", "RELAYED": "go", "IN_LOT": "go", "SENT": "go", "ACCEPTED": "good",
    "PAID": "good", "REJECTED": "bad", "PAYMENT_REJECTED": "bad", "CANCELLED": "off", "RECTIFIED": "off",
    "SEALED": "go", "SENDING": "go", "ACKNOWLEDGED": "good", "OVERDUE": "wait", "PARKED": "bad",
}  # fmt: skip


Panel = Callable[[Visit], str]
"""HTML, escaped already, that stands at the foot of every page."""


class Views:
    """Renders the pages. `panel`: what stands beside the product, a bench in a demonstration."""

    def __init__(self, panel: Panel | None = None) -> None:
        self._panel = panel
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(day=words.day, moment=words.moment, hour=words.hour)
        self._environment.globals.update(menu=MENU)

    def page(self, visit: Visit, name: str, status: int = 200, **values: Any) -> Reply:
        """One page, or a piece of one, with its texts, its form key and what the last action had to say."""
        t, language = visit.texts, visit.texts.language
        session = visit.session
        text = self._environment.get_template(f"{name}.html").render(
            t=t,
            lang=language,
            visit=visit,
            signed_in=session is not None,
            form_key=visit.form_key,
            notice=session.take_notice() if session is not None and not name.startswith("_") else "",
            euros=partial(words.euros, language=language),
            long_day=partial(words.long_day, language=language),
            month=partial(words.month, language=language),
            decimal=partial(words.number, language=language),
            pill=partial(pill, t),
            label=partial(french.label, t),
            panel=self._beside(visit, name),
            **values,
        )
        return Reply(text.encode("utf-8"), status)

    def _beside(self, visit: Visit, name: str) -> Markup:
        if self._panel is None or visit.session is None or name.startswith("_"):
            return Markup()
        return Markup(self._panel(visit))  # noqa: S704 - the guest escapes what it shows


def pill(t: Texts, state: str, kind: str = "fse") -> Markup:
    """A state as a coloured pill; its sign and its word say the same as its colour."""
    shape = Markup('<span class="pill {}"><span aria-hidden="true">{}</span> {}</span>')
    return shape.format(_TONES[state], _GLYPHS[state], t(f"{kind}.{state}"))
