"""The gateway's end at work: one connection to one agent. Requests from any thread, each with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from reader.agent.frames import Kind, LentSlot, Outcome, Reason
from reader.agent.machines import Alive, Answered, Borrower, Ended, Event, Greeted, Moved, Send
from reader.pinpad import SW_CANCELLED
from reader.stream import Clock, Stream

GREETING_SECONDS = 5.0
ALIVE_SECONDS = 10
"""The agent is asked for a sign of life after so much silence, and the line is given up after twice that."""

LOOK_SECONDS = 1.0
PROBE_SECONDS = 2.0

Answer = tuple[Outcome, bytes]


class LinkEnded(OSError):
    """The connection to the agent is over: what was asked may have been done or not."""


@dataclass(frozen=True, slots=True)
class _Waiter:
    """Somebody waits for an answer about the card in a slot."""

    kind: Kind
    place: int
    answers: SimpleQueue[Answer | None] = field(default_factory=SimpleQueue)


class Link:
    """A connection whose agent has been admitted. `run` reads it to its end in the caller's thread."""

    def __init__(self, stream: Stream, clock: Clock = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._machine = Borrower()
        self._guard = threading.Lock()
        self._waiting: dict[int, _Waiter] = {}
        self._counters: dict[int, int | None] = {}  # slot → counter of the card that is in it
        self._alive = threading.Condition()
        self._signs = 0
        self._over = threading.Event()

    @property
    def is_over(self) -> bool:
        """True once nothing passes any more."""
        return self._over.is_set()

    def greeted(self) -> tuple[LentSlot, ...]:
        """Wait for the agent's greeting; its slots. OSError when none comes in time, or what comes is not
        one.
        """
        end = self._clock() + GREETING_SECONDS
        while (left := end - self._clock()) > 0:
            for event in self._heard(self._stream.receive(min(left, LOOK_SECONDS))):
                if isinstance(event, Greeted):
                    return event.slots
                self._common(event)
        raise LinkEnded("the agent does not introduce itself")

    def welcome(self) -> None:
        """Take the slots that were offered."""
        self._send(self._machine.welcome(ALIVE_SECONDS))

    def run(self, moved: Callable[[Moved], None], look: Callable[[], Reason | None]) -> Reason:
        """Read until the end; why it came. `look` is called every second and may say why to hang up."""
        try:
            return self._follow(moved, look)
        except OSError:
            ended = self._machine.ended
            return Reason.SILENT if ended is None else ended.reason
        finally:
            self.end()

    def _follow(self, moved: Callable[[Moved], None], look: Callable[[], Reason | None]) -> Reason:
        heard = pinged = looked = ticked = self._clock()
        while True:
            data = self._stream.receive(LOOK_SECONDS)
            now = self._clock()
            if data:
                heard = pinged = now
            elif now - heard > 2 * ALIVE_SECONDS:
                self.hang_up(Reason.SILENT)
            elif now - pinged > ALIVE_SECONDS:
                self._ping()
                pinged = now
            for event in self._heard(data):
                if isinstance(event, Moved):
                    moved(event)
                else:
                    self._common(event)
            if now - looked >= LOOK_SECONDS:
                looked, why = now, look()
                if why is not None:
                    self.hang_up(why)
            if now - ticked >= 1.0:
                self._machine.tick()
                ticked = now
            if self._machine.ended is not None:
                return self._machine.ended.reason

    def ask(self, kind: Kind, place: int, counter: int, body: bytes, seconds: float) -> Answer:
        """One request and what became of it. TimeoutError: no answer in time.

        LinkEnded: the line is over, or the card with this counter has left its slot.
        """
        waiter = _Waiter(kind, place)
        with self._guard:
            if self._over.is_set() or self._machine.ended is not None:
                raise LinkEnded("the agent is away")
            if self._counters.get(place) != counter:
                raise LinkEnded("the card has left")
            try:
                number, data = self._machine.ask(kind, place, counter, body)
            except ValueError as wrong:
                raise OSError(str(wrong)) from None
            self._waiting[number] = waiter
        try:
            self._send(data)
            answer = waiter.answers.get(timeout=seconds)
        except Empty:
            self._give_up(number)
            raise TimeoutError("the agent does not answer in time") from None
        except BaseException:  # Ctrl-C too: nobody types a PIN for a gateway that does not wait
            self._give_up(number)
            raise
        finally:
            self._waiting.pop(number, None)
        if answer is None:
            raise LinkEnded("the connection to the agent broke")
        return answer

    def show(self, place: int, counter: int | None) -> None:
        """The card that is in a slot now (None: none); whoever waits for another one there waits no more."""
        with self._guard:
            if self._counters.get(place) == counter:
                return
            self._counters[place] = counter
            waiting = {number: one for number, one in self._waiting.items() if one.place == place}
        self._answer(waiting, None)

    def cancel_entries(self) -> None:
        """No PIN is awaited any more: whoever waits for one hears that it was cancelled."""
        with self._guard:
            waiting = {number: one for number, one in self._waiting.items() if one.kind is Kind.ENTER_PIN}
        self._answer(waiting, (Outcome.DONE, SW_CANCELLED))

    def is_alive(self) -> bool:
        """Ask the agent for a sign of life now and wait a moment for it."""
        if self.is_over:
            return False
        with self._alive:
            before = self._signs
            with suppress(OSError):
                self._ping()
            self._alive.wait_for(lambda: self._signs != before or self.is_over, PROBE_SECONDS)
            return self._signs != before and not self.is_over

    def hang_up(self, reason: Reason = Reason.STOPPING) -> None:
        """Say why and end, from any thread; `run` returns as soon as the other end has hung up as well."""
        with self._guard:
            data = self._machine.bye(reason) if self._machine.ended is None else b""
        with suppress(OSError):
            self._stream.send(data)

    def end(self) -> None:
        """Nothing passes any more; whoever waits for an answer hears so. Safe to call again."""
        with self._guard:
            self._over.set()
            waiting = dict(self._waiting)
        for waiter in waiting.values():
            waiter.answers.put(None)
        with self._alive:
            self._alive.notify_all()
        self._stream.close()

    def _ping(self) -> None:
        with self._guard:
            data = self._machine.ping()
        self._send(data)

    def _answer(self, waiting: dict[int, _Waiter], answer: Answer | None) -> None:
        """Answer in the agent's place; its own answer will not be waited for."""
        for number, waiter in waiting.items():
            self._give_up(number)
            waiter.answers.put(answer)

    def _give_up(self, number: int) -> None:
        with self._guard:
            data = self._machine.give_up(number)
        with suppress(OSError):
            self._stream.send(data)

    def _send(self, data: bytes) -> None:
        try:
            self._stream.send(data)
        except OSError as problem:
            raise LinkEnded(str(problem)) from None

    def _heard(self, data: bytes) -> list[Event]:
        with self._guard:
            return self._machine.feed(data)

    def _common(self, event: Event) -> None:
        """What has the same meaning at any time."""
        if isinstance(event, Send):
            self._send(event.data)
        elif isinstance(event, Answered):
            with self._guard:
                waiter = self._waiting.get(event.request)
            if waiter is not None:
                waiter.answers.put((event.outcome, event.body))
        elif isinstance(event, Alive):
            with self._alive:
                self._signs += 1
                self._alive.notify_all()
        elif isinstance(event, Ended) and not event.by_peer:
            raise LinkEnded("the agent broke the rules of the line")
