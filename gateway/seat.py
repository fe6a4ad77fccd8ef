"""One practice at work in this gateway: its reader with two cards, its inbox, its mailbox.

A seat without a reader takes no care acts from its inbox: its sheets are made at another gateway of the same
store, or come through the API in a mode that needs no card. A reader that is not there yet is waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from gateway.cards.cps import PinRefusal
from gateway.complaints import Complaints, Say
from gateway.delivery import Collected, Mailbox, collect
from gateway.desk import Desk
from gateway.errors import CardRefusal, GatewayError, StoreError
from gateway.inbox import Inbox
from gateway.lease import ReaderLease
from gateway.log import Event
from gateway.lots.sealing import SealedLot
from gateway.office import accepted, bill_act, unlock
from gateway.paper import write_twins
from gateway.pipeline import make_lots
from gateway.practice import Practice
from gateway.returns import opener
from gateway.secret import Secret
from reader.errors import ReaderError

NEVER = float("-inf")
OPEN_AGAIN_SECONDS = 2.0
"""Between two tries to open a reader that is not there."""

PIN_SECONDS = 600.0
"""How long a PIN that was typed at start waits for its reader and its CPS."""


@dataclass
class Seat:
    """One practice. `turn()` does once what is due at the desk, `collect()` what is in the mailbox.

    `reader`: the name of its reader in the settings; `desk`: None without one, or as long as it is not there:
    then `opens` opens it (ReaderError while it cannot), under the `lease` when gateways share a store.
    `refresh` reads lists again that have changed. `lot_after`: how long the oldest kept FSE waits for company
    before its lot is closed; `paper`: the folder of the paper twins. `pin_pad`: a CPS that was put back is
    asked for its PIN on the reader's own pad, once each time it is put in. `has_api`: software may give the
    PIN, close lots and send them meanwhile.
    """

    practice: Practice
    desk: Desk | None
    inbox: Inbox
    mailbox: Mailbox
    say: Say
    _: KW_ONLY
    reader: str = "reader"
    driver: str = "emulated"
    opens: Callable[[], Desk] | None = None
    lease: ReaderLease | None = None
    refresh: Callable[[Practice], Practice] = lambda practice: practice
    lot_after: timedelta = timedelta(minutes=30)
    paper: Path | None = None
    pin_pad: bool = False
    has_api: bool = False
    refused: Callable[[str], None] = lambda code: None
    """Told the code of every care act of the inbox that is refused."""
    beat: Callable[[], None] = lambda: None
    """Told between two pieces of work: the desk lives."""
    pin_guard: threading.Lock = field(default_factory=threading.Lock, repr=False)
    tries_left: dict[int, int] = field(default_factory=dict)
    """Movements of the CPS → tries that it has left, after a wrong PIN."""
    trouble: str = ""
    """Why the reader of the settings is not open."""
    _pin: Secret | None = field(default=None, repr=False)
    _pin_until: float = NEVER
    _sealing: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _opened_at: float = NEVER
    _lots_at: float = NEVER
    _asked_at: int = -1
    _unanswered: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    complaints: Complaints = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.complaints = Complaints(self.say, self.practice.clock)

    @property
    def id(self) -> str:
        """The short name of the practice."""
        return self.practice.id

    @property
    def has_reader(self) -> bool:
        """Whether the settings give this practice a reader here, open or not."""
        return self.desk is not None or self.opens is not None

    @property
    def at_desk(self) -> Desk:
        """The desk; CardRefusal no-reader says why there is none."""
        if self.desk is not None:
            return self.desk
        why = self.trouble or "this gateway has no reader for it: use the gateway that has"
        raise CardRefusal(f"The practice {self.id} has no desk here: {why}", code="no-reader")

    def hold(self, pin: Secret) -> None:
        """Keep a PIN that was typed before its reader or its CPS is there, for the first CPS that comes.

        It is presented once, and forgotten after that or after ten minutes.
        """
        self._pin, self._pin_until = pin, self.practice.clock.monotonic() + PIN_SECONDS

    def turn(self, stop: threading.Event) -> None:
        """Once through what is due at the desk. One part that fails does not stop the others."""
        guard = self.complaints.guard
        guard(self.look)
        guard(self._keep_reader)
        guard(self._open)
        if self.desk is None:
            return
        guard(self._use_held_pin)
        guard(self._unlock_again)
        for name in list(self._unanswered):
            guard(partial(self._hand_out, name))
        for name in self.inbox.waiting():
            guard(self._keep_reader)
            if stop.is_set() or self.desk is None:
                return
            self.beat()
            guard(partial(self._answer, name))
        guard(self._write_twins)
        guard(self._close_lots_in_time)

    def look(self) -> None:
        """Take over lists that have changed."""
        self.practice = self.refresh(self.practice)

    def collect(self) -> Collected:
        """Once through the mailbox."""
        done = collect(self.practice.store, self.mailbox, opener(self.practice), self.id)
        if done.posted or done.unmatched or done.unreadable:
            says = f"returns: {done.posted} posted, {done.unmatched} unmatched, {done.unreadable} unreadable"
            level = "warning" if done.unmatched or done.unreadable else "info"
            self.say(Event(says, "returns-posted", level, practice=self.id, posted=done.posted))
        return done

    def close_lots(self) -> list[SealedLot]:
        """Lots of every kept FSE of the CPS at the desk, now; CardRefusal when it is locked."""
        with self._sealing:
            made = make_lots(self.practice, self.at_desk.cps)
        for lot in made:
            says = f"lot {lot.lot_number} sealed: {lot.count} FSE for {lot.recipient}"
            self.say(Event(says, "lot-sealed", practice=self.id, lot=lot.id))
        return made

    def unlock(self, pin: Secret | None = None) -> None:
        """Open the CPS at this desk with a PIN, or one typed on its pad; recorded, as a refusal is."""
        try:
            unlock(self.practice, self.at_desk, pin)
        except PinRefusal:
            self._note("PIN refused")
            raise
        self._note("session opened")

    def _note(self, what: str) -> None:
        self.practice.store.audit(what, f"{self.id}/desk", practice=self.id)

    def leave(self) -> None:
        """End in good order: the CPS is locked, a PIN that waits is forgotten."""
        self._pin = None
        if self.desk is None:
            return
        if self.desk.is_unlocked:
            with suppress(GatewayError):  # a store that takes no more keeps no CPS open
                self._note("session closed")
        self.desk.lock()
        if self.opens is not None:  # opened here
            self.desk.close()
        if self.lease is not None:
            with suppress(GatewayError):  # it ends by itself
                self.lease.give_back()

    def interrupted(self) -> None:
        """Say which care acts an earlier run was stopped in."""
        for name in self.inbox.interrupted():
            self.say(f"care act {name} was interrupted: look at `status` before handing it in again")

    def open(self) -> None:
        """Open the reader now; ReaderError or GatewayError says why it cannot be."""
        if self.opens is None or self.desk is not None:
            return
        with self._opening:
            try:
                if self.lease is not None:
                    self.lease.take()
                self.desk, self.trouble = self.opens(), ""
            except (ReaderError, GatewayError) as problem:
                self.trouble = str(problem)
                raise

    def _keep_reader(self) -> None:
        """A reader that is another gateway's now is used no longer."""
        if self.lease is None or self.desk is None:
            return
        try:
            self.lease.keep()
        except StoreError as problem:
            desk, self.desk, self.trouble = self.desk, None, str(problem)
            desk.lock()
            desk.close()
            raise

    def _open(self) -> None:
        """Try again to open a reader that was not there."""
        now = self.practice.clock.monotonic()
        if self.opens is None or self.desk is not None or now - self._opened_at < OPEN_AGAIN_SECONDS:
            return
        self._opened_at = now
        try:
            self.open()
        except (ReaderError, GatewayError) as problem:
            self.complaints.say(f"the reader {self.reader} is waited for: {problem}")
            return
        self.say(f"the reader {self.reader} is there")

    def _use_held_pin(self) -> None:
        """The PIN that was typed at start, for the first CPS that comes."""
        desk, pin = self.at_desk, self._pin
        if pin is None:
            return
        late = self.practice.clock.monotonic() >= self._pin_until
        if not late and not desk.has_cps:
            return
        self._pin = None
        if late:
            self.say("no CPS came within ten minutes: its PIN is forgotten and has to be given again")
            return
        self.unlock(pin)
        self.say(Event("CPS unlocked", "cps-unlocked", practice=self.id))

    def _unlock_again(self) -> None:
        """A CPS that was put back before a PIN pad: its PIN is asked there, and a refusal is said."""
        desk = self.at_desk
        movements = desk.cps_movements
        if not self.pin_pad or self._asked_at == movements or not desk.has_cps:
            return
        if not desk.is_unlocked:
            self.say("type the PIN of the CPS on the pad of its reader")
            self._asked_at = movements
            self.unlock()
            self.say(Event("CPS unlocked", "cps-unlocked", practice=self.id))
        self._asked_at = movements

    def _answer(self, name: str) -> None:
        """Bill one act of the inbox and write its answer."""
        desk = self.at_desk
        if (trouble := desk.trouble) is not None:
            self.complaints.say(f"care acts wait: {trouble}")
            return
        needed = self.inbox.cards_needed(name)
        if "cps" in needed and not desk.is_unlocked:
            self.complaints.say(f"care acts wait: {self._locked(desk)}")
            return
        if "vitale" in needed and not desk.has_vitale:
            self.complaints.say("care acts wait: the Vitale slot is empty, insert the patient's card")
            return
        self.complaints.clear()
        self.inbox.take(name)
        answer = self._unanswered[name] = self._bill(desk, name)
        self.say(self._told(name, answer))
        self._hand_out(name)

    def _told(self, name: str, answer: dict[str, Any]) -> Event:
        """What became of one act of the inbox."""
        if answer["accepted"]:
            says = f"care act {name}: FSE {answer['number']}"
            return Event(says, "act-billed", practice=self.id, fse=answer["number"])
        says = f"care act {name}: {answer['reason']}"
        return Event(says, "act-refused", "warning", practice=self.id, code=answer["code"])

    def _locked(self, desk: Desk) -> str:
        if not desk.has_cps:
            return "the CPS slot is empty, insert the CPS"
        if self.has_api:
            return "the CPS is locked, give its PIN through the API (POST /v1/session)"
        again = "take the CPS out and put it back" if self.pin_pad else "start vitale-gateway serve again"
        return f"the CPS asks for its PIN again, {again}"

    def _hand_out(self, name: str) -> None:
        """Write the answer; an inbox that does not take it now is asked again at the next turn."""
        self.inbox.answer(name, self._unanswered[name])
        del self._unanswered[name]

    def _bill(self, desk: Desk, name: str) -> dict[str, Any]:
        try:
            billed = bill_act(self.practice, desk, self.inbox.read(name))
        except (GatewayError, ReaderError) as refusal:
            self.refused(refusal.code)
            return {"accepted": False, "code": refusal.code, "reason": str(refusal)}
        return accepted(billed)

    def _write_twins(self) -> None:
        """Paper twins that are not in their folder yet; those of an interrupted run too."""
        if self.paper is not None:
            for path in write_twins(self.practice.store, self.id, self.paper):
                self.say(f"paper twin {path.name} written: print it for the insured person")

    def _close_lots_in_time(self) -> None:
        now = self.practice.clock.monotonic()
        if now - self._lots_at < self.lot_after.total_seconds() or not self.at_desk.is_unlocked:
            return
        self._lots_at = now
        self.close_lots()
