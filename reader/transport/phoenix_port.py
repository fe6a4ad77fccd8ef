"""A serial port with a Phoenix or Smartmouse interface on it, or one at the end of a network (`rfc2217://`)."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any

from reader.errors import ReaderError
from reader.stream import Clock
from reader.transport.serial_port import guarded

POLL = 0.02
"""Seconds pyserial waits at most in one read: changing its timeout would negotiate the whole port again."""

NEAR = 0.03
"""How far the nearest speed of the port may be from the one wanted."""


class PhoenixPort:
    """A `Line` of reader.serial.phoenix. Raises ReaderError, one sentence, when the port cannot be opened."""

    def __init__(self, port: str, speed: int = 9600, clock: Clock = time.monotonic) -> None:
        self.name, self._clock = port, clock
        self._serial = _opened(port, speed)

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        guarded(self._serial.write, data)

    def receive(self, seconds: float) -> bytes:
        """What has arrived; empty when nothing came in time."""
        end = self._clock() + seconds
        while True:
            received: bytes = guarded(self._read)
            if received or self._clock() >= end:
                return received

    def clear(self) -> None:
        """Forget what has arrived."""
        guarded(self._serial.reset_input_buffer)

    def set_reset(self, asserted: bool) -> None:
        """Put RTS."""
        guarded(setattr, self._serial, "rts", asserted)

    def is_cts(self) -> bool:
        """Is CTS asserted?"""
        return bool(guarded(getattr, self._serial, "cts"))

    def supports(self, speed: int) -> bool:
        """Is there a speed of the port near enough?"""
        return self._nearest(speed) is not None

    def set_mode(self, speed: int, *, odd: bool) -> None:
        """8 data bits, 2 stop bits, even or odd parity; what is so already is not set again."""
        parity, nearest = "O" if odd else "E", self._nearest(speed) or speed
        if self._serial.parity != parity:
            guarded(setattr, self._serial, "parity", parity)
        if self._serial.baudrate != nearest:
            guarded(setattr, self._serial, "baudrate", nearest)

    def close(self) -> None:
        """Give the port back."""
        with suppress(OSError, TypeError, AttributeError):
            self._serial.close()

    def _nearest(self, speed: int) -> int | None:
        best: int = min(self._serial.BAUDRATES, key=lambda known: abs(known - speed))
        return best if abs(best - speed) <= NEAR * speed else None

    def _read(self) -> bytes:
        data: bytes = self._serial.read(1)
        if data and (waiting := self._serial.in_waiting):
            data += self._serial.read(waiting)
        return data


def _opened(port: str, speed: int) -> Any:
    try:
        import serial  # noqa: PLC0415 - an extra
    except ImportError:
        raise ReaderError(
            'A Phoenix interface needs pyserial: install it with pip install "vitale-gateway[serial]".'
        ) from None
    try:
        opened = serial.serial_for_url(
            port, speed, parity="E", stopbits=2, timeout=POLL, exclusive=True, do_not_open=True
        )
        opened.rts = opened.dtr = True
        opened.open()
    except (OSError, ValueError) as problem:
        raise ReaderError(_sentence(port, problem)) from None
    return opened


def _sentence(port: str, problem: Exception) -> str:
    """Why a port cannot be opened, and what to do."""
    if port.startswith("rfc2217:") and ("refused" in str(problem) or "timed out" in str(problem)):
        return f"Nobody answers at {port}: start the byte-level card or the terminal server there."
    why = os.strerror(number) if (number := getattr(problem, "errno", None)) else problem
    return (
        f"The port {port} cannot be opened ({why}): check its name, that you may use it (group dialout) and "
        "that no other program has it."
    )
