"""A new sheet: patient, acts, conditions, the price with its reasons, the signature; a refused one anew.

The usual act is two clicks: the button on the desk opens this page filled in and priced, `Signer` signs.
Every button sends the whole form and shows it again, so that all of it works without a script; the script
only asks for the price while one types. The key in the form makes one sheet of a double click.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.billing.engine import Price
from gateway.billing.request import PATHWAYS
from gateway.errors import GatewayError, StoreError
from gateway.page import french
from gateway.page.care_form import MODES, ON_PAPER, ActLine, CareForm, lines_of
from gateway.page.room import Room
from gateway.page.said import Said, say
from gateway.page.sight import VitaleSeen
from gateway.page.usual import favourites
from gateway.page.views import Views
from gateway.page.visit import Reply, Route, Routes, Visit, go
from gateway.page.words import typed
from gateway.store.states import FseState
from reader.errors import ReaderError

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_KEY = re.compile(r"[0-9a-f]{32}")
HABITS = ("tiers", "parcours", "situation")
"""What the next sheet begins with, as the last one of this browser had it."""


@dataclass(frozen=True)
class Choice:
    """An act that may be billed today: for the list that is searched by code and by words."""

    code: str
    words: str


@dataclass(frozen=True)
class NewPages:
    """The form of a sheet, in its three uses."""

    views: Views

    def routes(self) -> Routes:
        """Method and path → page."""
        return {
            ("GET", "/feuille/nouvelle"): Route(self.begin),
            ("POST", "/feuille/nouvelle"): Route(self.act),
            ("POST", "/morceau/prix"): Route(self.price),
            ("GET", "/feuille/{}/corriger"): Route(self.begin_mending),
            ("POST", "/feuille/{}/corriger"): Route(self.act),
        }

    def begin(self, visit: Visit) -> Reply:
        """The form, filled with what the address names and what this browser chose last."""
        query, habits = visit.query, visit.who.habits
        form = CareForm(visit.room.today.isoformat(), key=_new_key(visit.room))
        form = _with_habits(form, habits)
        if query.get("mode") in MODES:
            form = replace(form, mode=query["mode"])
        form = replace(form, personne=query.get("personne", "1"), acts=_first_acts(visit))
        return self._show(visit, form)

    def begin_mending(self, visit: Visit) -> Reply:
        """The form of a refused sheet, filled with the care act it was made from."""
        number = number_of(visit)
        kept = visit.room.store.act_of(visit.room.id, number)
        visit.room.store.check_rectifiable(visit.room.id, number)
        if not kept:
            raise StoreError("the care act of this sheet is not kept any more", code="no-act")
        form = CareForm.of_act(json.loads(kept), visit.texts.language)
        return self._show(visit, replace(form, key=_new_key(visit.room)), mends=number)

    def act(self, visit: Visit) -> Reply:
        """Any button of the form: change it, price it, or sign."""
        form = CareForm.of_form(visit.form, visit.room.today.isoformat())
        mends = number_of(visit) if visit.parts else 0
        do = visit.form.get("faire", "prix")
        if not _KEY.fullmatch(form.key):  # nothing is signed under a key that no second click could share
            form, do = replace(form, key=_new_key(visit.room)), "prix" if do == "signer" else do
        if do != "signer":
            return self._show(visit, form.changed(do, ActLine()), mends)
        return self._sign(visit, form, mends)

    def price(self, visit: Visit) -> Reply:
        """The price alone, for the script."""
        form = CareForm.of_form(visit.form, visit.room.today.isoformat())
        return self.views.page(visit, "_prix", **_priced(visit, form), banner=None)

    def _sign(self, visit: Visit, form: CareForm, mends: int) -> Reply:
        room, t = visit.room, visit.texts
        try:
            act = form.to_corrected(_kept(visit.room, mends)) if mends else form.to_act()
            done = room.rectify(form.key, mends, act) if mends else room.bill(form.key, act)
        except (GatewayError, ReaderError) as refusal:
            return self._show(visit, form, mends, say(t, refusal))
        visit.who.habits.update({name: getattr(form, name) for name in HABITS})
        key = "new.done-paper" if form.mode in ON_PAPER else "new.done"
        return go(f"/feuille/{done.number}", visit, t(key, n=done.number))

    def _show(self, visit: Visit, form: CareForm, mends: int = 0, wrong: Said | None = None) -> Reply:
        room = visit.room
        cps, vitale = room.sight.cps(), room.sight.vitale()
        specialty = cps.specialty if cps.state == "open" else ""
        values = {
            **_priced(visit, form),
            "form": form,
            "banner": None,
            "mends": mends,
            "cps": cps,
            "vitale": vitale,
            "favourites": favourites(specialty, room.tables, _age(form, vitale)) if specialty else (),
            "choices": _choices(room, visit, specialty),
            "pathways": PATHWAYS,
            "modes": MODES,
            "today": room.today,
            "specialty": specialty,
        }
        if wrong is not None:
            values |= {"wrong": wrong, "banner": wrong}
        return self.views.page(visit, "nouvelle", 200 if wrong is None else 409, **values)


def _with_habits(form: CareForm, habits: Mapping[str, str]) -> CareForm:
    return replace(
        form,
        tiers=habits.get("tiers", form.tiers),
        parcours=habits.get("parcours", form.parcours),
        situation=habits.get("situation", form.situation),
    )


def _age(form: CareForm, vitale: VitaleSeen) -> int | None:
    return next((one.age for one in vitale.people if str(one.number) == form.personne), None)


def number_of(visit: Visit) -> int:
    """The number in the address; StoreError (unknown) for what is none."""
    return read_number(visit.parts[0])


def read_number(text: str) -> int:
    """The number of a sheet as it is typed; StoreError (unknown) for what is none."""
    if not _NUMBER.fullmatch(text):
        raise StoreError("no sheet has this number", code="unknown")
    return int(text)


def may_mend(state: FseState) -> bool:
    """Whether a sheet may be made anew."""
    return state in (FseState.REJECTED, FseState.PAYMENT_REJECTED)


def _kept(room: Room, number: int) -> Mapping[str, Any]:
    """The care act that a sheet was made from; nothing of it when it is not kept any more."""
    kept: Mapping[str, Any] = json.loads(room.store.act_of(room.id, number) or b"{}")
    return kept


def _first_acts(visit: Visit) -> tuple[ActLine, ...]:
    return lines_of(visit.query.get("actes", "")) or (ActLine(),)


def _new_key(room: Room) -> str:
    return room.practice.rng(16).hex()


def _priced(visit: Visit, form: CareForm) -> Mapping[str, Any]:
    """The price of what is typed, or why there is none yet."""
    t = visit.texts
    nothing = {"price": None, "why": (), "wrong": None, "missing": ""}
    if not any(line.code.strip() for line in form.acts):
        return {**nothing, "missing": "price.no-act"}
    if form.mode in ON_PAPER and not form.attestation.get("nir"):
        return {**nothing, "missing": "price.no-attestation"}
    try:
        price: Price = visit.room.price(form.to_act())
    except (GatewayError, ReaderError) as refusal:
        if refusal.code in ("pin-needed", "card-needed", "no-card", "no-reader"):
            return {**nothing, "missing": f"price.{refusal.code}"}
        return {**nothing, "wrong": say(t, refusal)}
    reasons = tuple(french.why(t, sentence) for sentence in price.why)
    return {**nothing, "price": price, "why": reasons}


def _choices(room: Room, visit: Visit, specialty: str) -> list[Choice]:
    """Every act that this specialty bills today, by code; without a CPS those of everybody."""
    found = []
    for code, rows in sorted(room.tables.acts.items()):
        mine = [row for row in rows if not specialty or specialty in row.specialties]
        if mine:
            words = french.label(visit.texts, mine[0].label)
            cents = mine[0].cents
            price = "" if cents is None else f" · {typed(cents, visit.texts.language)} €"
            found.append(Choice(code, words[:1].upper() + words[1:] + price))
    return found
