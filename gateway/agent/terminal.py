"""The PIN typed in the terminal the agent runs in: nothing is shown, an empty line cancels."""

from __future__ import annotations

import threading

from gateway.agent.pins import PinQuestions, Question
from gateway.errors import InputError
from reader.pinpad import CANCELLED, Digits, NotEntered
from reader.transport.loop import Loop
from reader.transport.terminal import Terminal, is_usable

LOOK_SECONDS = 0.1


class PinTerminal:
    """Asks the open questions one after the other, in a thread of its own, until it is closed."""

    def __init__(self, questions: PinQuestions) -> None:
        if not is_usable():
            raise InputError(
                "--pin-terminal needs a terminal in the foreground: leave it out and use the page"
            )
        self._questions = questions
        self._loop = Loop()
        self._terminal = Terminal(self._loop)
        self._shown: Question | None = None
        self._ending = threading.Event()
        self._loop.after(0, self._look)
        self._thread = threading.Thread(target=self._loop.work, name="pin-terminal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more; what is typed is shown again."""
        self._ending.set()
        self._thread.join(2.0)
        self._loop.close()

    def _look(self) -> None:
        if self._ending.is_set():
            self._terminal.forget()
            self._loop.stop()
            return
        open_ones = self._questions.open()
        if self._shown is not None and self._shown not in open_ones:
            self._terminal.forget()
            self._shown = None
            print(flush=True)
        if self._shown is None and open_ones:
            self._ask(open_ones[0])
        self._loop.after(LOOK_SECONDS, self._look)

    def _ask(self, question: Question) -> None:
        self._shown = question
        self._terminal.ask(f"PIN of the card in the {question.slot} slot (empty: cancel):", self._typed)

    def _typed(self, line: str | None) -> None:
        question = self._shown
        if question is None:
            return
        if not line:
            self._done(question, CANCELLED)
            return
        try:
            digits = Digits(line)
        except ValueError as wrong:
            print(f"{wrong}: type it again", flush=True)
            self._ask(question)
            return
        self._done(question, digits)

    def _done(self, question: Question, answer: Digits | NotEntered) -> None:
        self._terminal.forget()
        self._shown = None
        self._questions.answer(question.number, answer)
