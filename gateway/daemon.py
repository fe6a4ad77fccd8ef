"""The gateway at work all day: takes care acts, makes lots, sends, collects, and stops in good order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gateway.care import CareAct
from gateway.delivery import Mailbox, Sender, collect, send_due
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.inbox import Inbox
from gateway.pipeline import Billed, bill, make_lots
from gateway.practice import Practice
from gateway.returns import opener
from reader.errors import ReaderError

Say = Callable[[str], None]


@dataclass
class Daemon:
    """One practice, one desk. `turn()` does once all that is due; `run(stop)` turns until told to stop.

    `refresh` reads lists again that have changed; `lot_after`:
    how long the oldest kept FSE waits for company before its lot is closed.
    """

    practice: Practice
    desk: Desk
    inbox: Inbox
    sender: Sender
    mailbox: Mailbox
    say: Say
    refresh: Callable[[Practice], Practice] = lambda practice: practice
    lot_after: timedelta = timedelta(minutes=30)
    pause: float = 0.5
    _lots_at: float = -1e9
    _complaint: str = ""

    def run(self, stop: threading.Event) -> None:
        """Turn until `stop` is set; the turn in hand is finished first."""
        for name in self.inbox.interrupted():
            self.say(f"care act {name} was interrupted: look at `status` before handing it in again")
        while not stop.is_set():
            self._guarded(self.turn)
            stop.wait(self.pause)
        self.desk.lock()

    def turn(self) -> None:
        """One pass: acts, lots, sending, returns. One part that fails does not stop the others."""
        self._guarded(self._refresh)
        for name in self.inbox.waiting():
            self._answer(name)
        self._guarded(self._close_lots)
        self._guarded(self._send)
        self._guarded(self._collect)

    def _refresh(self) -> None:
        self.practice = self.refresh(self.practice)

    def _answer(self, name: str) -> None:
        """Bill one act of the inbox and write its answer."""
        if not self.desk.is_unlocked:
            self._complain("care acts wait: the CPS is not in its slot or its PIN was not given")
            return
        if not self.desk.has_vitale:
            self._complain("care acts wait: the Vitale slot is empty, insert the patient's card")
            return
        self._complaint = ""
        answer = self._bill(name)
        self.inbox.answer(name, answer)
        self.say(
            f"care act {name}: " + (f"FSE {answer['number']}" if answer["accepted"] else answer["reason"])
        )

    def _bill(self, name: str) -> dict[str, Any]:
        try:
            act = CareAct.from_json(self.inbox.take(name))
            with self.desk.vitale() as vitale:
                billed = bill(self.practice, self.desk.cps, vitale, act)
        except (GatewayError, ReaderError) as refusal:
            return {"accepted": False, "code": refusal.code, "reason": str(refusal)}
        return accepted(billed)

    def _close_lots(self) -> None:
        now = self.practice.clock.monotonic()
        if now - self._lots_at < self.lot_after.total_seconds() or not self.desk.is_unlocked:
            return
        self._lots_at = now
        for lot in make_lots(self.practice, self.desk.cps):
            self.say(f"lot {lot.lot_number} sealed: {lot.count} FSE for {lot.recipient}")

    def _send(self) -> None:
        done = send_due(self.practice.store, self.sender, self.practice.clock, self.practice.rng)
        if done.sent or done.failed or done.parked or done.overdue:
            self.say(
                f"lots: {done.sent} sent, {done.failed} to send again, "
                f"{done.parked} parked, {done.overdue} overdue"
            )

    def _collect(self) -> None:
        done = collect(self.practice.store, self.mailbox, opener(self.practice), self.practice.id)
        if done.posted or done.unmatched or done.unreadable:
            self.say(
                f"returns: {done.posted} posted, {done.unmatched} unmatched, {done.unreadable} unreadable"
            )

    def _complain(self, sentence: str) -> None:
        """Say the same thing once, not at every turn."""
        if sentence != self._complaint:
            self._complaint = sentence
            self.say(sentence)

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except (GatewayError, ReaderError) as problem:
            self._complain(str(problem))


def accepted(billed: Billed) -> dict[str, Any]:
    """The answer to a care act that was kept."""
    return {
        "accepted": True,
        "number": billed.number,
        "destination": billed.destination,
        **billed.price.to_json(),
    }
