"""A pcscd of one's own: own configuration folder, own place for its socket; ended by its id.

The daemon runs in a mount namespace where /run/pcscd is an empty tmpfs, so that it neither sees nor disturbs
the machine's own pcscd, and several can run side by side; clients outside reach it through
PCSCLITE_CSOCK_NAME (`environment`), which libpcsclite reads once per process: one daemon per client process.
Where namespaces are forbidden, root gives the daemon a socket of ours, as systemd does (sd_listen_fds(3)).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

RUN = Path("/run/pcscd")
START_SECONDS, STOP_SECONDS = 30.0, 10.0
CLIENT_VARIABLE = "PCSCLITE_CSOCK_NAME"

TOGETHER = ("setpriv", "--pdeathsig", "KILL")
"""What makes a program end with the one that started it, however that one ends."""

# What runs inside the namespace; $1 the mount point, $2… the daemon. `exec` keeps the process number.
_INSIDE = 'mount -t tmpfs tmpfs "$1" && mkdir -p /run/pcscd && shift && exec "$@"'
# What gives the daemon its socket without a namespace: descriptor 3, and LISTEN_PID is the process itself.
_ACTIVATED = 'exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'


class PcscdError(Exception):
    """One sentence: why no pcscd of one's own can run here, and what to do."""


@cache
def isolation() -> tuple[str, ...]:
    """The unshare(1) command that works here, or nothing where namespaces are forbidden."""
    ways = (("unshare", "-m"), ("unshare", "-Urm"))
    for way in ways[os.geteuid() != 0 :]:
        trial = [*way, "mount", "-t", "tmpfs", "tmpfs", "/run"]
        with suppress(OSError):
            if subprocess.run(trial, capture_output=True, timeout=20, check=False).returncode == 0:
                return way
    return ()


class Pcscd:
    """One daemon in the foreground for the length of a `with` block.

    `configuration`: the folder of reader.conf files; `log_file`: what it says, beside which a socket of ours
    goes when namespaces are forbidden; `level`: how much it says.
    """

    def __init__(self, configuration: Path, log_file: Path, level: str = "--info") -> None:
        self.configuration, self.log_file, self.level = configuration, log_file, level
        self._process: subprocess.Popen[bytes] | None = None
        self._activated = log_file.with_name("pcscd.comm")
        self._said = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the daemon and wait until it takes clients; PcscdError says why it cannot."""
        if missing := [name for name in ("pcscd", "unshare", "setpriv") if shutil.which(name) is None]:
            raise PcscdError(
                f"There is no {missing[0]} on this machine: install the Debian packages pcscd, libccid."
            )
        daemon = ["pcscd", "--foreground", self.level, "-c", str(self.configuration.absolute())]
        self._activated.unlink(missing_ok=True)
        self._said = len(self.log)
        with self.log_file.open("ab") as log:
            self._process = self._started(daemon, log.fileno())
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the daemon: asked first, then killed."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)

    @property
    def pid(self) -> int:
        """The daemon's process number."""
        return self._running().pid

    @property
    def socket_name(self) -> str:
        """Where clients outside the namespace reach the daemon."""
        if self._activated.exists():
            return os.fspath(self._activated)
        return f"/proc/{self.pid}/root{RUN}/pcscd.comm"

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment that sends a PC/SC client to this pcscd, on top of the present one."""
        return {**os.environ, CLIENT_VARIABLE: self.socket_name}

    @property
    def log(self) -> str:
        """What the daemon has said so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def _started(self, daemon: list[str], log: int) -> subprocess.Popen[bytes]:
        if way := isolation():
            place = RUN if RUN.is_dir() else RUN.parent
            command = [*TOGETHER, *way, "sh", "-c", _INSIDE, "sh", str(place), *daemon]
            return self._spawn(command, log, subprocess.DEVNULL)
        if os.geteuid() != 0:
            raise PcscdError(
                "This machine lets only root start a pcscd: run as root, or use the system's pcscd."
            )
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.fspath(self._activated))
            listening.listen(16)
            return self._spawn([*TOGETHER, "sh", "-c", _ACTIVATED, "sh", *daemon], log, listening.fileno())

    @staticmethod
    def _spawn(command: list[str], log: int, stdin: int) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C goes to whoever started the daemon, which then ends it.
        return subprocess.Popen(command, stdin=stdin, stdout=log, stderr=log, start_new_session=True)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise PcscdError("This pcscd was not started.")
        return self._process

    def _wait_until_it_listens(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not self._listens():
            ended = self._running().poll() is not None
            if ended or time.monotonic() > end:
                last = (self.log[self._said :].strip().splitlines() or ["it said nothing"])[-1]
                raise PcscdError(f"pcscd does not start here ({last}): use the system's pcscd.")
            time.sleep(0.02)

    def _listens(self) -> bool:
        """It takes a connection, and has said that it is ready where its level lets it say so."""
        if self.level in ("--debug", "--info") and "daemon ready" not in self.log[self._said :]:
            return False
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(self.socket_name)
            return True
        return False
