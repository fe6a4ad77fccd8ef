"""What systemd is told (sd_notify(3)): ready, still alive, stopping. Without systemd nobody is told."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress


class ServiceManager:
    """Speaks to the socket that NOTIFY_SOCKET names; a message is one datagram, and losing one is no harm.

    `alive()` may be called as often as one likes: it speaks a few times within WATCHDOG_USEC, and not at all
    when the unit has no WatchdogSec.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._every = _microseconds(environment) / 4e6
        self._spoke_at = float("-inf")

    def ready(self) -> None:
        """The gateway is at work."""
        self._tell("READY=1")

    def status(self, text: str) -> None:
        """One line that `systemctl status` shows."""
        self._tell("STATUS=" + text.replace("\n", " "))

    def stopping(self) -> None:
        """The gateway ends in good order."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Every loop of the gateway gave a sign of life."""
        now = self._monotonic()
        if self._every and now - self._spoke_at >= self._every:
            self._spoke_at = now
            self._tell("WATCHDOG=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto(message.encode(), address)


def _microseconds(environment: Mapping[str, str]) -> int:
    """The watchdog's time; 0 when it is off, or meant for another process."""
    try:
        meant = int(environment.get("WATCHDOG_PID", str(os.getpid())))
        return int(environment.get("WATCHDOG_USEC", "0")) if meant == os.getpid() else 0
    except ValueError:
        return 0
