"""A pcscd of one's own: own configuration folder, own mount namespace and run folder; ended by its id.

Several can run side by side, and beside the system's. Clients outside the namespace use `environment`.
As root a mount namespace is enough; anybody else needs a kernel that lets users make namespaces of their own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

START_SECONDS, STOP_SECONDS = 20.0, 5.0
MAX_PATH = 107
"""Characters of the path of a Unix socket."""

_SCRIPT = """
set -e
folder=/run/pcscd
mkdir -p "$folder" 2>/dev/null || folder=/run
mount -t tmpfs -o mode=0755 tmpfs "$folder"
mkdir -p /run/pcscd
exec pcscd --foreground --config "$1" $2
"""


class PcscdError(Exception):
    """One sentence: why no pcscd of one's own can run here, and what to do."""


class Pcscd:
    """Runs pcscd for the length of a `with` block.

    `configuration`: the folder of reader.conf files; `log`: where pcscd's words go;
    `options`: more of its options.
    """

    def __init__(self, configuration: Path, log: Path, options: str = "--info") -> None:
        self.configuration, self.log, self.options = configuration, log, options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Pcscd:
        if shutil.which("pcscd") is None or shutil.which("unshare") is None:
            raise PcscdError(
                "There is no pcscd on this machine: install the Debian packages pcscd and libccid."
            )
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of pcscd; it keeps the one `unshare` was started with."""
        if self._process is None:
            raise PcscdError("This pcscd was not started.")
        return self._process.pid

    @property
    def socket(self) -> Path:
        """Where clients outside the namespace find it."""
        return Path(f"/proc/{self.pid}/root/run/pcscd/pcscd.comm")

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment that sends a PC/SC client to this pcscd, on top of the present one."""
        return {**os.environ, "PCSCLITE_CSOCK_NAME": str(self.socket)}

    @property
    def is_running(self) -> bool:
        """True until it ended by itself or was stopped."""
        return self._process is not None and self._process.poll() is None

    def words(self) -> str:
        """What it said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by its id, politely first."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _command(self) -> list[str]:
        namespace = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
        script = ["sh", "-c", _SCRIPT, "pcscd", str(self.configuration.absolute()), self.options]
        return ["unshare", *namespace, "--", *script]

    def _wait_until_it_listens(self) -> None:
        """A connection that is accepted is the sign: the socket's name is there earlier."""
        end = time.monotonic() + START_SECONDS
        while self.is_running and time.monotonic() < end:
            with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket)[:MAX_PATH])
                return
            time.sleep(0.02)
        last = (self.words().strip().splitlines() or ["it said nothing"])[-1]
        raise PcscdError(
            f"pcscd of our own does not start here ({last}): run as root, or use the system's pcscd."
        )
