"""Lots and their receipts: where each stands, the next attempt and why, closing, sending and releasing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import GatewayError, StoreError
from gateway.page.said import receipt_remedy, say
from gateway.page.views import Views
from gateway.page.visit import Reply, Route, Routes, Visit, go
from gateway.store.states import LotState
from reader.errors import ReaderError

PAGE = 25
_ID = re.compile(r"[0-9]{14}-[0-9]{6}-[0-9]{19}")


@dataclass(frozen=True)
class LotPages:
    """The pages of lots."""

    views: Views

    def routes(self) -> Routes:
        """Method and path → page."""
        return {
            ("GET", "/lots"): Route(self.listed),
            ("GET", "/lot/{}"): Route(self.one),
            ("POST", "/lots/fermer"): Route(self.close),
            ("POST", "/lots/envoyer"): Route(self.send),
            ("GET", "/lot/{}/relancer"): Route(self.ask_release),
            ("POST", "/lot/{}/relancer"): Route(self.release),
        }

    def listed(self, visit: Visit) -> Reply:
        """Lots, newest first."""
        room, after = visit.room, visit.query.get("suite", "")
        waiting = sum(len(group.numbers) for group in room.store.fse_waiting(room.id))
        page = room.lots(after=after, limit=PAGE)
        return self.views.page(
            visit,
            "lots",
            page=page,
            is_first=not after,
            waiting=waiting,
            lines=room.lines_down(),
            now=room.practice.clock.now(),
        )

    def one(self, visit: Visit) -> Reply:
        """One lot with its sheets and its ARL."""
        room, lot_id = visit.room, _id(visit)
        row = room.store.lot(room.id, lot_id)
        receipts = room.store.receipts(room.id, lot_id)
        return self.views.page(
            visit,
            "lot",
            row=row,
            sheets=room.store.fse_of_lot(room.id, lot_id),
            receipts=[
                (one, "" if one.positive else receipt_remedy(visit.texts, one.error_class))
                for one in receipts
            ],
        )

    def close(self, visit: Visit) -> Reply:
        """Close lots now; the CPS at the desk signs them."""
        try:
            made = visit.room.close_lots()
        except (GatewayError, ReaderError) as refusal:
            return go("/lots", visit, say(visit.texts, refusal).text)
        return go("/lots", visit, visit.texts.count("lots.closed", len(made)))

    def send(self, visit: Visit) -> Reply:
        """Send what is due now."""
        sent, failed, _why = visit.room.send_now()
        t = visit.texts
        words = t.count("lots.sent", sent) + (" " + t.count("lots.failed", failed) if failed else "")
        return go("/lots", visit, words)

    def ask_release(self, visit: Visit) -> Reply:
        """Really? The same bytes leave again."""
        row = visit.room.store.lot(visit.room.id, _id(visit))
        if row.state is not LotState.PARKED:
            raise StoreError("this lot is not parked", code="state")
        return self.views.page(visit, "relancer", row=row)

    def release(self, visit: Visit) -> Reply:
        """Put a parked lot back into the queue."""
        lot_id = _id(visit)
        visit.room.release(lot_id)
        return go(f"/lot/{lot_id}", visit, visit.texts("lots.released"))


def _id(visit: Visit) -> str:
    if not _ID.fullmatch(visit.parts[0]):
        raise StoreError("no lot has this id", code="unknown")
    return visit.parts[0]
