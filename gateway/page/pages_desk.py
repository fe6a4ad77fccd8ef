"""The desk: what is in the slots, the PIN of the CPS, today's sheets, what is due, what needs a hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import GatewayError
from gateway.page.said import say
from gateway.page.usual import favourites
from gateway.page.views import Views
from gateway.page.visit import Reply, Route, Routes, Visit, go
from gateway.page.watch import needs_of, sheets_of_today
from gateway.secret import Secret
from gateway.store.rows import FseRow
from reader.errors import ReaderError


@dataclass(frozen=True)
class DeskPages:
    """The first page and its forms."""

    views: Views

    def routes(self) -> Routes:
        """Method and path → page."""
        return {
            ("GET", "/"): Route(self.desk),
            ("GET", "/morceau/bureau"): Route(self.piece),
            ("POST", "/session/ouvrir"): Route(self.unlock),
            ("POST", "/session/fermer"): Route(self.lock),
            ("POST", "/signer-en-attente"): Route(self.sign_waiting),
        }

    def desk(self, visit: Visit) -> Reply:
        """The whole page."""
        return self.views.page(visit, "bureau", **_values(visit))

    def piece(self, visit: Visit) -> Reply:
        """What changes of it, for the script that refreshes it."""
        return self.views.page(visit, "_bureau", **_values(visit))

    def unlock(self, visit: Visit) -> Reply:
        """The PIN, typed here or on the reader's pad. It goes to the card and nowhere else."""
        form, pin = visit.form, None
        if form.get("comment") != "clavier":
            typed = form.get("pin", "")
            if not (typed.isascii() and typed.isdigit() and len(typed) == 4):
                return self._refused(visit, visit.texts("pin.format"))
            pin = Secret(typed)
        try:
            visit.room.unlock(pin, last_try="dernier" in form)
        except (GatewayError, ReaderError) as refusal:
            return self._refused(visit, say(visit.texts, refusal).text)
        return go("/", visit, visit.texts("pin.opened"))

    def lock(self, visit: Visit) -> Reply:
        """Close the practitioner's session."""
        visit.room.lock()
        return go("/", visit, visit.texts("pin.closed"))

    def sign_waiting(self, visit: Visit) -> Reply:
        """The CPS signs what waits for it."""
        try:
            done = visit.room.sign_waiting()
        except (GatewayError, ReaderError) as refusal:
            return self._refused(visit, say(visit.texts, refusal).text)
        return go("/", visit, visit.texts.count("waiting.signed", done))

    def _refused(self, visit: Visit, sentence: str) -> Reply:
        return self.views.page(visit, "bureau", 409, **{**_values(visit), "wrong": sentence})


def _values(visit: Visit) -> Mapping[str, Any]:
    room = visit.room
    cps, vitale = room.sight.cps(), room.sight.vitale()
    usual = {
        one.number: favourites(cps.specialty, room.tables, one.age) if cps.state == "open" else ()
        for one in vitale.people
    }
    sheets = sheets_of_today(room)
    return {
        "cps": cps,
        "vitale": vitale,
        "vitale_error": say(visit.texts, vitale.error).text if vitale.error else "",
        "cps_error": say(visit.texts, cps.error).text if cps.error else "",
        "usual": usual,
        "sheets": sheets,
        "totals": _totals(sheets),
        "due": room.due(),
        "needs": needs_of(room, visit.texts),
        "today": room.today,
        "now": room.practice.clock.now(),
        "wrong": "",
    }


def _totals(sheets: list[FseRow]) -> Mapping[str, int]:
    alive = [row for row in sheets if row.state not in ("CANCELLED", "RECTIFIED")]
    return {
        "count": len(alive),
        "charged": sum(row.base_cents + row.excess_cents for row in alive),
        "patient": sum(row.patient_cents for row in alive),
    }
