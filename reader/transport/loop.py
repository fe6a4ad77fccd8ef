"""One thread that waits for many things: lines, connections, timers, signals."""

from __future__ import annotations

import heapq
import itertools
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from reader.stream import Clock

Callback = Callable[[], None]

MAX_EVENTS = 16
"""Things dealt with between two looks at the timers."""


class Timer:
    """A call to come; `cancel()` forgets it."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """It will not be called."""
        self.callback = None


class Loop:
    """Calls back when a file descriptor can be read, when a time has come, and ends on a signal."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._poll = select.epoll()
        self._readers: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._stopped = False
        self.signal: int | None = None

    def watch(self, fd: int, callback: Callback) -> None:
        """Call back whenever `fd` can be read or its other end is gone."""
        self._readers[fd] = callback
        self._poll.register(fd, select.EPOLLIN)

    def watch_writing(self, fd: int, callback: Callback) -> None:
        """Call back when `fd` can be written, as a connection that is being made can in the end."""
        self._readers[fd] = callback
        self._poll.register(fd, select.EPOLLOUT)

    def forget(self, fd: int) -> None:
        """No more calls for `fd`; to be called before it is closed."""
        if self._readers.pop(fd, None) is not None:
            with suppress(OSError):
                self._poll.unregister(fd)

    def after(self, seconds: float, callback: Callback) -> Timer:
        """Call back once, so many seconds from now."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (self._clock() + seconds, next(self._order), timer))
        return timer

    def stop(self) -> None:
        """`run` returns after the callback under way."""
        self._stopped = True

    def run(self) -> None:
        """Work until `stop()` or a signal; `signal` says which. In the main thread only."""
        with _SignalPipe(self._on_signal) as pipe:
            self.watch(pipe.fileno(), pipe.drain)
            self.work()
            self.forget(pipe.fileno())

    def work(self) -> None:
        """Work until `stop()`, whatever signals come."""
        while not self._stopped:
            for fd, _event in self._poll.poll(self._patience(), MAX_EVENTS):
                if (callback := self._readers.get(fd)) is not None:
                    callback()
            if self._timers:
                self._call_timers()

    def close(self) -> None:
        """Give the poll object back."""
        self._poll.close()

    def _on_signal(self, number: int) -> None:
        self.signal = self.signal or number
        self._stopped = True

    def _patience(self) -> float:
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        return max(0.0, timers[0][0] - self._clock()) if timers else -1

    def _call_timers(self) -> None:
        now, due = self._clock(), []
        while self._timers and self._timers[0][0] <= now:
            due.append(heapq.heappop(self._timers)[2])
        for timer in due:
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()


class _SignalPipe:
    """SIGINT, SIGTERM and SIGHUP become bytes to read: nothing is interrupted half-way."""

    NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self, heard: Callable[[int], None]) -> None:
        self._heard = heard
        self._reading, self._writing = socket.socketpair()
        for end in (self._reading, self._writing):
            end.setblocking(False)

    def __enter__(self) -> _SignalPipe:
        self._before_fd = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._before = {
            number: signal.signal(number, lambda *_: None)
            for number in self.NUMBERS
            if signal.getsignal(number) is not signal.SIG_IGN  # in the background of a script, under nohup
        }
        return self

    def __exit__(self, *_error: object) -> None:
        signal.set_wakeup_fd(self._before_fd)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._reading.close()
        self._writing.close()

    def fileno(self) -> int:
        """What to wait on."""
        return self._reading.fileno()

    def drain(self) -> None:
        """Tell which signals came."""
        with suppress(OSError):
            for number in self._reading.recv(64):
                self._heard(number)
