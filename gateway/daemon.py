"""The gateway at work all day: takes care acts, makes lots, sends, collects, and stops in good order.

Loops run side by side, so that a slow receiver never keeps a patient waiting, and one practice no other: one
for each desk (acts, lots), one for sending, one for collecting from every mailbox, and one that watches them
and the clock. They share only the durable store.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import KW_ONLY, dataclass, field
from datetime import date
from functools import partial
from typing import Protocol

from gateway.clock import Clock
from gateway.clock_watch import ClockWatch
from gateway.complaints import Complaints, Say
from gateway.delivery import RELAY, Sender, Sent, receipt_due, send_due
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.exchange.breaker import Lane
from gateway.exchange.calendar import legal_day
from gateway.lists import OppositionSource
from gateway.log import Event
from gateway.lots.sealing import SealedLot
from gateway.metrics import CLOCK_STEPS, REFUSALS, RETRIES, SENDS, Metrics
from gateway.practice import Practice
from gateway.pulse import Pulse
from gateway.seat import NEVER, Seat
from gateway.service_manager import ServiceManager
from gateway.store.rows import LotRow
from gateway.store.states import LotState
from gateway.store.store import Store

DAY_SECONDS = 86_400.0
GRACE_SECONDS = 2.0
"""How long a lot that is being sent may still take when the gateway is told to stop."""

WATCH_SECONDS = 1.0
BREAK_SECONDS = 60.0
"""How long a desk rests after a mistake of the program, while the other practices go on."""


class Line(Sender, Protocol):
    """A sender that can be told to stop (gateway.exchange.smtp.SmtpSender)."""

    def abort(self) -> None:
        """End what is being sent, from another thread."""
        ...


@dataclass
class Daemon:
    """The practices of one gateway. `run(stop)` works until told to stop; `turn()` does once all that is due.

    `sends`: False when another gateway of the same store sends and collects. `source`: who is asked for the
    opposition list. `again`: a second connection to the relay, for what failed before; `relay`: its name as
    a line of the exchange.
    """

    seats: Sequence[Seat]
    sender: Line
    say: Say
    _: KW_ONLY
    retention_days: int = 90
    pause: float = 0.5
    sends: bool = True
    source: OppositionSource | None = None
    again: Line | None = None
    relay: str = RELAY
    manager: ServiceManager = field(default_factory=ServiceManager)
    pulse: Pulse = field(init=False, repr=False)
    complaints: Complaints = field(init=False, repr=False)
    clock_watch: ClockWatch = field(init=False, repr=False)
    metrics: Metrics = field(init=False, repr=False)
    _line: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _again: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _failure: GatewayError | None = None
    _forgot_at: float = NEVER
    _late_day: date | None = None

    def __post_init__(self) -> None:
        self.pulse = Pulse(self.clock)
        self.complaints = Complaints(self.say, self.clock)
        self.clock_watch = ClockWatch(self.clock)
        self.metrics = Metrics(self.clock)
        for seat in self.seats:
            seat.beat = partial(self.pulse.beat, _desk_loop(seat))
            seat.refused = partial(self.metrics.count, REFUSALS, "desk")

    @property
    def practice(self) -> Practice:
        """The first practice; all of them share clock, store and tables."""
        return self.seats[0].practice

    @property
    def desk(self) -> Desk:
        """The desk of the first practice; CardRefusal no-reader when it has none."""
        return self.seats[0].at_desk

    @property
    def clock(self) -> Clock:
        """The clock that everything here goes by."""
        return self.practice.clock

    @property
    def store(self) -> Store:
        """What is kept."""
        return self.practice.store

    def seat(self, practice: str) -> Seat | None:
        """The seat of a practice; None when it is not of this gateway."""
        return next((seat for seat in self.seats if seat.id == practice), None)

    def fail(self, why: GatewayError) -> None:
        """A part beside the loops cannot go on: the gateway stops in good order, and `run` raises this."""
        self._failure = why
        self._stop.set()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; what is in hand is finished first."""
        self._stop = stop
        if self._failure is not None:  # before the work began
            stop.set()
        self._guarded(self._catch_up)
        for seat in self.seats:
            if seat.has_reader:
                self._guarded(seat.interrupted)
        works = self._works()
        with ThreadPoolExecutor(len(works), thread_name_prefix="gateway") as pool:
            loops = [pool.submit(self._loop, name, work, stop) for name, work in works.items()]
            try:
                self.manager.ready()
                self.manager.status(f"practices: {len(self.seats)}, loops at work: {len(works)}")
                self._watch(stop)
            finally:
                stop.set()
                self.manager.stopping()
                self._end(loops)
        for loop in loops:
            loop.result()
        if self._failure is not None:
            raise self._failure

    def turn(self) -> None:
        """One pass of everything. One part that fails does not stop the others."""
        for work in self._works().values():
            self._guarded(work)

    def close_lots(self) -> list[SealedLot]:
        """Lots of every kept FSE at every desk whose CPS is unlocked."""
        return [lot for seat in self.seats if seat.desk is not None for lot in seat.close_lots()]

    def send_now(self, of: str | None = None) -> Sent:
        """One pass of sending; a pass that is under way is waited for. `of`: tell of this practice's lots."""
        if self.again is None:
            return self._pass(self.sender, "send", Lane.ALL, of)
        fresh = self._pass(self.sender, "send", Lane.FRESH, of)
        return fresh.and_also(self._pass(self.again, "send again", Lane.AGAIN, of))

    def _pass(self, sender: Sender, loop: str, lane: Lane, of: str | None = None) -> Sent:
        with self._again if lane is Lane.AGAIN else self._line:
            beating = _Beating(sender, partial(self.pulse.beat, loop))
            return send_due(
                self.store, beating, self.clock, self.practice.rng,
                relay=self.relay, lane=lane, of=of, told=self._sent,
            )  # fmt: skip

    def _sent(self, lot: LotRow, state: LotState) -> None:
        outcome = {LotState.SENT: "sent", LotState.PARKED: "parked"}.get(state, "failed")
        self.metrics.count(SENDS, outcome)
        says = f"lot {lot.id}: {outcome}"
        self.say(Event(says, "lot-tried", "debug", practice=lot.practice, lot=lot.id))
        if lot.attempts or lot.sends or lot.failing_since is not None:
            self.metrics.count(RETRIES)

    def _works(self) -> dict[str, Callable[[], None]]:
        """What each loop does at every turn."""
        desks = {_desk_loop(seat): partial(self._turn, seat) for seat in self.seats if seat.has_reader}
        beside = {"send": self._send, "collect": self._collect} if self.sends else {}
        if self.sends and self.again is not None:
            beside["send again"] = self._send_again
        lists = {"lists": self._fetch} if self.source is not None else {}
        return {**desks, **beside, **lists, "keep": self._keep}

    def _turn(self, seat: Seat) -> None:
        if seat.desk is not None:
            seat.desk.watch = self.metrics.of_card
        seat.turn(self._stop)

    def _loop(self, name: str, work: Callable[[], None], stop: threading.Event) -> None:
        """Until told to stop. One loop that breaks stops the others: half a gateway helps nobody.

        The desk of one practice among several only rests, and is tried again: the others go on.
        """
        seat = next((seat for seat in self.seats if _desk_loop(seat) == name), None)
        try:
            while not stop.is_set():
                self.pulse.beat(name)
                try:
                    self._guarded(work)
                except Exception as mistake:
                    if seat is None or len(self.seats) == 1:
                        raise
                    self._rest(seat, name, mistake, stop)
                stop.wait(self.pause)
        except BaseException:
            stop.set()
            raise
        finally:
            self.pulse.ended(name)
            if seat is not None:
                seat.leave()

    def _rest(self, seat: Seat, name: str, mistake: Exception, stop: threading.Event) -> None:
        """A mistake of the program at one desk: where it was is said, nothing that was being worked on."""
        frame = traceback.extract_tb(mistake.__traceback__)[-1]
        where = f"{type(mistake).__name__} at {frame.name}, line {frame.lineno}"
        seat.say(f"this desk made a mistake ({where}): please report it; it goes on in a minute")
        end = self.clock.monotonic() + BREAK_SECONDS
        while not stop.wait(self.pause) and self.clock.monotonic() < end:
            self.pulse.beat(name)

    def _end(self, loops: list[Future[None]]) -> None:
        """Let what is being sent end; a relay that is too slow gets the same bytes after the next start."""
        left = wait(loops, GRACE_SECONDS).not_done
        while left:
            for sender in (self.sender, self.again):
                if sender is not None:
                    sender.abort()
            left = wait(left, self.pause).not_done

    def _watch(self, stop: threading.Event) -> None:
        """Tell the service manager that every loop lives, as long as that is so."""
        while not stop.wait(min(WATCH_SECONDS, self.pause)):
            hanging = self.pulse.hanging()
            if hanging:
                sentence = f"no sign of life from the loop {', '.join(hanging)}"
                self.manager.status(sentence)
                self.complaints.say(sentence)
            else:
                self.manager.alive()

    def _keep(self) -> None:
        """What belongs to no practice: the clock, and bodies whose legal time is over."""
        step = self.clock_watch.look()
        if step is not None:
            self._stepped(step)
        self._guarded(self._look_for_late)
        now = self.clock.monotonic()
        if now - self._forgot_at >= DAY_SECONDS and not self.clock_watch.leapt_lately:
            self._forgot_at = now
            self.store.forget_bodies(self.clock.now(), self.retention_days)
        for seat in self.seats:
            if not seat.has_reader:  # at the others, their desk does it before each act
                seat.complaints.guard(seat.look)

    def _look_for_late(self) -> None:
        """Once a legal day: FSE that had to leave and have not are told, each by its number."""
        today = legal_day(self.clock.now())
        if today == self._late_day:
            return
        for one in self.store.note_late():
            self.say(Event(one.says(), "fse-late", "warning", practice=one.practice, fse=one.number))
        self._late_day = today

    def _stepped(self, seconds: float) -> None:
        """The clock was set, or the machine slept: recorded for every practice, and nothing waits for it."""
        self.metrics.count(CLOCK_STEPS)
        says = f"the clock stepped by {seconds:+.0f} s: deadlines follow the new time"
        self.say(Event(says, "clock-stepped", "warning", seconds=round(seconds)))
        now = self.clock.now()
        self.store.clock_stepped(now, receipt_due(now), seconds, [seat.id for seat in self.seats])

    def _catch_up(self) -> None:
        """What an earlier run left far ahead, because its clock was."""
        now = self.clock.now()
        if self.store.clock_stepped(now, receipt_due(now)):
            self.say("the clock was ahead before this start: what waited for that time is due in time again")

    def _send(self) -> None:
        lane = Lane.ALL if self.again is None else Lane.FRESH
        self._tell(self._pass(self.sender, "send", lane))

    def _send_again(self) -> None:
        """What failed before, and lines that are held: beside new work, which does not wait for it."""
        if self.again is not None:
            self._tell(self._pass(self.again, "send again", Lane.AGAIN))

    def _tell(self, done: Sent) -> None:
        if done.sent or done.failed or done.parked or done.overdue:
            says = (
                f"lots: {done.sent} sent, {done.failed} to send again, "
                f"{done.parked} parked, {done.overdue} overdue" + (f" ({done.why})" if done.why else "")
            )
            level = "warning" if done.failed or done.parked or done.overdue else "info"
            self.say(Event(says, "lots-sent", level, sent=done.sent, failed=done.failed, parked=done.parked))

    def _collect(self) -> None:
        for seat in self.seats:
            if self._stop.is_set():
                return
            self.pulse.beat("collect")
            seat.complaints.guard(seat.collect)

    def _fetch(self) -> None:
        """A newer opposition list; the desks take it up by themselves."""
        newer = self.source.look() if self.source is not None else None
        if newer is not None:
            says = f"opposition list {newer.number} of {newer.issued:%Y-%m-%d %H:%M} UTC: {len(newer)} cards"
            self.say(Event(says, "opposition-list", number=newer.number))

    def _guarded(self, part: Callable[[], None]) -> None:
        self.complaints.guard(part)


class _Beating:
    """A sender that gives a sign of life at every mail."""

    def __init__(self, sender: Sender, beat: Callable[[], None]) -> None:
        self._sender, self._beat = sender, beat

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Hand one mail to the relay."""
        self._beat()
        self._sender.send(envelope_from, envelope_to, raw)
        self._beat()


def _desk_loop(seat: Seat) -> str:
    return f"desk {seat.id}"
