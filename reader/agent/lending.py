"""The agent's end at work: the slots of a local reader, lent over one connection until it ends.

One thread listens, one thread for each slot does what is asked of its card, in order; a person who types a
PIN or a card that computes keeps neither the other slot nor the signs of life waiting. When the connection
ends every card loses its power, and with it what was verified.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Protocol

from reader.agent.allowed import is_relayed, read_entry
from reader.agent.frames import Flag, Kind, LentSlot, Outcome, Reason
from reader.agent.machines import Asked, Cancelled, Ended, Event, Lender, Send, Welcomed
from reader.connection import Connection
from reader.errors import (
    CardMute,
    CardProtocolError,
    CardRemoved,
    NoCard,
    NoPinPad,
    ReaderError,
    SlotBusy,
    SlotTaken,
)
from reader.pinpad import SW_LENGTH, Digits, Entered, NotEntered, PinEntry
from reader.slot import Slot
from reader.stream import Clock, Stream

LOOK_SECONDS = 0.1
"""Between two looks at the slots: a person does not notice."""

WELCOME_SECONDS = 10.0
TYPING_SECONDS = 60
"""For a PIN that is typed at the agent's page or terminal, when the gateway asks for less: it must be
found first.
"""

MISSED = 3
"""Signs of life of the gateway that may be missing."""


class PinDesk(Protocol):
    """Where a person types the PIN when the reader has no pad."""

    def ask(self, slot: str, entry: PinEntry, cancelled: threading.Event) -> Digits | NotEntered:
        """The digits, or why there are none: the time is over, a person or the gateway cancelled."""
        ...

    def heard(self, slot: str, status: bytes) -> None:
        """What the card said of the digits: its status word."""
        ...


Say = Callable[[str], None]


@dataclass
class _Job:
    asked: Asked
    cancelled: threading.Event = field(default_factory=threading.Event)


class _Worker:
    """One lent slot: does what is asked of its card in a thread of its own."""

    def __init__(
        self, slot: Slot, pins: PinDesk | None, answer: Callable[[int, Outcome, bytes], None]
    ) -> None:
        self.slot = slot
        self._pins, self._answer = pins, answer
        self._connection: Connection | None = None
        self._held = False
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._open: dict[int, _Job] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"agent-{slot.name}", daemon=True)
        self._thread.start()

    def put(self, asked: Asked) -> None:
        """Do this after what waits already."""
        job = self._open[asked.request] = _Job(asked)
        self._jobs.put(job)

    def cancel(self, request: int) -> None:
        """The PIN of this request is not awaited any more."""
        if (job := self._open.get(request)) is not None:
            job.cancelled.set()

    def end(self) -> None:
        """No more work; a PIN that is being typed is not used."""
        self._ending.set()
        for job in tuple(self._open.values()):
            job.cancelled.set()
        self._jobs.put(None)

    def join(self, seconds: float) -> None:
        """Wait until the card has lost its power."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None and not self._ending.is_set():
                outcome, body = self._done(job)
                self._open.pop(job.asked.request, None)
                self._answer(job.asked.request, outcome, body)
        finally:
            self._leave()

    def _leave(self) -> None:
        with suppress(ReaderError):
            self._power_off()
        self._let_go()

    def _done(self, job: _Job) -> tuple[Outcome, bytes]:
        try:
            return self._carry_out(job)
        except ReaderError as wrong:
            return _outcome(wrong), b""

    def _carry_out(self, job: _Job) -> tuple[Outcome, bytes]:
        asked = job.asked
        if asked.kind is Kind.END:
            self._let_go()
            return Outcome.DONE, b""
        if asked.counter != self.slot.event_counter:
            return Outcome.GONE, b""
        if asked.kind is Kind.BEGIN:
            return self._keep()
        if asked.kind is Kind.POWER_ON:
            self._connection = None
            self._connection = self.slot.connect()
            return Outcome.DONE, self._connection.atr
        if asked.kind is Kind.POWER_OFF:
            self._power_off()
            return Outcome.DONE, b""
        return self._with_card(job)

    def _with_card(self, job: _Job) -> tuple[Outcome, bytes]:
        connection = self._connection
        if connection is None:
            return Outcome.TAKEN, b""
        if job.asked.kind is Kind.ENTER_PIN:
            return self._enter_pin(job, connection)
        if not is_relayed(job.asked.body):
            return Outcome.REFUSED, b""
        return Outcome.DONE, self.slot.exchange(connection, job.asked.body)

    def _enter_pin(self, job: _Job, connection: Connection) -> tuple[Outcome, bytes]:
        """The digits are asked for here; one VERIFY at most, and only its status word is answered."""
        entry = read_entry(job.asked.body)
        if entry is None:
            return Outcome.REFUSED, b""
        connection.check()
        if self.slot.has_pad:
            return Outcome.DONE, self.slot.verify_on_pad(connection, entry)[-2:]
        if self._pins is None:
            return Outcome.NO_PIN, b""
        entry = replace(entry, timeout_seconds=max(entry.timeout_seconds, TYPING_SECONDS))
        typed = self._pins.ask(self.slot.name, entry, job.cancelled)
        if isinstance(typed, NotEntered):
            return Outcome.DONE, typed.status
        try:
            if job.cancelled.is_set():
                return Outcome.TAKEN, b""
            if entry.objection(Entered(typed)) is not None:
                return Outcome.DONE, SW_LENGTH
            status = self.slot.exchange(connection, entry.fill(typed))[-2:]
            self._pins.heard(self.slot.name, status)
            return Outcome.DONE, status
        finally:
            typed.wipe()

    def _keep(self) -> tuple[Outcome, bytes]:
        """Other programs are kept from the card until `_let_go`, in this thread."""
        if not self._held:
            self.slot.owner.__enter__()
            self._held = True
        return Outcome.DONE, b""

    def _let_go(self) -> None:
        if self._held:
            self._held = False
            self.slot.owner.__exit__(None, None, None)

    def _power_off(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


_OUTCOMES: tuple[tuple[type[ReaderError], Outcome], ...] = (
    (NoCard, Outcome.GONE),
    (CardRemoved, Outcome.GONE),
    (SlotTaken, Outcome.TAKEN),
    (CardMute, Outcome.MUTE),
    (SlotBusy, Outcome.BUSY),
    (NoPinPad, Outcome.NO_PIN),
    (CardProtocolError, Outcome.NONSENSE),
)


def _outcome(wrong: ReaderError) -> Outcome:
    found = (outcome for kind, outcome in _OUTCOMES if isinstance(wrong, kind))
    return next(found, Outcome.BUSY if wrong.code == "card-in-use" else Outcome.BROKEN)


class Lending:
    """Slots lent over one connection. `run()` works until it ends; `stop()`, from any thread, ends it in
    order.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        stream: Stream,
        pins: PinDesk | None,
        say: Say = lambda _text: None,
        clock: Clock = time.monotonic,
        each_second: Callable[[], None] = lambda: None,
    ) -> None:
        self._each_second = each_second
        self._slots, self._stream, self._pins, self._say, self._clock = tuple(slots), stream, pins, say, clock
        self._machine = Lender(len(self._slots))
        self._guard = threading.Lock()
        self._workers: list[_Worker] = []
        self._shown: list[tuple[Flag, int]] = []
        self._patience = WELCOME_SECONDS
        self._stop: Reason | None = None
        self.is_welcome = False

    def run(self) -> Ended:
        """Lend until the line ends; why it did. OSError: the connection broke, or the gateway fell silent."""
        try:
            self._begin()
            return self._listen()
        finally:
            for worker in self._workers:
                worker.end()
            self._stream.close()
            for worker in self._workers:
                worker.join(5.0)

    def stop(self) -> None:
        """Say goodbye at the next look."""
        self._stop = Reason.STOPPING

    def _begin(self) -> None:
        self._shown = [self._look(slot) for slot in self._slots]
        lent = [LentSlot(slot.name, *shown) for slot, shown in zip(self._slots, self._shown, strict=True)]
        self._workers = [_Worker(slot, self._pins, self._answer) for slot in self._slots]
        self._stream.send(self._machine.hello(tuple(lent)))

    def _listen(self) -> Ended:
        heard = ticked = self._clock()
        while True:
            data = self._stream.receive(LOOK_SECONDS)
            now = self._clock()
            if data:
                heard = now
            elif now - heard > self._patience:
                raise TimeoutError("the gateway gives no sign of life")
            if now - ticked >= 1.0:
                self._machine.tick()
                self._each_second()
                ticked = now
            with self._guard:
                events = self._machine.feed(data)
            for event in events:
                if isinstance(event, Ended):
                    return event
                self._deal_with(event)
            if self.is_welcome:
                self._show_movements()
            if self._stop is not None:
                self._stream.send(self._machine.bye(self._stop))
                return Ended(self._stop, by_peer=False)

    def _deal_with(self, event: Event) -> None:
        if isinstance(event, Send):
            self._stream.send(event.data)
        elif isinstance(event, Welcomed):
            self.is_welcome, self._patience = True, event.alive * MISSED
            self._say("the gateway takes the slots")
        elif isinstance(event, Asked):
            self._workers[event.place].put(event)
        elif isinstance(event, Cancelled):
            for worker in self._workers:
                worker.cancel(event.request)

    def _answer(self, request: int, outcome: Outcome, body: bytes) -> None:
        with self._guard:
            data = self._machine.answer(request, outcome, body)
        if data:
            with suppress(OSError):  # the listening thread notices
                self._stream.send(data)

    def _show_movements(self) -> None:
        for place, slot in enumerate(self._slots):
            seen = self._look(slot)
            if seen != self._shown[place]:
                self._shown[place] = seen
                self._stream.send(self._machine.moved(place, *seen))

    def _look(self, slot: Slot) -> tuple[Flag, int]:
        """Counter first: a card that moves meanwhile has another one at the next look."""
        counter = slot.event_counter
        flags = Flag(0)
        if slot.is_present:
            flags |= Flag.PRESENT
            if slot.has_pad or self._pins is not None:
                flags |= Flag.PIN
            if slot.is_shared:
                flags |= Flag.SHARED
        return flags, counter
