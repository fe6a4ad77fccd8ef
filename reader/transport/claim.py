"""One program at a time for a path: a lock file beside it, held while the program lives.

A program that is killed leaves its lock file behind, unlocked: the next one sees that what lies at the path
is left over from one of us and may be replaced. Without that mark, what lies there belongs to somebody else.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

_ATTEMPTS = 10


class Taken(Exception):
    """Another program that is alive holds the path."""


class Claim:
    """The claim on `path`, made with PATH.lock; `release()` gives it back. Raises Taken, or OSError.

    `is_left_over`: a former holder died without giving its claim back.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path.with_name(path.name + ".lock")
        self._fd = -1
        self.is_left_over = False
        for _ in range(_ATTEMPTS):
            if self._try():
                return
        raise Taken(str(path))

    def _try(self) -> bool:
        """False when the former holder let go between our two steps: then once more."""
        try:
            fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            left_over = False
        except FileExistsError:
            with suppress(FileNotFoundError):
                return self._take_over(os.open(self._lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW))
            return False
        return self._take_over(fd, left_over=left_over)

    def _take_over(self, fd: int, *, left_over: bool = True) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise Taken(str(self.path)) from None
        with suppress(FileNotFoundError):
            if os.fstat(fd).st_ino == self._lock.stat().st_ino:
                self._fd, self.is_left_over = fd, left_over
                return True
        os.close(fd)
        return False

    def release(self) -> None:
        """Give the path back; nothing is left beside it."""
        if self._fd >= 0:
            self._lock.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1
