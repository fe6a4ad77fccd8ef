"""The keypad of an emulated reader: whose digits are awaited, from whom they may come, and until when.

Digits come from the terminal the emulator runs in, or from `vitale-reader control LINK pin` (standard input);
whichever is first. Lines that come before they are asked for wait a while.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reader.pinpad import CANCELLED, TIMED_OUT, Digits, Outcome, PinEntry
from reader.transport.loop import Loop, Timer
from reader.transport.terminal import Terminal

EARLY = 60.0
"""Seconds that digits wait for being asked for."""

MORE_TIME = 2.0
"""Seconds between two requests for more time."""

Told = Callable[[bool, str], None]
"""Tells the one who sent digits whether they were taken, and what became of them."""


class Pad(Protocol):
    """The reader's side: takes outcomes, asks the host for time. `name` is the slot's."""

    def name(self, slot: int) -> str:
        """The slot's name."""
        ...

    def enter(self, slot: int, outcome: Outcome) -> bytes:
        """Hand over what became of an entry; the status word the host gets, or b""."""
        ...

    def extend(self) -> None:
        """Ask the host for more time."""
        ...


@dataclass
class _Entry:
    slot: int
    entry: PinEntry
    deadline: Timer
    lines: list[Digits] = field(default_factory=list)


@dataclass
class _Early:
    lines: Sequence[Digits]
    told: Told
    awaited: Callable[[], bool]
    deadline: Timer


class Keypad:
    """One keypad for all slots; entries are dealt with in the order they were asked for."""

    def __init__(self, loop: Loop, terminal: Terminal, pad: Pad, say: Callable[[str], None]) -> None:
        self._loop, self._terminal, self._pad, self._say = loop, terminal, pad, say
        self._entries: list[_Entry] = []
        self._early: list[_Early] = []
        self._ticking: Timer | None = None

    def ask(self, slot: int, entry: PinEntry) -> None:
        """The host wants digits for this slot."""
        deadline = self._loop.after(entry.timeout_seconds, lambda: self._late(slot))
        self._entries.append(_Entry(slot, entry, deadline))
        wanted = f"{entry.least} to {entry.most}" if entry.least < entry.most else f"{entry.least}"
        self._say(f"{self._pad.name(slot):<7} the host asks for a PIN of {wanted} digits on the keypad")
        if self._ticking is None:
            self._ticking = self._loop.after(MORE_TIME, self._tick)
        if (early := self._next_early()) is not None:
            self.type(early.lines, early.told)
        elif len(self._entries) == 1:
            self._prompt()

    def ended(self, slot: int) -> None:
        """Digits are no longer awaited for this slot."""
        for waiting in [one for one in self._entries if one.slot == slot]:
            self._drop(waiting)

    def type(self, lines: Sequence[Digits], told: Told, awaited: Callable[[], bool] = lambda: True) -> None:
        """These lines are typed now, all prompts at once; kept for a while when nothing is asked yet.

        awaited: is the one who typed still there? Digits of one who went away are not used.
        """
        if not self._entries:
            deadline = self._loop.after(EARLY, lambda: self._give_back(lines, told))
            self._early.append(_Early(lines, told, awaited, deadline))
            return
        waiting = self._entries[0]
        try:
            entered = waiting.entry.collected(lines)
        except ValueError as wrong:
            told(False, f"The keypad wants more or fewer lines: {wrong}.")
            return
        status = self._finish(waiting, entered)
        told(True, f"The digits were taken; the host was answered {status.hex().upper() or 'an error'}.")

    def cancel(self) -> bool:
        """The red key; False when nothing was asked."""
        if not self._entries:
            return False
        self._finish(self._entries[0], CANCELLED)
        return True

    def close(self) -> None:
        """Nobody types any more."""
        self._terminal.forget()

    def _finish(self, waiting: _Entry, outcome: Outcome) -> bytes:
        self._drop(waiting)
        return self._pad.enter(waiting.slot, outcome)

    def _drop(self, waiting: _Entry) -> None:
        if waiting not in self._entries:
            return
        first = waiting is self._entries[0]
        self._entries.remove(waiting)
        waiting.deadline.cancel()
        if first:
            self._terminal.forget()
            if self._entries:
                self._prompt()

    def _late(self, slot: int) -> None:
        for waiting in [one for one in self._entries if one.slot == slot]:
            self._say(f"{self._pad.name(slot):<7} nobody typed in time")
            self._finish(waiting, TIMED_OUT)

    def _next_early(self) -> _Early | None:
        while self._early:
            early = self._early.pop(0)
            early.deadline.cancel()
            if early.awaited():
                return early
            for digits in early.lines:
                digits.wipe()
        return None

    def _give_back(self, lines: Sequence[Digits], told: Told) -> None:
        self._early = [early for early in self._early if early.told is not told]
        for digits in lines:
            digits.wipe()
        told(False, "No host asked for a PIN within a minute: start its program first.")

    def _tick(self) -> None:
        self._ticking = None
        if self._entries:
            self._pad.extend()
            self._ticking = self._loop.after(MORE_TIME, self._tick)

    # ---- the terminal

    def _prompt(self) -> None:
        waiting = self._entries[0]
        prompt = waiting.entry.prompts[len(waiting.lines)]
        self._terminal.ask(f"        {prompt} (nothing is shown; an empty line cancels):", self._typed)

    def _typed(self, line: str | None) -> None:
        if not self._entries:
            return
        waiting = self._entries[0]
        if not line:
            self._finish(waiting, CANCELLED)
            return
        try:
            waiting.lines.append(Digits(line))
        except ValueError as wrong:
            self._say(f"        {wrong}")
            self._prompt()
            return
        if len(waiting.lines) < len(waiting.entry.prompts):
            self._prompt()
        else:
            self._finish(waiting, waiting.entry.collected(waiting.lines))
