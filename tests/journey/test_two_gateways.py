"""Two gateways on one PostgreSQL store: one has the cards and seals, the other sends and collects."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest

from gateway.clock import SystemClock
from gateway.failpoint import EXIT_CODE
from gateway.store.store import Store
from tests.journey import test_daemon
from tests.journey.test_daemon import BIN, PATIENCE, Program, Surgery, until
from tools.bench import Bench
from tools.postgres import PostgresError, PostgresServer


class Hosted(Surgery):
    """A practice whose store is on a server: a gateway with the reader, and one without beside it."""

    def __init__(self, bench: Bench, server: PostgresServer, database: str) -> None:
        super().__init__(bench)
        self.database, self.url = database, server.create(database)
        self.worker_settings = bench.root / "worker.toml"

    def configure(self, port: int) -> None:
        """The settings of both gateways: they differ in their name, in the reader and in who sends."""
        super().configure(port)
        text = self.settings.read_text(encoding="utf-8")
        store = f'url = "{self.url}"\nkey = "store.key"\nowner = "OWNER"'
        text = re.sub(r'^url = "sqlite:.*$', lambda _: store, text, flags=re.M)
        assert "OWNER" in text
        desk = text.replace("OWNER", "desk").replace("[receiver]", "[receiver]\nsends = false")
        worker = re.sub(r"^\[reader\].*?(?=^\[receiver\])", "", text, flags=re.M | re.S)
        self.settings.write_text(desk, encoding="utf-8")
        self.worker_settings.write_text(worker.replace("OWNER", "worker"), encoding="utf-8")

    def worker(self, failpoint: str = "") -> Program:
        """Start the gateway without a reader; no PIN is asked."""
        command = [str(BIN / "vitale-gateway"), "serve", "--pin-later", "--config", str(self.worker_settings)]
        started = Program(command, failpoint=failpoint)
        self.running.append(started)
        return started

    def states(self) -> dict[str, int]:
        """FSE by state, those that there are; the whole trail is checked."""
        key = str(self.bench.root / "store.key")
        with Store(self.url, SystemClock(), read_only=True, key=key) as store:
            assert store.verify_audit() > 0
            return {state: count for state, count in store.counts().fse.items() if count}

    def until_acknowledged(self, count: int) -> None:
        """Wait until this many FSE are accepted."""
        until(lambda: self.states() == {"ACCEPTED": count}, f"{count} FSE ACCEPTED")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes start side by side here: on a machine that is busy that takes its time."""
    monkeypatch.setattr(test_daemon, "PATIENCE", 90.0)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of its own."""
    try:
        with PostgresServer() as made:
            yield made
    except PostgresError as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))


@pytest.fixture
def hosted(bench: Bench, server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Hosted]:
    """Both gateways over a database of their own; whatever still runs at the end is killed."""
    made = Hosted(bench, server, request.node.name[:40])
    yield made
    for program in made.running:
        print("\n".join(program.lines))  # shown when the test failed
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()


def test_one_seals_the_other_sends_and_one_dies(hosted: Hosted, server: PostgresServer) -> None:
    """The worker dies with lots in its hands, then by kill -9, then the server cuts everybody off.

    Nothing is lost, nothing is there twice, and the desk works on.
    """
    hosted.receiver()
    desk = hosted.serving()
    desk.says("another gateway of this store sends and collects")
    for number in range(6):
        hosted.drop(f"act{number}")
    until(lambda: len(hosted.answers()) == 6, "six answers")
    assert all(answer["accepted"] for answer in hosted.answers().values())
    until(lambda: hosted.states() == {"IN_LOT": 6}, "six FSE in lots, nobody sends them yet")

    dying = hosted.worker("sent-before")
    dying.says("no reader here: this gateway sends and collects for demo")
    assert dying.process.wait(PATIENCE) == EXIT_CODE, "the relay has a lot, and nobody noted it"
    worker = hosted.worker()
    hosted.until_acknowledged(6)

    for number in range(6, 12):
        hosted.drop(f"act{number}")
    until(lambda: len(hosted.answers()) >= 8, "the desk works on")
    worker.end(signal.SIGKILL)
    until(lambda: len(hosted.answers()) == 12, "the desk works on without a worker")
    server.disconnect(hosted.database)
    again = hosted.worker()
    hosted.drop("last")
    hosted.until_acknowledged(13)

    assert hosted.claims() == [(number, 1) for number in range(1, 14)]
    assert hosted.status()["unmatched"] == 0
    for gateway in (again, desk):
        assert gateway.end(signal.SIGTERM)[0] == 0
        assert gateway.lines[-1] == "stopped in good order; what was accepted is kept."


def test_a_reader_has_one_owner(hosted: Hosted) -> None:
    """A second gateway with the same reader is refused in one sentence, and has it when the first ends."""
    hosted.configure(1)
    first = hosted.serving()
    text = hosted.settings.read_text(encoding="utf-8")
    hosted.settings.write_text(text.replace('owner = "desk"', 'owner = "second"'), encoding="utf-8")
    refused = hosted.serve()
    assert refused.process.wait(PATIENCE) == 1
    assert len(refused.lines) == 1
    assert "the reader emulated is used by desk until" in refused.lines[0]
    assert first.end(signal.SIGTERM)[0] == 0
    second = hosted.serving()
    assert second.end(signal.SIGTERM)[0] == 0
