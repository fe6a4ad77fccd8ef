"""The counter for paper on the controller's pages: a sheet arrives, is keyed in, and its answer is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import InputError
from tools.portal import words
from tools.portal.controller_pages import ask
from tools.portal.office import Office
from tools.portal.views import Views
from tools.portal.visit import STAFF, Reply, Route, Visit, go
from tools.receiver.api import Actions, Call
from tools.receiver.book import ON_PAPER
from tools.receiver.schema import BOOKS

_ROWS = 50
_LINES = 3
_DECISIONS = {"P": "payée au professionnel", "N": "remboursée à l'assuré", "R": "refusée"}
_FIELDS = ("date", "third_party", "pathway", "nature", "complementary")


@dataclass
class PaperPages:
    """Everything behind this page. `actions`: those of the receiver's API."""

    office: Office
    actions: Actions
    views: Views

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Method and path → page."""
        pages = {("GET", "/controle/papier"): self.counter, ("POST", "/controle/papier"): self.key_in}
        return {key: Route(STAFF, page) for key, page in pages.items()}

    def counter(self, visit: Visit) -> Reply:
        """The form, and the latest sheets. Nobody is named."""
        practitioners = sorted(self.office.register.practitioners.items())
        return self.views.page(
            visit, "papier", practitioners=practitioners, today=self.office.today.isoformat(),
            lines=range(1, _LINES + 1), sheets=self._latest(), decisions=_DECISIONS,
        )  # fmt: skip

    def _latest(self) -> list[dict[str, Any]]:
        found = []
        for book in BOOKS:
            rows = self.office.state.ledger.rows(
                "SELECT lot.date, c.payer, c.practitioner, c.number, c.decision, c.code,"  # noqa: S608
                f" c.amo_paid + c.amc_paid FROM {book} c JOIN lot ON lot.id = c.lot"
                f" WHERE c.origin IN ({', '.join('?' * len(ON_PAPER))}) ORDER BY c.id DESC LIMIT ?",
                *sorted(ON_PAPER), _ROWS,
            )  # fmt: skip
            names = ("day", "payer", "practitioner", "number", "decision", "code", "cents")
            found += [
                dict(zip(names, row, strict=True)) | {"text": words.MOTIVES.get(row[5], "")} for row in rows
            ]
        return sorted(found, key=lambda one: (one["day"], one["number"]), reverse=True)

    def key_in(self, visit: Visit) -> Reply:
        """One sheet keyed in; what the caisse makes of it is said on the next page."""
        answer = ask(self.actions, "POST", "/paper", Call(body=_sheet(visit.form)))
        if answer["twin"]:
            number = answer["number"]
            said = f"La facture {number} est déjà reçue : le double papier est classé, sans paiement."
        else:
            why = f" : {words.MOTIVES[answer['code']]}" if answer["code"] else ""
            amount = words.euros(answer["amo_cents"] + answer["amc_cents"])
            said = f"Feuille {answer['number']} ({amount}), {_DECISIONS[answer['decision']]}{why}."
        return go(visit, "/controle/papier", said)


def _sheet(form: Mapping[str, str]) -> dict[str, Any]:
    """The form as the API reads it."""
    number = form.get("numero", "").strip()
    if number and not re.fullmatch(r"[0-9]{1,9}", number):
        raise InputError("Le numéro de facture a neuf chiffres au plus.")
    acts = [_act(form, at) for at in range(1, _LINES + 1) if form.get(f"code{at}", "").strip()]
    return {
        "practitioner": form.get("professionnel", ""),
        "number": int(number or 0),
        "nir": form.get("nir", ""),
        "birth_date": form.get("naissance", ""),
        "acts": acts,
        "ald": form.get("ald", "") == "oui",
        **{name: form[name].strip() for name in _FIELDS if form.get(name, "").strip()},
    }


def _act(form: Mapping[str, str], at: int) -> dict[str, Any]:
    quantity = form.get(f"quantite{at}", "").strip() or "1"
    if not re.fullmatch(r"[0-9]{1,2}", quantity):
        raise InputError("La quantité d'un acte a deux chiffres au plus.")
    act: dict[str, Any] = {"code": form[f"code{at}"].strip().upper(), "quantity": int(quantity)}
    if charged := form.get(f"montant{at}", "").strip():
        act["charged_cents"] = words.read_euros(charged)
    return act
