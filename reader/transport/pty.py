"""A serial line without wires: a raw pseudo-terminal with a name that stays the same.

The other end opens the name (a symbolic link) as it would open /dev/ttyS0. The link is made and replaced in
one step; a link that a dead emulator left behind is replaced, anything else at that path is left alone.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import termios
import tty
from contextlib import suppress
from pathlib import Path

from reader.errors import ReaderError
from reader.transport.claim import Claim, Taken

READ_SIZE = 4096
"""What a pseudo-terminal holds."""

ON_THE_WAY = 0.01
"""Seconds that bytes take at most from one end to the other."""

DRAIN_LOOKS = 100
"""Times `drain` looks again."""


class Pty:
    """The reader's end of the line; `link` is the path the host opens. Raises ReaderError, one sentence.

    The host's end is kept open here too: a host may come and go without the line being torn down.
    """

    def __init__(self, link: Path) -> None:
        self.link = link
        self._claim = _claimed(link)
        try:
            _check_free(link, left_over=self._claim.is_left_over)
            self._master, self._slave = os.openpty()
        except BaseException:
            self._claim.release()
            raise
        self.device = os.ttyname(self._slave)
        try:
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            _make_link(link, self.device)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """What to wait on."""
        return self._master

    def read(self) -> bytes:
        """What the host has written; empty when there is nothing."""
        try:
            return os.read(self._master, READ_SIZE)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """One write. What a host that does not read leaves no room for is lost, as on any line."""
        try:  # noqa: SIM105 - at every exchange; a context manager costs as much as the write
            os.write(self._master, data)
        except OSError:
            pass

    def hold(self) -> bool:
        """The host's next words wait. True when it has said something that is still to be read."""
        with suppress(termios.error):
            termios.tcflow(self._slave, termios.TCOOFF)
        return bool(select.select([self._master], [], [], ON_THE_WAY)[0])

    def drain(self) -> None:
        """Wait until the host has read what was written to it, not for ever."""
        waiting = array.array("i", [0])
        for _ in range(DRAIN_LOOKS):
            select.select([], [], [], ON_THE_WAY)
            with suppress(OSError):
                fcntl.ioctl(self._slave, termios.FIONREAD, waiting)
            if not waiting[0]:
                return

    def close(self) -> None:
        """Take the link away, if it is still ours, and hang up."""
        with suppress(OSError):
            if self.link.readlink() == Path(self.device):
                self.link.unlink()
        for fd in (self._master, self._slave):
            with suppress(OSError):
                os.close(fd)
        self._claim.release()


def _claimed(link: Path) -> Claim:
    try:
        return Claim(link)
    except Taken:
        raise ReaderError(
            f"Another emulated reader is at work at {link}: end it, or choose another --link."
        ) from None


def _check_free(link: Path, *, left_over: bool) -> None:
    if not os.path.lexists(link):
        return
    if not (left_over and link.is_symlink() and link.readlink().is_relative_to("/dev/pts")):
        raise ReaderError(f"There is something else at {link}: choose another path for --link.")


def _make_link(link: Path, device: str) -> None:
    temporary = link.with_name(f".{link.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(device)
    temporary.replace(link)
