"""What a practice must not forget: today's sheets, what is due by the legal clocks, what needs a hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.certificates import expiries
from gateway.exchange.calendar import legal_day
from gateway.page.room import LOOK, OPEN_LOTS, Room
from gateway.page.texts import Texts
from gateway.page.words import day, moment
from gateway.store.rows import FseRow
from gateway.store.states import FseState, LotState

UNSENT = (FseState.AWAITING_CPS, FseState.SIGNED, FseState.IN_LOT)
REFUSED = (FseState.REJECTED, FseState.PAYMENT_REJECTED)


@dataclass(frozen=True)
class Need:
    """What needs a hand: a sentence, where to go, and how bad it is (`bad`, `wait`)."""

    text: str
    path: str
    tone: str = "bad"
    action: str = ""


def sheets_of_today(room: Room) -> list[FseRow]:
    """The sheets made on this day, newest first."""
    return list(room.sheets(on=room.today, limit=LOOK).rows)


def needs_of(room: Room, t: Texts) -> list[Need]:
    """Everything that waits for a person, worst first."""
    return [*_sheets(room, t), *_lots(room, t), *_certificates(room, t)]


def _sheets(room: Room, t: Texts) -> Iterator[Need]:
    if refused := len(room.sheets(REFUSED, limit=LOOK).rows):
        yield Need(t.count("need.refused", refused), "/a-reprendre")
    unsent = room.sheets(UNSENT, limit=LOOK).rows
    if late := sum(row.deadline < room.today for row in unsent):
        yield Need(t.count("need.late", late), "/feuilles?etat=a-envoyer")
    if waiting := sum(row.state is FseState.AWAITING_CPS for row in unsent):
        yield Need(t.count("need.waiting", waiting), "/feuilles?etat=AWAITING_CPS", "wait", "sign")


def _lots(room: Room, t: Texts) -> Iterator[Need]:
    rows = room.lots(OPEN_LOTS, limit=LOOK).rows
    if parked := sum(row.state is LotState.PARKED for row in rows):
        yield Need(t.count("need.parked", parked), "/a-reprendre#lots")
    if overdue := sum(row.state is LotState.OVERDUE for row in rows):
        yield Need(t.count("need.overdue", overdue), "/lots", "wait")
    if down := [one for one in room.lines_down() if one.is_held]:
        first = min(down, key=lambda one: one.since)
        since, following = moment(first.since), moment(first.next_attempt_at)
        yield Need(t("need.unreached", since=since, next=following), "/lots#lignes", "wait")


def _certificates(room: Room, t: Texts) -> Iterator[Need]:
    """Those of the practice and of the receiver, and the CPS in its slot while it is unlocked."""
    desk, practice = room.desk, room.practice
    cps = desk.cps.certificate if desk is not None and desk.is_unlocked else None
    for one in expiries(practice, practice.clock.now(), cps):
        if one.is_near:
            what = _what_ends(t, one.what)
            ends = day(legal_day(one.ends))
            yield Need(t("need.ends", what=what, on=ends), "", "bad" if one.days_left < 0 else "wait")


_NAMED = ("the authority's certificate", "the revocation list of")
"""What ends and is followed by a name."""


def _what_ends(t: Texts, what: str) -> str:
    for kind in _NAMED:
        if what.startswith(kind):
            return t(f"expiry.{kind}", name=what.removeprefix(kind).strip())
    return t.of("expiry", what, what)
