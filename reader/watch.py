"""Hot plug without an operating system's help: a driver looks at its slots again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from reader.errors import ReaderError
from reader.slot import Card, Slot
from reader.stream import LineBusy

LOOK_EVERY = 0.25
"""Seconds between two looks: a person does not notice, a line at 115,200 bauds neither."""


class ReaderSilent(ReaderError):
    """The reader was there and does not answer any more; its slots are empty until it does."""

    code = "reader-silent"

    def __init__(self, slot: str) -> None:
        super().__init__(
            f"The reader of the {slot} slot does not answer: check its cable and power and try again.",
            slot=slot,
        )


class Place:
    """Keeps one slot as the hardware is: what `look` finds is in the slot after `Place.look()`.

    look: gives the card that is there now (the same object as long as it is the same card) or None; raises
    OSError when the reader does not answer. `silent`: what to say of the slot then.
    """

    def __init__(
        self,
        slot: Slot,
        look: Callable[[], Card | None],
        silent: Callable[[str], ReaderError] = ReaderSilent,
    ) -> None:
        self.slot = slot
        self._find, self._silent = look, silent
        self._card: Card | None = None

    def look(self) -> None:
        """One look. A reader that does not answer leaves its slot empty, and OSError passes."""
        try:
            found = self._find()
        except LineBusy:  # somebody types a PIN, a card signs: what was there still is
            return
        except OSError:
            self.slot.why_empty = self._silent(self.slot.name)
            self._change(None)
            raise
        self.slot.why_empty = None
        self._change(found)

    def _change(self, found: Card | None) -> None:
        if found is self._card and self.slot.is_present == (found is not None):
            return
        self._card = found
        self.slot.remove()
        if found is not None:
            self.slot.insert(found)


class Watch:
    """A thread that calls `look` every so often until it is closed. `look` must not raise."""

    def __init__(self, look: Callable[[], None], every: float, name: str) -> None:
        self._look, self._every = look, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch; a look under way may outlive this by the reader's own patience."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._look()
