"""Driver `phoenix`: byte-level interfaces, one port per slot.

slots = ["PORT", "PORT"] for Vitale and CPS; an empty text leaves a slot empty. PORT is a device file or
rfc2217://HOST:PORT, with ":smartmouse", ":phoenix6" or ":smartmouse6" after it when the interface is such.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from reader.errors import ReaderError
from reader.reader import SLOT_NAMES, Reader
from reader.serial.phoenix import WIRINGS, Line, PhoenixCard, Wiring
from reader.slot import Card
from reader.stream import Clock
from reader.watch import LOOK_EVERY, Place, Watch

Sleep = Callable[[float], None]


class PhoenixReader(Reader):
    """Our named slots on one line each. The first look is taken at once; later ones in a thread per line."""

    def __init__(
        self,
        lines: Sequence[tuple[Line, Wiring] | None],
        every: float = LOOK_EVERY,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        """lines: for each slot its line and how its interface is built; None leaves it empty."""
        super().__init__()
        self._lines = [line for line, _wiring in filter(None, lines)]
        self._watches: list[Watch] = []
        for slot, described in zip(self.slots, lines, strict=False):
            if described is not None:
                place = Place(slot, _Finder(*described, clock, sleep).look)
                _look(place)
                self._watches.append(Watch(partial(_look, place), every, f"phoenix-{slot.name}"))

    def close(self) -> None:
        """End the watch, let the cards go and give the ports back."""
        for watch in self._watches:
            watch.close()
        super().close()
        for line in self._lines:
            line.close()


class _Finder:
    """The card behind one line: the same object as long as CTS says that one is there."""

    def __init__(self, line: Line, wiring: Wiring, clock: Clock, sleep: Sleep) -> None:
        self._line, self._wiring, self._clock, self._sleep = line, wiring, clock, sleep
        self._card: PhoenixCard | None = None

    def look(self) -> Card | None:
        """CTS asserted means that the slot is empty. OSError when the port is gone."""
        if self._line.is_cts():
            self._card = None
        elif self._card is None:
            self._card = PhoenixCard(self._line, self._wiring, self._clock, self._sleep)
        return self._card


def _look(place: Place) -> None:
    with suppress(OSError):
        place.look()


def open_phoenix(slots: Sequence[str]) -> Reader:
    """The interfaces at these ports; raises ReaderError, one sentence, when one cannot be opened."""
    from reader.transport.phoenix_port import PhoenixPort  # noqa: PLC0415 - ports stay in transport

    described = [_described(text) for text in slots]
    ports = [port for port, _wiring in described if port]
    if not ports or len(described) > len(SLOT_NAMES):
        raise ReaderError(
            'The driver phoenix wants one port per slot: slots = ["PORT of the Vitale", "of the CPS"].'
        )
    if len(set(ports)) != len(ports):
        raise ReaderError(f"The port {ports[0]} is named twice: each slot has a port of its own.")
    opened: list[tuple[Line, Wiring] | None] = []
    try:
        for port, wiring in described:
            opened.append((PhoenixPort(port, wiring.speed()), wiring) if port else None)
    except BaseException:
        for line, _wiring in filter(None, opened):
            line.close()
        raise
    return PhoenixReader(opened)


def _described(text: str) -> tuple[str, Wiring]:
    """PORT or PORT:WIRING."""
    port, mark, name = text.strip().rpartition(":")
    if not mark or name.isdecimal() or "/" in name:
        return text.strip(), WIRINGS["phoenix"]
    if (wiring := WIRINGS.get(name.lower())) is None:
        raise ReaderError(f"There is no interface {name!r} (in {text!r}): use one of {', '.join(WIRINGS)}.")
    return port, wiring
