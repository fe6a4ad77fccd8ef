"""The pages of the caisse's controller: what came in, what was refused, medicines, faults. No names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import InputError
from tools.portal import words
from tools.portal.office import Office
from tools.portal.views import Views
from tools.portal.visit import STAFF, Reply, Route, Visit, go
from tools.receiver import listing
from tools.receiver.api import Actions, ApiRefusal, Call
from tools.receiver.schema import BOOKS

_ROWS = 100


@dataclass
class ControllerPages:
    """Everything behind these pages. `actions`: those of the receiver's API; there is no second way."""

    office: Office
    actions: Actions
    views: Views

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Method and path → page."""
        pages = {
            ("GET", "/controle"): self.flows,
            ("GET", "/controle/rejets"): self.refusals,
            ("GET", "/controle/medicaments"): self.medicines,
            ("POST", "/controle/medicaments"): self.withdraw,
            ("GET", "/controle/defauts"): self.faults,
            ("POST", "/controle/defauts"): self.change_faults,
        }
        return {key: Route(STAFF, page) for key, page in pages.items()}

    def flows(self, visit: Visit) -> Reply:
        """Counts, accounts by payer, the latest lots and payment returns."""
        ledger = self.office.state.ledger
        return self.views.page(
            visit, "flux", counts=listing.status(ledger), lots=listing.lots(ledger, _ROWS),
            returns=listing.returns(ledger, _ROWS),
        )  # fmt: skip

    def refusals(self, visit: Visit) -> Reply:
        """Messages that became no lot, lots refused, invoices refused."""
        ledger = self.office.state.ledger
        lots = [lot for lot in listing.lots(ledger, 1000) if not lot["positive"]]
        return self.views.page(
            visit, "rejets", messages=listing.refusals(ledger, _ROWS), lots=lots, claims=self._rejected()
        )

    def _rejected(self) -> list[dict[str, Any]]:
        """The latest invoices refused by a caisse or an insurer, with the text of their code."""
        found = []
        for book in BOOKS:
            rows = self.office.state.ledger.rows(
                "SELECT lot.received_at, c.practitioner, c.number, c.code, c.payer"  # noqa: S608
                f" FROM {book} c JOIN lot ON lot.id = c.lot WHERE c.decision = 'R'"
                " ORDER BY c.id DESC LIMIT ?",
                _ROWS,
            )
            found += [
                {"at": row[0], "practitioner": row[1], "number": row[2], "code": row[3],
                 "text": words.MOTIVES.get(row[3], ""), "payer": row[4]}
                for row in rows
            ]  # fmt: skip
        return sorted(found, key=lambda row: row["at"], reverse=True)

    def medicines(self, visit: Visit) -> Reply:
        """What was withdrawn here, and the form."""
        names = self.office.medicines
        return self.views.page(
            visit, "medicaments", names=names, withdrawn=self.office.state.withdrawals(),
            today=self.office.today.isoformat(),
        )  # fmt: skip

    def withdraw(self, visit: Visit) -> Reply:
        """An authorisation switched off from a day on, or on again."""
        code = visit.form.get("code", "")
        if visit.form.get("action") == "retablir":
            self.office.restore(code)
            return go(visit, "/controle/medicaments", "Le remboursement est rétabli.")
        since = words.read_day(visit.form.get("depuis", ""))
        self.office.withdraw(code, since)
        said = f"Ce médicament n'est plus remboursé à partir du {words.french_day(since)}."
        return go(visit, "/controle/medicaments", said)

    def faults(self, visit: Visit) -> Reply:
        """What is set, what can be set."""
        return self.views.page(visit, "defauts", **ask(self.actions, "GET", "/faults", Call()))

    def change_faults(self, visit: Visit) -> Reply:
        """One fault more, one less, or none."""
        name, action = visit.form.get("defaut", ""), visit.form.get("action", "")
        if action == "aucun":
            ask(self.actions, "DELETE", "/faults", Call())
        elif action == "retirer":
            ask(self.actions, "DELETE", "/faults/*", Call(name))
        else:
            ask(self.actions, "POST", "/faults", Call(body={"faults": [_fault(visit.form, name)]}))
        return go(visit, "/controle/defauts", "Les défauts en vigueur ont changé.")


def ask(actions: Actions, method: str, path: str, call: Call) -> dict[str, Any]:
    """One call of the receiver's API; InputError says why not."""
    try:
        answer = actions.routes[method, path](call)
    except ApiRefusal as refusal:
        raise InputError(str(refusal)) from None
    assert isinstance(answer, dict)
    return answer


def _fault(form: Mapping[str, str], name: str) -> str:
    """`name[=value][:count]`, as the API reads it."""
    value, count = form.get("valeur", "").strip(), form.get("nombre", "").strip()
    return f"{name}{'=' if value else ''}{value}{':' if count else ''}{count}"
