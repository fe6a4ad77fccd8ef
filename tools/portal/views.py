"""Templates to bytes: one Jinja environment, everything escaped, an unknown name is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tools.portal import words
from tools.portal.visit import INSURED, STAFF, Reply, Visit

_HERE = Path(__file__).parent
STYLE = _HERE / "static" / "style.css"
_MENUS = {
    INSURED: (
        ("/remboursements", "Remboursements"),
        ("/releve", "Relevé mensuel"),
        ("/annuel", "Relevé fiscal"),
        ("/retenues", "Retenues"),
        ("/compte", "Compte bancaire"),
        ("/attestation", "Attestation"),
        ("/carte", "Carte Vitale"),
        ("/medecin", "Médecin traitant"),
        ("/complementaire", "Complémentaire"),
    ),
    STAFF: (
        ("/controle", "Flux reçus"),
        ("/controle/rejets", "Refus"),
        ("/controle/papier", "Papier"),
        ("/controle/medicaments", "Médicaments"),
        ("/controle/defauts", "Défauts"),
    ),
    "": (),
}


class Views:
    """Renders the pages."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            euros=words.euros,
            jour=words.french_day,
            mois=words.month_name,
            nir=words.spaced,
            payeur=words.payer,
            moment=words.moment,
            jour_iso=words.iso_day,
        )
        self._environment.globals.update(words=words)

    def page(self, visit: Visit, name: str, status: int = 200, **values: Any) -> Reply:
        """One page with its menu, its form key and what the last action had to say."""
        session = visit.session
        text = self._environment.get_template(f"{name}.html").render(
            session=session,
            menu=_MENUS[session.role],
            path=visit.path,
            notice=session.take_notice(),
            **values,
        )
        return Reply(text.encode("utf-8"), status)
