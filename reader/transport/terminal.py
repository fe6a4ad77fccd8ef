"""The keypad of an emulated PIN pad: the terminal it was started in, one line at a time, nothing shown."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from reader.transport.loop import Loop

MAX_LINE = 256

Typed = Callable[[str | None], None]
"""A line, or None: the end of the input (Ctrl-D)."""


class Terminal:
    """Standard input, when it is a terminal of ours. `ask` shows a text and waits; `forget` waits no more."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._fd = sys.stdin.fileno() if is_usable() else -1
        self._typed: Typed | None = None
        self._before: list[Any] | None = None

    @property
    def is_there(self) -> bool:
        """Somebody can type."""
        return self._fd >= 0

    def ask(self, text: str, typed: Typed) -> None:
        """Show `text`; call `typed` with the next line. What was typed before is dropped."""
        if self._fd < 0:
            return
        if self._typed is None:
            self._hide()
            self._loop.watch(self._fd, self._hear)
        self._typed = typed
        print(text, end=" ", flush=True)

    def forget(self) -> None:
        """Wait no more; what is typed is shown again."""
        if self._typed is None:
            return
        self._typed = None
        self._loop.forget(self._fd)
        if self._before is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSAFLUSH, self._before)
        self._before = None

    def _hide(self) -> None:
        with suppress(termios.error):
            self._before = termios.tcgetattr(self._fd)
            hidden = termios.tcgetattr(self._fd)
            hidden[3] &= ~termios.ECHO
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, hidden)

    def _hear(self) -> None:
        try:
            line = os.read(self._fd, MAX_LINE)
        except OSError:
            line = b""
        typed = self._typed
        print(flush=True)
        if typed is not None:
            typed(line.decode("ascii", "replace").strip() if line else None)


def is_usable() -> bool:
    """Standard input is a terminal, and this program is in its foreground."""
    try:
        fd = sys.stdin.fileno()
        return os.isatty(fd) and os.tcgetpgrp(fd) == os.getpgrp()
    except (AttributeError, OSError, ValueError):
        return False
