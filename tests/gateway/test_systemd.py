"""The service of systemd: its files judged by systemd's own programs, its words heard on a socket."""

from __future__ import annotations

import configparser
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from gateway.clock import SimulatedClock
from gateway.daemon import Daemon
from gateway.exchange.mailbox import Maildir
from gateway.inbox import Inbox
from gateway.pulse import HANG_SECONDS, Pulse
from gateway.seat import Seat
from gateway.service_manager import ServiceManager
from tools.bench import Bench

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = Path(str(files("gateway"))) / "systemd"
UNIT = SYSTEMD / "vitale-gateway.service"
PATIENCE = 20.0
MOST_EXPOSED = 1.5
"""Of 10, as `systemd-analyze security` counts; the unit has 1.1 (an open network and root would have 9.6)."""

PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, REFUSE_EXEC_GAIN = 38, 65, 1


def judge(*command: str | Path) -> str:
    """What a program of systemd says; it must be content."""
    if shutil.which(str(command[0])) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{command[0]} is not there: see tests/judges.txt")
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as it is, but with a program that is there."""
    made, text = tmp_path / UNIT.name, UNIT.read_text(encoding="utf-8")
    program = "/opt/vitale-gateway/bin/vitale-gateway"
    assert program in text
    made.write_text(text.replace(program, sys.executable), encoding="utf-8")
    return made


@pytest.mark.interop
def test_systemd_takes_the_unit(unit: Path) -> None:
    """systemd-analyze finds nothing wrong; a word that it does not know is found (the twin)."""
    assert judge("systemd-analyze", "verify", "--man=no", unit) == ""
    unit.write_text(unit.read_text(encoding="utf-8") + "ProtectNothing=yes\n", encoding="utf-8")
    assert "ProtectNothing" in judge("systemd-analyze", "verify", "--man=no", unit)


@pytest.mark.interop
def test_the_service_is_hardly_exposed(unit: Path) -> None:
    """systemd's own count of what a service that was taken over could still do."""
    threshold = f"--threshold={MOST_EXPOSED * 10:.0f}"
    told = judge("systemd-analyze", "security", "--offline=true", "--no-pager", threshold, unit)
    assert "OK" in told


@pytest.mark.interop
def test_user_and_folders(tmp_path: Path) -> None:
    """sysusers makes the user, tmpfiles the folders, in a root of their own."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    judge("systemd-sysusers", f"--root={root}", SYSTEMD / "vitale-gateway.sysusers")
    assert "vitale-gateway:x:" in (root / "etc/passwd").read_text(encoding="utf-8")
    if os.geteuid():
        pytest.skip("only root gives files to another user")
    judge("systemd-tmpfiles", "--create", f"--root={root}", SYSTEMD / "vitale-gateway.tmpfiles")
    place = root / "etc/vitale-gateway"
    assert (place.stat().st_mode & 0o777, (place / "keys").stat().st_mode & 0o777) == (0o750, 0o700)
    assert str((place / "var").readlink()) == "/var/lib/vitale-gateway"


def test_the_unit_starts_a_command_that_exists() -> None:
    """Its arguments are those of `vitale-gateway serve`, its state is where the settings say."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    words = parser["Service"]["ExecStart"].split()
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", words[1], "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0
    assert all(word in done.stdout for word in words[2:] if word.startswith("--"))
    assert parser["Service"]["Type"] == "notify"
    state = parser["Service"]["WorkingDirectory"]
    assert state in (SYSTEMD / "vitale-gateway.tmpfiles").read_text(encoding="utf-8")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    """The socket that a service manager listens on."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(PATIENCE)
        yield path, listening


HARDENED = f"""
import ctypes, sys
library = ctypes.CDLL(None)
library.prctl({PR_SET_NO_NEW_PRIVS}, 1, 0, 0, 0)
library.prctl({PR_SET_MDWE}, {REFUSE_EXEC_GAIN}, 0, 0, 0)
from gateway.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""No new privileges, and no memory that is both written and run (a kernel before 6.3 does not know that)."""


def test_serve_tells_its_manager(tmp_path: Path, manager: tuple[Path, socket.socket]) -> None:
    """READY when it works, WATCHDOG again and again, STOPPING when told to stop, all of it under MDWE."""
    bench = Bench(tmp_path / "bench")
    bench.make_cards(["cps-gp-sector1", "vitale-single"])
    settings, (path, heard) = bench.write_settings(1), manager
    environment = {**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"}
    environment.pop("WATCHDOG_PID", None)
    with subprocess.Popen(
        [sys.executable, "-c", HARDENED, "serve", "--pin-stdin", "--config", str(settings)],
        cwd=ROOT, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write("1234\n")
            process.stdin.close()
            threading.Thread(target=process.stdout.read, daemon=True).start()
            told = [heard.recv(4096) for _ in range(4)]
            process.send_signal(signal.SIGTERM)
            while told[-1] != b"STOPPING=1":
                told.append(heard.recv(4096))
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    assert told[0] == b"READY=1"
    assert told[1].startswith(b"STATUS=practices: 1, loops at work: ")
    assert set(told[2:-1]) == {b"WATCHDOG=1"}


def test_words_of_the_manager(manager: tuple[Path, socket.socket]) -> None:
    """One datagram for each word; WATCHDOG a few times in its time, and only when it is asked for."""
    now = [0.0]
    path, heard = manager
    one = ServiceManager({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "4000000"}, lambda: now[0])
    one.ready()
    for _ in range(40):
        one.alive()
        now[0] += 0.1
    one.status("two\nlines")
    one.stopping()
    told = [heard.recv(4096) for _ in range(7)]
    assert told == [b"READY=1", *[b"WATCHDOG=1"] * 4, b"STATUS=two lines", b"STOPPING=1"]
    quiet = ServiceManager({"NOTIFY_SOCKET": str(path)})
    quiet.alive()
    other = ServiceManager({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"})
    other.alive()
    quiet.stopping()
    assert heard.recv(4096) == b"STOPPING=1"
    for nobody in ({}, {"NOTIFY_SOCKET": "/nowhere"}, {"WATCHDOG_USEC": "soon", "NOTIFY_SOCKET": "@no"}):
        ServiceManager(nobody).ready()


def test_a_pulse_that_stops_is_seen() -> None:
    """A loop that gives no sign of life for two minutes hangs; one that ended in good order does not."""
    clock = SimulatedClock(datetime(2026, 11, 23, 9, tzinfo=UTC))
    pulse = Pulse(clock)
    for loop in ("send", "collect", "desk"):
        pulse.beat(loop)
    pulse.ended("desk")
    clock.advance(timedelta(seconds=HANG_SECONDS))
    assert pulse.hanging() == []
    pulse.beat("collect")
    clock.advance(timedelta(seconds=1))
    assert pulse.hanging() == ["send"]
    pulse.beat("send")
    assert pulse.hanging() == []


class Hanging:
    """A relay that holds the sending loop until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Nothing is due in this test."""

    def abort(self) -> None:
        """Let go."""
        self.go.set()


def test_a_watchdog_does_not_lie(tmp_path: Path, manager: tuple[Path, socket.socket]) -> None:
    """A loop hangs: the others work on, no WATCHDOG is sent any more, and the loop is named."""
    clock, relay, said = SimulatedClock(datetime.now(UTC)), Hanging(), list[str]()
    bench = Bench(tmp_path / "bench", clock)
    practice, (path, heard) = bench.practice(), manager
    with closing(practice.store):
        seat = Seat(practice, None, Inbox(tmp_path / "in"), Maildir(tmp_path / "mail"), said.append)
        told = ServiceManager({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1"})
        daemon, stop = Daemon([seat], relay, said.append, pause=0.01, manager=told), threading.Event()
        thread = threading.Thread(target=daemon.run, args=(stop,))
        thread.start()
        while heard.recv(4096) != b"WATCHDOG=1":
            pass
        seat.collect = relay.go.wait  # type: ignore[assignment,method-assign]
        clock.advance(timedelta(seconds=HANG_SECONDS + 1))
        waiting = threading.Event()
        for _ in range(2000):
            if any(line == "no sign of life from the loop collect" for line in said):
                break
            clock.advance(timedelta(seconds=1))
            waiting.wait(0.01)
        heard.setblocking(False)
        with suppress(BlockingIOError):
            while heard.recv(4096):
                pass
        heard.settimeout(PATIENCE)
        assert {heard.recv(4096) for _ in range(5)} == {b"STATUS=no sign of life from the loop collect"}
        stop.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert "no sign of life from the loop collect" in said
