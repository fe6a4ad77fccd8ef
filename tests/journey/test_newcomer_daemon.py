"""What a newcomer does to a gateway at work: odd files in the inbox, a relay that hangs, signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tools.demo
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.errors import GatewayError, StoreError
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender, Transient
from gateway.inbox import Inbox
from gateway.practice import Practice
from gateway.seat import Seat
from tools.bench import TEST_PIN, Bench

ACT = {"acts": [{"code": "G"}], "third_party": "amo"}
SERVED = "care acts are taken from"


class Closed:
    """A relay that takes nothing."""

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        raise Transient("The relay is closed; it will be tried again.")

    def abort(self) -> None:
        """Nothing is under way."""


@pytest.fixture
def said() -> list[str]:
    """What the daemon says."""
    return []


@pytest.fixture
def daemon(practice: Practice, desk: Desk, bench: Bench, said: list[str]) -> Iterator[Daemon]:
    """An unlocked daemon that works when `turn` is called."""
    desk.unlock(TEST_PIN)
    inbox, mailbox = Inbox(bench.directory("inbox")), Maildir(bench.directory("mailbox"))
    yield Daemon([Seat(practice, desk, inbox, mailbox, said.append)], Closed(), said.append, pause=0.01)
    desk.lock()


def drop(daemon: Daemon, bench: Bench, name: str, content: bytes | None = None) -> None:
    """Drop one act; a plain consultation of today when nothing else is said."""
    if content is None:
        content = json.dumps({"date": legal_day(daemon.practice.clock.now()).isoformat(), **ACT}).encode()
    (bench.directory("inbox") / name).write_bytes(content)


def answers(bench: Bench) -> dict[str, dict[str, Any]]:
    """The answers by the name of the act."""
    done = bench.directory("inbox") / "done"
    found = {path.name: path.read_text("utf-8") for path in done.glob("*.answer.json")}
    return {name.removesuffix(".answer.json"): json.loads(text) for name, text in found.items()}


ODD = {
    "nested": b"[" * 50_000,
    "number": b'{"date": "2026-01-02", "acts": [{"code": "G", "coefficient": "sNaN"}]}',
    "garbage": bytes(range(256)) * 300,
    "half": b'{"\\ud800": 1}',
    "empty": b"",
}


def test_no_file_of_the_inbox_stops_the_work(daemon: Daemon, bench: Bench, said: list[str]) -> None:
    """Each odd file is answered with its reason, and the good act behind them is billed."""
    for name, content in ODD.items():
        drop(daemon, bench, f"{name}.json", content)
    drop(daemon, bench, "zgood.json")
    daemon.turn()
    found = answers(bench)
    assert {name for name in found if not found[name]["accepted"]} == set(ODD)
    assert found["zgood"]["accepted"]
    assert len(daemon.practice.store.fse_list()) == 1
    assert len(said) >= len(ODD) + 1


@pytest.mark.parametrize("name", ["b\udce9b.json", "a\nb.json", "é è.json", "x.json.json"])
def test_an_act_may_have_any_name(daemon: Daemon, bench: Bench, name: str) -> None:
    """Bytes that are no text, line breaks, accents: billed, and answered under the act's own name."""
    drop(daemon, bench, name)
    drop(daemon, bench, "bad-" + name, b"{")
    daemon.turn()
    done = bench.directory("inbox") / "done"
    for act in (name, "bad-" + name):
        assert (done / act).exists()
        assert json.loads((done / (act.removesuffix(".json") + ".answer.json")).read_text("utf-8"))
    assert len(daemon.practice.store.fse_list()) == 1


def test_an_answer_is_not_an_act(daemon: Daemon, bench: Bench) -> None:
    """NAME.answer.json in the inbox is left alone, so that it cannot take the place of the answer to NAME."""
    drop(daemon, bench, "a.json")
    drop(daemon, bench, "a.answer.json")
    daemon.turn()
    assert answers(bench)["a"]["accepted"]
    assert (bench.directory("inbox") / "a.answer.json").exists()


def test_links_folders_and_pipes_in_the_inbox(daemon: Daemon, bench: Bench) -> None:
    """What is no file is left alone and holds up nothing."""
    inbox = bench.directory("inbox")
    (inbox / "dangling.json").symlink_to("/nowhere")
    (inbox / "folder.json").mkdir()
    os.mkfifo(inbox / "pipe.json")
    drop(daemon, bench, "good.json")
    daemon.turn()
    assert list(answers(bench)) == ["good"]


def test_an_answer_that_cannot_be_written_is_written_later(
    daemon: Daemon, bench: Bench, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inbox takes no answer for a while: the FSE is kept once, said once, and answered when it can be."""
    write = Inbox.answer

    def full(*_: object) -> None:
        raise StoreError("the inbox cannot be used (No space left on device): free the disk")

    monkeypatch.setattr(Inbox, "answer", full)
    drop(daemon, bench, "a.json")
    for _ in range(3):
        daemon.turn()
    assert answers(bench) == {}
    assert sum("No space left" in line for line in said) == 1
    monkeypatch.setattr(Inbox, "answer", write)
    daemon.turn()
    assert answers(bench)["a"]["accepted"]
    assert len(daemon.practice.store.fse_list()) == 1


def test_a_mailbox_that_disappears_stops_nothing_else(daemon: Daemon, bench: Bench, said: list[str]) -> None:
    """The folder of the returns is gone: that is said once, and acts are billed all the same."""
    shutil.rmtree(bench.directory("mailbox"))
    drop(daemon, bench, "a.json")
    daemon.turn()
    assert answers(bench)["a"]["accepted"]
    assert sum("mailbox" in line for line in said) == 1
    Maildir(bench.directory("mailbox"))
    daemon.turn()
    assert sum("mailbox" in line for line in said) == 1


def test_why_lots_wait_is_said(daemon: Daemon, bench: Bench, said: list[str]) -> None:
    """A relay that takes nothing: the line about the lots gives the reason."""
    daemon.seats[0].lot_after = timedelta(0)
    drop(daemon, bench, "a.json")
    daemon.turn()
    assert any("1 to send again" in line and "The relay is closed" in line for line in said)


def test_the_same_two_complaints_in_turn_are_said_once(daemon: Daemon, said: list[str]) -> None:
    """Two things wrong at once do not fill the log turn by turn."""

    def first() -> None:
        raise GatewayError("first")

    def second() -> None:
        raise GatewayError("second")

    for _ in range(5):
        daemon._guarded(first)
        daemon._guarded(second)
    assert said == ["first", "second"]


def test_a_part_that_breaks_stops_the_whole(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of the program in one loop ends the daemon, CPS locked: no half of it stays at work."""

    def broken(self: Daemon) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Daemon, "_send", broken)
    stop = threading.Event()
    with pytest.raises(ZeroDivisionError):
        daemon.run(stop)
    assert stop.is_set()
    assert not daemon.desk.is_unlocked


@pytest.fixture
def silent_relay() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_sender_that_waits_can_be_stopped(silent_relay: int) -> None:
    """A relay that never answers: abort() ends the send at once, and nothing more is sent."""
    sender, heard = SmtpSender("127.0.0.1", silent_relay, timeout=60), []

    def send() -> None:
        try:
            sender.send("a@practice.test", "b@receiver.test", b"x\r\n")
        except Transient as told:
            heard.append(told)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    while sender._latest is None or sender._latest._opened is None:
        time.sleep(0.01)
    while thread.is_alive():
        sender.abort()
        thread.join(0.05)
    send()
    assert len(heard) == 2


def serve(bench: Bench, port: int, act: bool = True) -> subprocess.Popen[str]:
    """`vitale-gateway serve` in that folder, lots closed at once, at work when this returns."""
    settings = bench.write_settings(port)
    text = settings.read_text("utf-8").replace("after_minutes = 30", "after_minutes = 0")
    settings.write_text(text, encoding="utf-8")
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "serve", "--pin-stdin"],
        cwd=bench.root, env={**os.environ, "PYTHONPATH": str(root)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write("1234\n")
    process.stdin.close()
    process.stdin = None
    assert SERVED in process.stdout.readline()  # type: ignore[union-attr]
    return process


def eventually(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    for _ in range(1000):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it never happened")


def test_a_signal_ends_a_gateway_whose_relay_hangs(bench: Bench, silent_relay: int) -> None:
    """SIGTERM twice and Ctrl-C while a lot is being sent: an orderly end, and the lot goes again later."""
    process = serve(bench, silent_relay)
    today = legal_day(bench.clock.now()).isoformat()
    partial = bench.directory("inbox") / ".a"
    partial.write_text(json.dumps({"date": today, **ACT}), encoding="utf-8")
    partial.rename(bench.directory("inbox") / "a.json")
    eventually(lambda: "lot 1 sealed" in process.stdout.readline())  # type: ignore[union-attr]
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
        time.sleep(0.1)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0, out
    assert "stopped in good order" in out
    assert "Traceback" not in out
    practice = bench.practice()
    assert practice.store.counts().lots["SEALED"] == 1
    practice.store.close()


def test_a_gateway_nobody_listens_to_works_on(bench: Bench) -> None:
    """Its standard output is closed: acts are billed all the same, and SIGTERM still ends it well."""
    process = serve(bench, 1)
    process.stdout.close()  # type: ignore[union-attr]
    today = legal_day(bench.clock.now()).isoformat()
    for name in ("a", "b"):
        partial = bench.directory("inbox") / f".{name}"
        partial.write_text(json.dumps({"date": today, **ACT}), encoding="utf-8")
        partial.rename(bench.directory("inbox") / f"{name}.json")
        eventually(lambda name=name: answers(bench).get(name, {}).get("accepted"))
    process.terminate()
    assert process.wait(20) in (0, 1)


def test_the_demo_runs_twice_in_one_folder(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is kept: the second run says which sheets are from an earlier one."""
    monkeypatch.setattr(tools.demo, "SCENES", tools.demo.SCENES[-1:])
    monkeypatch.setattr(tools.demo, "DAY_SECONDS", 0.01)
    for _ in range(2):
        assert tools.demo.main(["--dir", str(bench.root)]) == 0
    assert "from an earlier run" in capsys.readouterr().out
