"""A serial port, or what pyserial can reach like one (`rfc2217://`, `socket://`), as a Stream.

Opened for one program at a time: another one that uses pyserial's lock is told that the port is busy.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path
from typing import Any

from reader.errors import ReaderError

SLICE = 0.05
"""Seconds pyserial waits at a time: to change its time-out sets the port up again, which adapters feel."""


class SerialPort:
    """8 data bits, raw. Raises ReaderError, one sentence, when the port cannot be opened."""

    def __init__(self, port: str, speed: int = 115_200, *, stop_bits: int = 2) -> None:
        self.name = port
        self._serial = _opened(port, speed, stop_bits)

    def send(self, data: bytes) -> None:
        """Write all of `data`, within 2 s."""
        guarded(self._serial.write, data)

    def receive(self, seconds: float) -> bytes:
        """What has arrived; empty when nothing came in time."""
        received: bytes = guarded(self._read, seconds)
        return received

    def set_speed(self, speed: int) -> None:
        """Another speed from now on, in baud."""
        guarded(setattr, self._serial, "baudrate", speed)

    def clear(self) -> None:
        """Forget what has arrived and was not read."""
        guarded(self._serial.reset_input_buffer)

    def close(self) -> None:
        """Give the port back."""
        with suppress(OSError, TypeError, AttributeError):
            self._serial.close()

    def _read(self, seconds: float) -> bytes:
        for _ in range(max(1, round(seconds / SLICE))):
            data: bytes = self._serial.read(1)
            if data:
                waiting = self._serial.in_waiting
                return data + self._serial.read(waiting) if waiting else data
        return b""


def guarded(work: Any, *arguments: Any) -> Any:
    """Call into pyserial: a port that was closed or unplugged under it shows as several kinds of error."""
    try:
        return work(*arguments)
    except (TypeError, AttributeError, ValueError) as wrong:
        raise OSError(f"the port is gone ({type(wrong).__name__})") from None


def _opened(port: str, speed: int, stop_bits: int) -> Any:
    try:
        import serial  # noqa: PLC0415 - an extra
    except ImportError:
        raise ReaderError(
            'Serial readers need pyserial: install it with pip install "vitale-gateway[serial]".'
        ) from None
    try:
        opened = serial.serial_for_url(
            port, speed, stopbits=stop_bits, timeout=SLICE, write_timeout=2, exclusive=True, do_not_open=True
        )
        opened.rts = False  # a reader that sees RTS sends its plug-and-play text
        opened.open()
        with suppress(OSError):
            opened.reset_input_buffer()
    except (OSError, ValueError) as problem:
        raise ReaderError(_sentence(port, problem)) from None
    return opened


def _sentence(port: str, problem: Exception) -> str:
    """Why a port cannot be opened, and what to do."""
    number = getattr(problem, "errno", None)
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return f"There is no serial port {port}: plug the reader in, or correct the name."
    if number in (errno.EACCES, errno.EPERM):
        group = _group(port)
        return (
            f"You may not use the serial port {port}: add yourself to the group {group} "
            f"(sudo usermod -aG {group} $USER) and log in again."
        )
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(problem):
        return f"The serial port {port} is in use by another program: end it (pcscd perhaps) and try again."
    if "configure port" in str(problem) or number == errno.ENOTTY:
        return (
            f"{port} is not a serial port: name the port of the reader, /dev/ttyS0 or /dev/ttyUSB0 perhaps."
        )
    return f"The serial port {port} cannot be opened ({problem}): check the name and the reader."


def _group(port: str) -> str:
    try:
        return Path(port).group()
    except (OSError, KeyError):
        return "dialout"
