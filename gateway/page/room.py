"""One practice as its pages see it: its seat at the gateway, what is in the slots, each write done once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway import later
from gateway.api.service import Answer, Keep, Service, Write
from gateway.api.tokens import Caller
from gateway.billing.engine import Price
from gateway.billing.tables import DayTables
from gateway.cards.cps import PinRefusal
from gateway.desk import Desk
from gateway.errors import CardRefusal
from gateway.exchange.breaker import Breaker, domain_line
from gateway.exchange.calendar import legal_day
from gateway.lots.sealing import SealedLot
from gateway.office import accepted, bill_act, unlock
from gateway.page.sight import Sight
from gateway.practice import Practice
from gateway.preview import preview
from gateway.seat import Seat
from gateway.secret import Secret
from gateway.store.figures import Due, LatePayment, Month, Statement
from gateway.store.lists import Page, PaymentMatch, Wanted
from gateway.store.rows import FseRow, LotRow, Unmatched
from gateway.store.states import FseState, LotState
from gateway.store.store import Store

NAME = "page"
"""Who asked, in the audit trail and among the idempotency keys."""


OPEN_LOTS = (LotState.SEALED, LotState.SENDING, LotState.OVERDUE, LotState.PARKED)
"""Lots that have not arrived yet."""

LOOK = 500
"""So many of the newest rows are looked at to count them for the desk."""


@dataclass(frozen=True)
class Kept:
    """What a form did: the answer that is kept under its key."""

    content: Mapping[str, Any]

    @property
    def number(self) -> int:
        """The number of the sheet it made."""
        return int(self.content["number"])


class Room:
    """A practice behind the page. `sight` remembers what the inserted Vitale says while it is in its slot."""

    def __init__(self, service: Service, practice: str) -> None:
        self._service, self._caller = service, Caller(NAME, practice)
        self.sight = Sight(self)

    @property
    def id(self) -> str:
        """The short name of the practice."""
        return self._caller.practice

    @property
    def seat(self) -> Seat:
        """This practice at work in the gateway; Refusal other-practice when it is none of its practices."""
        return self._service.seat_of(self._caller)

    @property
    def practice(self) -> Practice:
        """The practice at work, with its present lists."""
        return self.seat.practice

    @property
    def desk(self) -> Desk | None:
        """The reader and its two cards; None when this practice has none here."""
        return self.seat.desk

    @property
    def store(self) -> Store:
        """What is kept."""
        return self._service.store

    @property
    def today(self) -> date:
        """The day in France."""
        return legal_day(self.practice.clock.now())

    @property
    def tables(self) -> DayTables:
        """The tables of today in the zone of the practice."""
        return self.practice.tables.on(self.today, self.practice.zone)

    @property
    def stopping(self) -> bool:
        """Whether the gateway ends: streams end with it."""
        return self._service.stop.is_set()

    def own_desk(self) -> Desk:
        """The desk; CardRefusal when there is none."""
        return self.seat.at_desk

    # The practitioner's session

    def unlock(self, pin: Secret | None, *, last_try: bool) -> None:
        """Give the PIN, or have it typed on the reader's pad (None); `last_try`: even if it may block.

        CardRefusal or ReaderError says what is wrong; the CPS is locked then.
        """
        seat, desk = self.seat, self.own_desk()
        movements = desk.cps_movements
        with seat.pin_guard:
            if seat.tries_left.get(movements) == 1 and not last_try:
                raise CardRefusal("One try is left before the CPS blocks.", code="last-try")
            try:
                unlock(seat.practice, desk, pin)
            except PinRefusal as wrong:
                seat.tries_left = {movements: wrong.remaining_tries}
                self.note("PIN refused")
                raise
            seat.tries_left = {}
        self.note("session opened")

    @property
    def is_last_try(self) -> bool:
        """Whether one wrong PIN more blocks the CPS that is in its slot."""
        return self.desk is not None and self.seat.tries_left.get(self.desk.cps_movements) == 1

    def lock(self) -> None:
        """Close the practitioner's session: the card forgets the PIN."""
        self.own_desk().lock()
        self.note("session closed")

    def note(self, what: str) -> None:
        """One record of the audit trail: who did what at this desk."""
        self.store.audit(what, f"{self.id}/desk", who=NAME, practice=self.id)

    # Sheets

    def price(self, act: Mapping[str, Any]) -> Price:
        """What this care act would come to, with the cards that are there. Nothing is kept."""
        return preview(self.practice, self.own_desk(), act, self.sight.rights)

    def bill(self, key: str, act: Mapping[str, Any]) -> Kept:
        """Make one sheet, once under this key."""

        def work(keep: Keep) -> None:
            bill_act(self.practice, self.own_desk(), act, lambda billed: keep(Answer(201, accepted(billed))))

        return self._once(key, {"bill": act}, work)

    def rectify(self, key: str, number: int, act: Mapping[str, Any] | None) -> Kept:
        """Make a refused sheet anew, once under this key; `act` None: as it was."""

        def work(keep: Keep) -> None:
            later.rectify(
                self.practice,
                self.own_desk(),
                number,
                act,
                lambda billed: keep(Answer(201, accepted(billed))),
            )

        return self._once(key, {"rectify": number, "act": act}, work)

    def cancel(self, number: int) -> None:
        """Withdraw a sheet that is in no lot yet."""
        self.store.cancel(self.id, number, f"cancelled by {NAME}")

    def sign_waiting(self) -> int:
        """The CPS signs every sheet that waits for it; how many."""
        desk = self.own_desk()

        def signed(_number: int) -> None:
            if desk.sitting is not None:
                desk.sitting.count()

        return later.sign_waiting(self.practice, desk.cps, signed)

    # Lots

    def close_lots(self) -> list[SealedLot]:
        """Close lots of every sheet that waits for company."""
        return self.seat.close_lots()

    def send_now(self) -> tuple[int, int, str]:
        """One pass of sending: how many lots left, how many did not, and why the first of these did not."""
        done = self._service.daemon.send_now()
        return done.sent, done.failed + done.parked, done.why

    def release(self, lot_id: str) -> None:
        """Put a parked lot back into the queue; StoreError when this practice has none of this id."""
        self.store.lot(self.id, lot_id)
        self.store.release(lot_id, f"released by {NAME}")

    # What people look at

    def sheets(
        self, states: Sequence[FseState] = (), *, after: str = "", limit: int = 25, on: date | None = None
    ) -> Page[FseRow]:
        """Sheets, newest first: those in one of these states, those of one day."""
        return self.store.fse_page(self.id, Wanted(on, on, after, limit), states)

    def lots(self, states: Sequence[LotState] = (), *, after: str = "", limit: int = 25) -> Page[LotRow]:
        """Lots, newest first."""
        return self.store.lot_page(self.id, Wanted(None, None, after, limit), states)

    def payments(self, *, after: str = "", limit: int = 25) -> Page[PaymentMatch]:
        """What payment returns said of sheets, newest first."""
        return self.store.payments_matched(self.id, Wanted(None, None, after, limit))

    def lines_down(self) -> list[Breaker]:
        """Lines of the exchange that fail and matter here: the relay, and the domains that our lots go to."""
        mine = {domain_line(row.recipient) for row in self.lots(OPEN_LOTS, limit=LOOK).rows}
        return [
            one for one in self.store.breakers() if one.name in mine or one.name == self._service.daemon.relay
        ]

    def due(self, limit: int = 12) -> Due:
        """What must leave or be answered soon, by its legal day."""
        return self.store.due(self.id, self.today, limit)

    def late_payments(self, limit: int = 100) -> list[LatePayment]:
        """Shares that were accepted a while ago and are not paid, the oldest first."""
        return self.store.late_payments(self.id, self.today, limit=limit)

    def statement(self, first: date, practitioner: str) -> Statement:
        """A month of one professional, or of all of them ("")."""
        return self.store.statement(self.id, first.year, first.month, practitioner)

    def months(self, count: int) -> list[Month]:
        """The figures of the last months, the present one last."""
        return self.store.months(self.id, self.today, count)

    def strays(self, limit: int = 50) -> list[Unmatched]:
        """Returns that moved nothing and wait for a person."""
        return self.store.unmatched(limit, self.id)

    def _once(self, key: str, asked: Mapping[str, Any], work: Callable[[Keep], None]) -> Kept:
        body = json.dumps(asked, sort_keys=True).encode()
        write = Write(self._caller, key, self._service.digest("PAGE", "/", body))
        return Kept(json.loads(bytes(self._service.once(write, work).body)))
