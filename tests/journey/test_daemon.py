"""The gateway as a practice runs it: `vitale-gateway serve` and a receiver, each a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from gateway.clock import SystemClock
from gateway.exchange.calendar import legal_day
from gateway.failpoint import EXIT_CODE
from gateway.store.rows import FseRow
from gateway.store.store import Store
from tests.interop.bench_pcscd import free_ports
from tools.bench import PRACTICE, Bench
from tools.receiver.ledger import LEDGER_FILE, Ledger

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PATIENCE = 60.0
STOP_SECONDS, RESTART_SECONDS, IDLE_MEGABYTES = 5.0, 5.0, 100


def until(reached: Callable[[], object], what: str) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end, f"this never came: {what}"
        time.sleep(0.02)


class Program:
    """A process whose lines are read as they come."""

    def __init__(self, command: list[str], *, given: bytes = b"", failpoint: str = "") -> None:
        environment = os.environ | {"VITALE_FAILPOINT": failpoint, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(given)
        self.process.stdin.close()
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    def says(self, pattern: str) -> re.Match[str]:
        """The first line that matches, waited for."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            found.extend(match for line in list(self.lines) if (match := re.search(pattern, line)))
            return bool(found) or self.process.poll() is not None

        until(look, f"a line like {pattern!r}")
        self._reading.join(0 if found else PATIENCE)
        look()
        assert found, self.lines
        return found[0]

    def end(self, number: int) -> tuple[int, float]:
        """Send a signal; exit code, and the seconds it took."""
        start = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        took = time.monotonic() - start
        self._reading.join(PATIENCE)
        return code, took


class Surgery:
    """One practice: its folder, its gateway, its receiver."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.running = bench, list[Program]()
        self.inbox = bench.root / "inbox"
        self.settings = bench.root / "vitale-gateway.toml"

    def receiver(self) -> Program:
        """Start the receiver, and write the settings for its port."""
        root = self.bench.root
        command = [sys.executable, "-m", "tools.receiver", "serve", "--port", "0", "--practice", PRACTICE]
        for option, place in (
            ("--authority", "authority"),
            ("--state", "receiver"),
            ("--maildir", "mailbox"),
        ):
            command += [option, str(root / place)]
        started = Program(command)
        self.running.append(started)
        self.configure(int(started.says(r"port (\d+)")[1]))
        return started

    def configure(self, port: int) -> None:
        """Settings for a receiver on this port; lots are closed at once."""
        self.bench.write_settings(port)
        text = self.settings.read_text(encoding="utf-8")
        self.settings.write_text(re.sub(r"after_minutes = \d+", "after_minutes = 0", text), encoding="utf-8")

    def serve(self, failpoint: str = "") -> Program:
        """Start the gateway and give the PIN."""
        command = [str(BIN / "vitale-gateway"), "serve", "--pin-stdin", "--config", str(self.settings)]
        started = Program(command, given=b"1234\n", failpoint=failpoint)
        self.running.append(started)
        return started

    def serving(self) -> Program:
        """Start the gateway and wait until it is at work."""
        started = self.serve()
        started.says("CPS unlocked")
        return started

    def drop(self, name: str, **changes: object) -> None:
        """Put one care act into the inbox, as the inbox asks for it."""
        day = legal_day(self.bench.clock.now()).isoformat()
        act = {"date": day, "acts": [{"code": "G", "quantity": 1}], "third_party": "amo", **changes}
        self.inbox.mkdir(exist_ok=True)
        partial = self.bench.root / f"{name}.partial"
        partial.write_text(json.dumps(act), encoding="utf-8")
        partial.rename(self.inbox / f"{name}.json")

    def answer(self, name: str) -> Mapping[str, Any]:
        """The answer to an act, waited for."""
        path = self.inbox / "done" / f"{name}.answer.json"
        until(path.exists, f"the answer to {name}")
        answer: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return answer

    def answers(self) -> dict[str, Mapping[str, Any]]:
        """Every answer so far."""
        found = (self.inbox / "done").glob("*.answer.json")
        return {path.name.removesuffix(".answer.json"): json.loads(path.read_text("utf-8")) for path in found}

    def status(self) -> Mapping[str, Any]:
        """`vitale-gateway status --json`."""
        counts: Mapping[str, Any] = json.loads(self.ask("status", "--json").stdout)
        return counts

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`vitale-gateway` with these words, until it ends."""
        command = [str(BIN / "vitale-gateway"), *words, "--config", str(self.settings)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    def kept(self) -> list[FseRow]:
        """What the store keeps."""
        with closing(Store(self.bench.store_url, SystemClock(), read_only=True)) as store:
            assert store.verify_audit() > 0
            return store.fse_list(limit=10_000)

    def claims(self) -> list[tuple[int, int]]:
        """The receiver's ledger: each invoice number and how often it is there."""
        with Ledger(self.bench.root / "receiver" / LEDGER_FILE) as ledger:
            return ledger.rows("SELECT number, count(*) FROM claim GROUP BY number ORDER BY number")

    def until_acknowledged(self, count: int) -> None:
        """Wait until this many FSE are accepted, seen through `status` while the gateway works."""
        until(lambda: self.status()["fse"]["ACCEPTED"] == count, f"{count} FSE ACCEPTED")


@pytest.fixture
def surgery(bench: Bench) -> Iterator[Surgery]:
    """A practice; whatever still runs at the end is killed."""
    made = Surgery(bench)
    yield made
    for program in made.running:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()


def resident_megabytes(process: int) -> float:
    """VmRSS of a process."""
    text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found[1]) / 1024


def test_a_day_at_work(surgery: Surgery, record_property: Callable[[str, object], None]) -> None:
    """Acts are answered, lots leave, ARL come in, status tells; one gateway per store; a clean end."""
    surgery.receiver()
    gateway = surgery.serving()
    surgery.drop("first")
    surgery.drop("bad", acts=[{"code": "NOSUCH"}])
    surgery.drop("second")
    first, bad, second = (surgery.answer(name) for name in ("first", "bad", "second"))
    assert (first["accepted"], second["accepted"]) == (True, True)
    assert first["number"] != second["number"]
    assert (bad["accepted"], bad["code"]) == (False, "input")
    assert "NOSUCH" in bad["reason"]
    assert "\n" not in bad["reason"]
    surgery.until_acknowledged(2)
    assert surgery.status()["lots"]["ACKNOWLEDGED"] >= 1
    again = surgery.serve()
    assert again.process.wait(PATIENCE) == 1
    again.says("another gateway")
    assert len(again.lines) == 1
    megabytes = resident_megabytes(gateway.process.pid)
    record_property("idle daemon", {"megabytes": round(megabytes)})
    assert megabytes < IDLE_MEGABYTES
    code, took = gateway.end(signal.SIGTERM)
    assert (code, gateway.lines[-1]) == (0, "stopped in good order; what was accepted is kept.")
    assert took < STOP_SECONDS
    assert surgery.claims() == [(first["number"], 1), (second["number"], 1)]


def test_an_interrupted_act_is_reported_and_not_billed_again(surgery: Surgery) -> None:
    """Killed between keeping and answering: the next start names the act, leaves it, takes the others."""
    surgery.receiver()
    surgery.drop("interrupted")
    assert surgery.serve("keep-after").process.wait(PATIENCE) == EXIT_CODE
    assert (surgery.inbox / "taken" / "interrupted.json").exists()
    surgery.drop("next")
    gateway = surgery.serving()
    gateway.says("care act interrupted.json was interrupted")
    assert surgery.answer("next")["accepted"]
    surgery.until_acknowledged(2)
    assert [row.number for row in surgery.kept()] == [2, 1], "the interrupted act was kept once, by itself"
    assert (surgery.inbox / "taken" / "interrupted.json").exists()
    assert "interrupted" not in surgery.answers()


def test_kill_and_restart_lose_nothing(surgery: Surgery) -> None:
    """SIGKILL three times in a full inbox: what was answered is kept once and acknowledged once."""
    surgery.receiver()
    acts = [f"act{number:03}" for number in range(60)]
    for name in acts:
        surgery.drop(name)
    for least in (5, 15, 30):
        gateway = surgery.serving()
        until(lambda wanted=least: len(surgery.answers()) >= wanted, f"{least} answers")
        gateway.end(signal.SIGKILL)
    start = time.monotonic()
    gateway = surgery.serving()
    gateway.says("lots: [1-9]")
    assert time.monotonic() - start < RESTART_SECONDS
    until(lambda: not list(surgery.inbox.glob("*.json")), "an empty inbox")
    interrupted = {path.stem for path in (surgery.inbox / "taken").glob("*.json")}
    until(lambda: len(surgery.answers().keys() | interrupted) == len(acts), "an answer to each act")
    kept = {row.number for row in surgery.kept()}
    numbers = [answer["number"] for answer in surgery.answers().values()]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) <= kept, "an answered act was lost"
    assert len(kept) - len(numbers) <= len(interrupted - surgery.answers().keys()) <= 3
    surgery.until_acknowledged(len(kept))
    assert surgery.claims() == [(number, 1) for number in sorted(kept)]
    assert surgery.status()["unmatched"] == 0
    assert gateway.end(signal.SIGTERM)[0] == 0


def test_it_stops_beside_a_relay_that_never_answers(surgery: Surgery) -> None:
    """A relay that takes the connection and says nothing: SIGTERM ends the gateway, the lot leaves later."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        surgery.configure(silent.getsockname()[1])
        gateway = surgery.serving()
        surgery.drop("first")
        surgery.answer("first")
        silent.accept()
        code, took = gateway.end(signal.SIGTERM)
    assert (code, took < STOP_SECONDS) == (0, True), (code, took, gateway.lines)
    surgery.settings.unlink()
    surgery.receiver()
    surgery.serving()
    surgery.until_acknowledged(1)
    assert surgery.claims() == [(1, 1)]


def test_it_stops_in_the_middle_of_a_full_inbox(surgery: Surgery) -> None:
    """A thousand acts wait and SIGTERM comes: the one in hand is answered, the others stay in the inbox."""
    surgery.receiver()
    for number in range(1000):
        surgery.drop(f"act{number:04}")
    gateway = surgery.serving()
    surgery.answer("act0000")
    code, took = gateway.end(signal.SIGTERM)
    assert (code, took < STOP_SECONDS) == (0, True), (code, took)
    left, answered = len(list(surgery.inbox.glob("*.json"))), len(surgery.answers())
    assert left > 0
    assert (left + answered, list((surgery.inbox / "taken").iterdir())) == (1000, [])
    assert len(surgery.kept()) == answered


class Refusing:
    """A relay that knows no organism."""

    async def handle_RCPT(self, *_: object) -> str:
        """Nobody is known here."""
        return "550 5.1.1 no such organism"


def test_a_parked_lot_is_released_by_hand(surgery: Surgery) -> None:
    """Refused for good: status names the lot and why; `release` puts the same bytes back, once."""
    port = free_ports()
    relay = Controller(Refusing(), hostname="127.0.0.1", port=port)
    relay.start()
    surgery.configure(port)
    gateway = surgery.serving()
    surgery.drop("first")
    gateway.says("1 parked")
    relay.stop()
    line = re.search(r"lot (\S+) is PARKED: .*no such organism", surgery.ask("status").stdout)
    assert line
    assert "a gateway works on this store" in surgery.ask("release", line[1]).stderr
    gateway.end(signal.SIGTERM)
    unknown, released, again = (surgery.ask("release", lot) for lot in ("nothing", line[1], line[1]))
    assert (unknown.returncode, released.returncode, again.returncode) == (1, 0, 1)
    assert (unknown.stderr.count("\n"), again.stderr.count("\n")) == (1, 1)
    surgery.settings.unlink()
    surgery.receiver()
    surgery.serving()
    surgery.until_acknowledged(1)
    assert surgery.claims() == [(1, 1)]
