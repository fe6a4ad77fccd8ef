"""Where the PIN is asked for on the agent's machine: at most one question for each slot, answered once.

The page and the terminal look here; whoever answers first is the one. Digits pass through and are kept
nowhere.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from reader.pinpad import CANCELLED, TIMED_OUT, Digits, NotEntered, PinEntry
from reader.stream import Clock

LOOK_SECONDS = 0.1


@dataclass
class _Open:
    question: Question
    answered: threading.Event = field(default_factory=threading.Event)
    answer: Digits | NotEntered = TIMED_OUT


@dataclass(frozen=True, slots=True)
class Question:
    """The gateway wants the PIN of the card in this slot; `ends` on the clock of the desk."""

    number: int
    slot: str
    least: int
    most: int
    ends: float


class PinQuestions:
    """A `PinDesk` whose questions are shown elsewhere. `told` hears one line of each, never a digit."""

    def __init__(
        self, told: Callable[[str], None] = lambda _text: None, clock: Clock = time.monotonic
    ) -> None:
        self.told, self._clock = told, clock
        self._guard = threading.Lock()
        self._open: dict[int, _Open] = {}
        self._last = 0
        self.last_status: dict[str, int] = {}
        """Slot → the status word of the last PIN that was typed for it."""

    def ask(self, slot: str, entry: PinEntry, cancelled: threading.Event) -> Digits | NotEntered:
        """Ask, and wait for the answer, the end of the time, or the gateway that gives up."""
        waiting = self._put(slot, entry)
        question = waiting.question
        self.told(f"{slot}: the gateway asks for the PIN, type it here")
        try:
            while not waiting.answered.wait(LOOK_SECONDS):
                if cancelled.is_set():
                    self.told(f"{slot}: the gateway does not ask for the PIN any more")
                    return self._taken(question, CANCELLED)
                if self._clock() >= question.ends:
                    self.told(f"{slot}: nobody typed the PIN in time")
                    return self._taken(question, TIMED_OUT)
            return waiting.answer
        finally:
            self._drop(question)

    def heard(self, slot: str, status: bytes) -> None:
        """What the card said of the digits."""
        word = int.from_bytes(status)
        self.last_status[slot] = word
        self.told(f"{slot}: {_SAID.get(word, _tries(word))}")

    def open(self) -> tuple[Question, ...]:
        """The questions that wait, oldest first."""
        with self._guard:
            return tuple(waiting.question for waiting in self._open.values())

    def seconds_left(self, question: Question) -> float:
        """How long this question still waits."""
        return max(0.0, question.ends - self._clock())

    def answer(self, number: int, answer: Digits | NotEntered) -> bool:
        """Answer a question; False when it waits no more, and digits are overwritten then."""
        with self._guard:
            waiting = self._open.pop(number, None)
            if waiting is not None:
                waiting.answer = answer
                waiting.answered.set()
                return True
        if isinstance(answer, Digits):
            answer.wipe()
        return False

    def _put(self, slot: str, entry: PinEntry) -> _Open:
        with self._guard:
            self._last += 1
            ends = self._clock() + entry.timeout_seconds
            question = Question(self._last, slot, entry.least, entry.most, ends)
            waiting = self._open[question.number] = _Open(question)
            return waiting

    def _taken(self, question: Question, otherwise: NotEntered) -> Digits | NotEntered:
        """The end, unless somebody answered in this very moment: digits that came too late are not used."""
        with self._guard:
            waiting = self._open.pop(question.number, None)
        if waiting is not None and isinstance(waiting.answer, Digits):
            waiting.answer.wipe()
        return otherwise

    def _drop(self, question: Question) -> None:
        with self._guard:
            self._open.pop(question.number, None)


_SAID = {0x9000: "the card took the PIN", 0x6983: "the PIN of the card is blocked"}


def tries_left(status: int) -> int | None:
    """How many tries a status word leaves (63Cx; ISO/IEC 7816-4:2005, 5.1.3); None when it says nothing."""
    return status & 0x0F if status & 0xFFF0 == 0x63C0 else None


def _tries(status: int) -> str:
    left = tries_left(status)
    return (
        f"wrong PIN, tries left: {left}" if left is not None else f"the card refused the PIN ({status:04X})"
    )
