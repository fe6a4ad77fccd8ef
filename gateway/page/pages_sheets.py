"""Sheets: the list with search and pages, one with its history, what was refused, and what mends it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.errors import GatewayError, StoreError
from gateway.page.pages_new import may_mend, number_of, read_number
from gateway.page.room import Room
from gateway.page.said import payment_remedy, receipt_remedy, say
from gateway.page.texts import Texts
from gateway.page.views import Views
from gateway.page.visit import TEXT, Reply, Route, Routes, Visit, go
from gateway.page.watch import REFUSED, UNSENT
from gateway.store.rows import FseRow
from gateway.store.states import FseState, LotState
from reader.errors import ReaderError

PAGE = 25
GROUPS: Mapping[str, tuple[FseState, ...]] = {
    "a-envoyer": UNSENT,
    "en-route": (FseState.SENT,),
    "acceptees": (FseState.ACCEPTED,),
    "payees": (FseState.PAID,),
    "refusees": REFUSED,
}
_REJECTED = re.compile(r"rejected by the receiver: class \w+, code \w+(?: \([^)]*\))?: (.+)", re.DOTALL)
_MAY_CANCEL = (FseState.SIGNED, FseState.AWAITING_CPS)


@dataclass(frozen=True)
class Refused:
    """A refused sheet: what was said of it, and what to do."""

    row: FseRow
    code: str
    said: str
    remedy: str
    by: str


@dataclass(frozen=True)
class SheetPages:
    """Everything about sheets that are there."""

    views: Views

    def routes(self) -> Routes:
        """Method and path → page."""
        return {
            ("GET", "/feuilles"): Route(self.listed),
            ("GET", "/a-reprendre"): Route(self.mend),
            ("GET", "/feuille/{}"): Route(self.one),
            ("GET", "/feuille/{}/papier"): Route(self.twin),
            ("GET", "/feuille/{}/papier.txt"): Route(self.twin_file),
            ("GET", "/feuille/{}/annuler"): Route(self.ask_cancel),
            ("POST", "/feuille/{}/annuler"): Route(self.cancel),
            ("GET", "/feuille/{}/refaire"): Route(self.ask_again),
            ("POST", "/feuille/{}/refaire"): Route(self.again),
        }

    def listed(self, visit: Visit) -> Reply:
        """Sheets, newest first, those of a state when one is chosen; a number typed goes straight to it."""
        query, room = visit.query, visit.room
        if number := query.get("numero", "").strip():
            return go(f"/feuille/{read_number(number.lstrip('0'))}")
        group, after, on = query.get("etat", ""), query.get("suite", ""), _day(query.get("jour", ""))
        page = room.sheets(_states(group), after=after, limit=PAGE, on=on)
        return self.views.page(
            visit, "feuilles", page=page, group=group, groups=tuple(GROUPS), is_first=not after, on=on
        )

    def mend(self, visit: Visit) -> Reply:
        """What was refused and what is parked, each with the button that mends it."""
        room, after = visit.room, visit.query.get("suite", "")
        page = room.sheets(REFUSED, after=after, limit=PAGE)
        return self.views.page(
            visit,
            "reprendre",
            refused=[refused(room, visit.texts, row) for row in page.rows],
            page=page,
            is_first=not after,
            parked=room.lots((LotState.PARKED,), limit=100).rows,
        )

    def one(self, visit: Visit) -> Reply:
        """One sheet: amounts, where it stands, what was said of it, what may be done."""
        room, number = visit.room, number_of(visit)
        row = room.store.fse(room.id, number)
        return self.views.page(
            visit,
            "feuille",
            row=row,
            history=room.store.history(number, room.id),
            payments=room.store.payments_of(room.id, number),
            refused=refused(room, visit.texts, row) if may_mend(row.state) else None,
            may_cancel=row.state in _MAY_CANCEL,
            has_twin=row.mode in (1, 5),
            today=room.today,
        )

    def twin(self, visit: Visit) -> Reply:
        """The paper twin, to print. It holds names and a NIR."""
        number = number_of(visit)
        return self.views.page(visit, "papier", number=number, text=_twin(visit, number))

    def twin_file(self, visit: Visit) -> Reply:
        """The same as a text."""
        number = number_of(visit)
        text = _twin(visit, number)
        return Reply(text.encode("utf-8"), media=TEXT, filename=f"feuille-{number:09d}.txt")

    def ask_cancel(self, visit: Visit) -> Reply:
        """Really? A number that is withdrawn does not come back."""
        return self._ask(visit, "cancel", _MAY_CANCEL)

    def cancel(self, visit: Visit) -> Reply:
        """Withdraw a sheet that is in no lot yet."""
        number = number_of(visit)
        visit.room.cancel(number)
        return go(f"/feuille/{number}", visit, visit.texts("cancel.done", n=number))

    def ask_again(self, visit: Visit) -> Reply:
        """Really the same once more?"""
        return self._ask(visit, "again", REFUSED)

    def again(self, visit: Visit) -> Reply:
        """Make a refused sheet anew as it was."""
        number = number_of(visit)
        try:
            done = visit.room.rectify(visit.form.get("unique", ""), number, None)
        except (GatewayError, ReaderError) as refusal:
            sentence = say(visit.texts, refusal).text
            return self._ask(visit, "again", (*REFUSED, FseState.RECTIFIED), sentence)
        return go(f"/feuille/{done.number}", visit, visit.texts("again.done", n=done.number, old=number))

    def _ask(self, visit: Visit, kind: str, states: tuple[FseState, ...], wrong: str = "") -> Reply:
        room, number = visit.room, number_of(visit)
        row = room.store.fse(room.id, number)
        if row.state not in states:
            raise StoreError("this sheet is not in a state that allows it", code="state")
        values: dict[str, Any] = {
            "row": row,
            "kind": kind,
            "wrong": wrong,
            "unique": room.practice.rng(16).hex(),
        }
        return self.views.page(visit, "confirmer", 409 if wrong else 200, **values)


def refused(room: Room, t: Texts, row: FseRow) -> Refused:
    """The latest refusal of this sheet, in words."""
    if row.state is FseState.PAYMENT_REJECTED:
        lines = [line for line in room.store.payments_of(room.id, row.number) if not line.paid]
        code, said = (lines[-1].code, lines[-1].text) if lines else ("", row.reason)
        return Refused(row, code, said, payment_remedy(t, code), "payment")
    receipts = [one for one in room.store.receipts(room.id, row.lot_id or "") if not one.positive]
    last = receipts[-1] if receipts else None
    error_class, code = (last.error_class, last.code) if last else ("", "")
    said, remedy = organism_words(row.reason), receipt_remedy(t, error_class)
    return Refused(row, f"{error_class} {code}".strip(), said, remedy, "receipt")


def organism_words(reason: str) -> str:
    """What the organism itself wrote in a negative ARL, without the words that the store puts before it."""
    match = _REJECTED.fullmatch(reason)
    return reason if match is None else match[1]


def _states(group: str) -> tuple[FseState, ...]:
    if group in GROUPS:
        return GROUPS[group]
    return (FseState(group),) if group in FseState.__members__ else ()


def _day(text: str) -> date | None:
    """The day that is searched; None for what is no day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _twin(visit: Visit, number: int) -> str:
    text = visit.room.store.twin_of(visit.room.id, number)
    visit.room.note(f"paper twin of {number} shown")
    return text
