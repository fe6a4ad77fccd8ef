"""A PC/SC daemon of the test's own, an emulated reader before it, and the judges behind it.

    with Pcscd(folder, reader_conf=vpcd_conf(port)) as pcscd:      # or conf_dir=… written by `emulate`
        print(pcscd.run("opensc-tool", "-n").stdout)

The daemon is `tools.pcscd`: libpcsclite reads where it is once per process, so one daemon per client process.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tools.pcscd import TOGETHER, PcscdError, isolation
from tools.pcscd import Pcscd as Daemon

BINARIES = Path(sys.executable).parent
DRIVERS = Path("/usr/lib/pcsc/drivers/serial")
READY_SECONDS = 30
END_SECONDS = 10
RUN_SECONDS = 60
PORTS = random.SystemRandom()  # several runs of the tests side by side never agree on a port
LOG_TAIL = 6000  # characters shown when a test fails

WITNESSES: list[Pcscd | Emulated] = []
"""What runs now; its log is shown when a test fails."""


def needs(*programs: str, files: tuple[Path, ...] = ()) -> None:
    """Skip with the reason when a judge is not installed; in CI that is a failure."""
    missing = [name for name in programs if shutil.which(name) is None]
    missing += [str(file) for file in files if not file.exists()]
    if missing:
        unavailable(f"{', '.join(missing)} not installed; as root, make test installs what the judges need")


def unavailable(reason: str) -> None:
    """Skip, or fail in CI, where every judge must be there."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def wait_for(what: Callable[[], object], why: Callable[[], str], seconds: float = READY_SECONDS) -> None:
    """Poll until `what()` is true; fail with `why()` after `seconds`."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            pytest.fail(why(), pytrace=False)
        time.sleep(0.02)


def free_ports(count: int = 1) -> int:
    """The first of `count` neighbouring TCP ports of the loopback that nobody uses.

    Below those that the system gives to connections, which would be taken before a program listens.
    """
    for _ in range(200):
        first = PORTS.choice(range(20_000, 32_000))
        if all(_is_free(first + more) for more in range(count)):
            return first
    raise AssertionError(f"no {count} neighbouring free ports found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def vpcd_conf(port: int, name: str = "Virtual PCD") -> str:
    """The reader.conf entry of vsmartcard's driver: it listens on `port` (slot 0) and `port` + 1 (slot 1)."""
    return (
        f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:0x{port:04X}\n'
        f"LIBPATH {DRIVERS / 'libifdvpcd.so'}\nCHANNELID 0x{port:04X}\n"
    )


def end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> int:
    """End a process: asked first, then killed; its exit code."""
    process.terminate()
    try:
        return process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(END_SECONDS)


class Pcscd(Daemon):
    """One daemon in the foreground: `with Pcscd(folder, conf_dir=…) as pcscd`.

    `folder` takes the log, the home of the clients and, unless `conf_dir` is given, the configuration
    `reader_conf`. `environment` is what a client process needs; `pid` the daemon's process.
    """

    def __init__(
        self,
        folder: Path,
        *,
        conf_dir: Path | None = None,
        reader_conf: str = "",
        level: str = "--debug",
    ) -> None:
        self.folder = folder
        self.conf_dir = conf_dir or folder / "reader.conf.d"
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        if conf_dir is None:
            self.conf_dir.mkdir(exist_ok=True)
            (self.conf_dir / "reader").write_text(reader_conf, encoding="ascii")
        super().__init__(self.conf_dir, folder / "pcscd.log", level)

    def start(self) -> None:
        """Start the daemon and wait until it takes clients."""
        needs("pcscd", "unshare", "setpriv")
        if not isolation() and os.geteuid() != 0:
            unavailable("this machine allows neither namespaces nor root: pcscd cannot be started")
        WITNESSES.append(self)
        try:
            super().start()
        except PcscdError as wrong:
            self.stop()
            pytest.fail(f"{wrong}\n{self.log}", pytrace=False)

    def stop(self) -> None:
        """End the daemon: asked first, then killed."""
        super().stop()
        if self in WITNESSES:
            WITNESSES.remove(self)

    @property
    def environment(self) -> dict[str, str]:
        """For a client: the socket, an own home, messages in English, the venv's commands first."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "OPENSC"))}
        return kept | {
            "PCSCLITE_CSOCK_NAME": self.socket_name,
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "LANG": "C.UTF-8",
            "PATH": f"{BINARIES}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }

    def run(
        self,
        *command: str | Path,
        stdin: bytes | None = None,
        timeout: float = RUN_SECONDS,
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """A client program to its end; its output as text. Whether it succeeded is the caller's question."""
        needs(str(command[0]))
        process = subprocess.Popen(
            command,
            env=self.environment | dict(more or {}),
            cwd=self.folder,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            said = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what it has started too: a display, a shell's child
            process.communicate()
            raise
        texts = (stream.decode(errors="replace") for stream in said)
        return subprocess.CompletedProcess(command, process.returncode, *texts)

    def start_client(self, *command: str | Path) -> subprocess.Popen[str]:
        """A client program that goes on beside the test; it ends with the test run at the latest."""
        return subprocess.Popen(
            [*TOGETHER, *command],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def readers(self) -> list[str]:
        """The lines of OpenSC's list of readers: number, card present, features, name."""
        said = self.run("opensc-tool", "--list-readers").stdout.splitlines()
        return [line for line in said if line[:1].isdigit()]

    def wait_for_cards(self, count: int) -> None:
        """Wait until pcscd sees `count` cards."""
        wait_for(
            lambda: sum(" Yes " in line for line in self.readers()) == count,
            lambda: f"pcscd does not see {count} card(s): {self.readers()}\n{self.log}",
        )


class Emulated:
    """`vitale-reader emulate` in a process of its own: `with Emulated(folder, [vitale, cps]) as reader`.

    `reader.conf_dir` is for `Pcscd(folder, conf_dir=…)`; with `vpcd`, a port of a running pcscd, there
    is none.
    """

    def __init__(
        self,
        folder: Path,
        images: Sequence[Path],
        *,
        serial: str = "gemcoresimpro2",
        vpcd: int | None = None,
    ) -> None:
        self.folder, self.images = folder, images
        self.link = folder / "tty"
        self.conf_dir = folder / "conf"
        self.log_file = folder / "emulate.log"
        self._where = ["--vpcd", f"127.0.0.1:{vpcd}"] if vpcd else ["--serial", serial]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        slots = [word for image in self.images for word in ("--slot", str(image))]
        command = [*TOGETHER, str(BINARIES / "vitale-reader"), "emulate", *slots, *self._where]
        command += ["--link", str(self.link)]
        if "--serial" in self._where:
            command += ["--pcscd-conf", str(self.conf_dir)]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        WITNESSES.append(self)
        try:
            wait_for(self._answers, lambda: f"vitale-reader emulate is not ready:\n{self.log}")
        except BaseException:
            self.stop()
            raise
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            pytest.fail(f"vitale-reader emulate ended at once (code {code}):\n{self.log}", pytrace=False)
        return Path(f"{self.link}.control").exists() and self.control("status").returncode == 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The reader's process number."""
        assert self._process is not None, "the reader is not started"
        return self._process.pid

    def stop(self) -> int | None:
        """End the reader: asked first, then killed. Its exit code; none when it was not running."""
        process, self._process = self._process, None
        if process is None:
            return None
        WITNESSES.remove(self)
        code = end(process)
        assert "Traceback" not in self.log, self.log
        return code

    def control(self, *words: str | Path, digits: str = "") -> subprocess.CompletedProcess[str]:
        """`vitale-reader control LINK …`: status, insert, remove, cancel, or pin with `digits`."""
        command = [BINARIES / "vitale-reader", "control", self.link, *words]
        return subprocess.run(
            command, input=digits, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
        )

    @property
    def log(self) -> str:
        """What the command has said so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
