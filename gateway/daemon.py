"""The gateway at work all day: takes care acts, makes lots, sends, collects, and stops in good order.

Three loops run side by side, so that a slow receiver never keeps a patient waiting: the desk (acts, lots),
sending, collecting. They share only the durable store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from gateway.delivery import Mailbox, Sender, Sent, collect, send_due
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.inbox import Inbox
from gateway.lots.sealing import SealedLot
from gateway.office import accepted, bill_act, unlock
from gateway.paper import write_twins
from gateway.pipeline import make_lots
from gateway.practice import Practice
from gateway.returns import opener
from reader.console import said
from reader.errors import ReaderError

Say = Callable[[str], None]

DAY_SECONDS = 86_400.0
REMINDER_SECONDS = 600.0
GRACE_SECONDS = 2.0
"""How long a lot that is being sent may still take when the gateway is told to stop."""


class Line(Sender, Protocol):
    """A sender that can be told to stop (gateway.exchange.smtp.SmtpSender)."""

    def abort(self) -> None:
        """End what is being sent, from another thread."""
        ...


@dataclass
class Daemon:
    """One practice, one desk. `run(stop)` works until told to stop; `turn()` does once all that is due.

    `refresh` reads lists again that have changed; `lot_after`:
    how long the oldest kept FSE waits for company before its lot is closed; `paper`: the folder of the paper
    twins. `pin_pad`: a CPS that was put
    back is asked for its PIN on the reader's own pad, once each time it is put in.
    `has_api`: software may give the PIN, close lots and send them meanwhile.
    """

    practice: Practice
    desk: Desk
    inbox: Inbox
    sender: Line
    mailbox: Mailbox
    say: Say
    refresh: Callable[[Practice], Practice] = lambda practice: practice
    lot_after: timedelta = timedelta(minutes=30)
    retention_days: int = 90
    paper: Path | None = None
    pause: float = 0.5
    pin_pad: bool = False
    has_api: bool = False
    _line: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _sealing: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _lots_at: float = -DAY_SECONDS
    _forgot_at: float = -DAY_SECONDS
    _complaints: dict[str, float] = field(default_factory=dict, repr=False)
    _asked_at: int = -1
    _unanswered: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; what is in hand is finished first."""
        self._stop = stop
        for name in self.inbox.interrupted():
            self.say(f"care act {name} was interrupted: look at `status` before handing it in again")
        with ThreadPoolExecutor(2, thread_name_prefix="gateway") as pool:
            beside = [pool.submit(self._loop, work, stop) for work in (self._send, self._collect)]
            try:
                self._loop(self._desk_turn, stop)
            finally:
                self.desk.lock()
                self._end(beside)
        for loop in beside:
            loop.result()

    def _end(self, beside: list[Future[None]]) -> None:
        """Let what is being sent end; a relay that is too slow gets the same bytes after the next start."""
        left = wait(beside, GRACE_SECONDS).not_done
        while left:
            self.sender.abort()
            left = wait(left, self.pause).not_done

    def turn(self) -> None:
        """One pass: acts, lots, sending, returns. One part that fails does not stop the others."""
        for work in (self._desk_turn, self._send, self._collect):
            self._guarded(work)

    def _loop(self, work: Callable[[], None], stop: threading.Event) -> None:
        """Until told to stop. One loop that breaks stops the others: half a gateway helps nobody."""
        try:
            while not stop.is_set():
                self._guarded(work)
                stop.wait(self.pause)
        finally:
            stop.set()

    def _desk_turn(self) -> None:
        self._guarded(self._refresh)
        self._guarded(self._unlock_again)
        for name in list(self._unanswered):
            self._guarded(partial(self._hand_out, name))
        for name in self.inbox.waiting():
            if self._stop.is_set():
                return
            self._guarded(partial(self._answer, name))
        self._guarded(self._write_twins)
        self._guarded(self._close_lots)
        self._forget()

    def _write_twins(self) -> None:
        """Paper twins that are not in their folder yet; those of an interrupted run too."""
        if self.paper is not None:
            for path in write_twins(self.practice.store, self.practice.id, self.paper):
                self.say(f"paper twin {path.name} written: print it for the insured person")

    def _forget(self) -> None:
        """Once a day: bodies whose legal time is over."""
        now = self.practice.clock.monotonic()
        if now - self._forgot_at >= DAY_SECONDS:
            self._forgot_at = now
            self.practice.store.forget_bodies(self.practice.clock.now(), self.retention_days)

    def _refresh(self) -> None:
        self.practice = self.refresh(self.practice)

    def _unlock_again(self) -> None:
        """A CPS that was put back before a PIN pad: its PIN is asked there, and a refusal is said."""
        movements = self.desk.cps_movements
        if not self.pin_pad or self._asked_at == movements or not self.desk.has_cps:
            return
        if not self.desk.is_unlocked:
            self.say("type the PIN of the CPS on the pad of its reader")
            self._asked_at = movements
            unlock(self.practice, self.desk)
            self.say("CPS unlocked")
        self._asked_at = movements

    def _answer(self, name: str) -> None:
        """Bill one act of the inbox and write its answer."""
        if (trouble := self.desk.trouble) is not None:
            self._complain(f"care acts wait: {trouble}")
            return
        needed = self.inbox.cards_needed(name)
        if "cps" in needed and not self.desk.is_unlocked:
            self._complain(f"care acts wait: {self._locked()}")
            return
        if "vitale" in needed and not self.desk.has_vitale:
            self._complain("care acts wait: the Vitale slot is empty, insert the patient's card")
            return
        self._complaints.clear()
        self.inbox.take(name)
        answer = self._unanswered[name] = self._bill(name)
        self.say(
            f"care act {name}: " + (f"FSE {answer['number']}" if answer["accepted"] else answer["reason"])
        )
        self._hand_out(name)

    def _locked(self) -> str:
        if not self.desk.has_cps:
            return "the CPS slot is empty, insert the CPS"
        if self.has_api:
            return "the CPS is locked, give its PIN through the API (POST /v1/session)"
        again = "take the CPS out and put it back" if self.pin_pad else "start vitale-gateway serve again"
        return f"the CPS asks for its PIN again, {again}"

    def _hand_out(self, name: str) -> None:
        """Write the answer; an inbox that does not take it now is asked again at the next turn."""
        self.inbox.answer(name, self._unanswered[name])
        del self._unanswered[name]

    def _bill(self, name: str) -> dict[str, Any]:
        try:
            billed = bill_act(self.practice, self.desk, self.inbox.read(name))
        except (GatewayError, ReaderError) as refusal:
            return {"accepted": False, "code": refusal.code, "reason": str(refusal)}
        return accepted(billed)

    def _close_lots(self) -> None:
        now = self.practice.clock.monotonic()
        if now - self._lots_at < self.lot_after.total_seconds() or not self.desk.is_unlocked:
            return
        self._lots_at = now
        self.close_lots()

    def close_lots(self) -> list[SealedLot]:
        """Lots of every kept FSE of the CPS at the desk, now; CardRefusal when it is locked."""
        with self._sealing:
            made = make_lots(self.practice, self.desk.cps)
        for lot in made:
            self.say(f"lot {lot.lot_number} sealed: {lot.count} FSE for {lot.recipient}")
        return made

    def send_now(self) -> Sent:
        """One pass of sending; a pass that is under way is waited for."""
        with self._line:
            return send_due(self.practice.store, self.sender, self.practice.clock, self.practice.rng)

    def _send(self) -> None:
        done = self.send_now()
        if done.sent or done.failed or done.parked or done.overdue:
            self.say(
                f"lots: {done.sent} sent, {done.failed} to send again, "
                f"{done.parked} parked, {done.overdue} overdue" + (f" ({done.why})" if done.why else "")
            )

    def _collect(self) -> None:
        done = collect(self.practice.store, self.mailbox, opener(self.practice), self.practice.id)
        if done.posted or done.unmatched or done.unreadable:
            self.say(
                f"returns: {done.posted} posted, {done.unmatched} unmatched, {done.unreadable} unreadable"
            )

    def _complain(self, sentence: str) -> None:
        """Say what is wrong once, not at every turn, and again when it lasts."""
        now = self.practice.clock.monotonic()
        if now - self._complaints.get(sentence, -DAY_SECONDS) >= REMINDER_SECONDS:
            self._complaints[sentence] = now
            self.say(sentence)

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except (GatewayError, ReaderError) as problem:
            self._complain(str(problem))
        except OSError as problem:
            self._complain(f"{said(problem)}: correct this; the rest goes on")
