"""Promises A1, A2 and B11 on the whole line: gateway and receiver killed, nothing lost, nothing doubled."""

from __future__ import annotations

import inspect
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import gateway.failpoint
from gateway import pipeline
from gateway.clock import SystemClock
from gateway.failpoint import EXIT_CODE
from gateway.lots.fse import Fse
from gateway.steps import STEPS, step
from gateway.store import migrations
from gateway.store.backup import BACKUP_POINTS, RESTORE_POINTS
from gateway.store.database import STEPS as STORE_STEPS
from gateway.store.store import Store
from tests.crash.line_life import ACTS, PATIENCE, PER_LOT, World, live_gateway, live_receiver
from tools.bench import PRACTICE
from tools.receiver.ledger import LEDGER_FILE, Ledger

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("VITALE_SEED", "86"))
RANDOM_LIVES, KILLS_PER_LIFE = 4, 8
RESTART_SECONDS, HANG_SECONDS = 2.0, 30.0
"""What A1 promises of a start (counted: a busy machine is not the gateway's fault), and what is a hang."""

BY_HAND = {"park", "release", "audit", "keep-answer", "sign-fse", "cancel", "twin-written", "take-reader"}
"""Steps that a person, a program or a refused lot makes: tests/crash/test_store_killed.py kills there."""

GATEWAY_POINTS = [f"{step}-{place}" for step in STEPS for place in ("before", "after")] + [
    f"{step}-{place}"
    for step in STORE_STEPS
    if step not in BY_HAND
    for place in ("before", "commit", "after")
]
RECEIVER_POINTS = [
    "receiver-receive-after",
    *(f"receiver-record-{place}" for place in ("before", "inside", "after")),
    *(f"receiver-deliver-{place}" for place in ("before", "after")),
    *(f"receiver-return-{place}" for place in ("before", "inside", "after")),
    *(f"mailbox-{place}-rename" for place in ("before", "after")),
]

KEEPING_POINTS = (*migrations.POINTS, *BACKUP_POINTS, *RESTORE_POINTS)
"""Where tests/crash/test_keeping_killed.py kills."""


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """An authority and two cards, read once, on a disk in memory where there is one."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield World.at(Path(folder) / "world")


@dataclass
class Place:
    """One case: its directory, its children, and how many of them were killed."""

    world: World
    root: Path
    kills: int = 0
    alive: set[int] = field(default_factory=set)

    def fork(self, life: Callable[..., None], *faults: str, failpoint: str = "") -> int:
        """Start a child in a fork, standard output into `told`; its process number."""
        child = os.fork()
        if child:
            self.alive.add(child)
            return child
        code = 1
        try:
            told = os.open(self.root / "told", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.dup2(told, 1)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - pytest has its own
            name, _, count = failpoint.partition(":")
            gateway.failpoint._name, gateway.failpoint._left = name, int(count or 1)
            life(self.world, self.root, *faults)
            code = 0
        finally:
            os._exit(code)

    def wait(self, child: int) -> int:
        """The exit code of a child (negative: the signal), which has to end in time."""
        end = time.monotonic() + PATIENCE
        while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > end:
                self.kill(child)
                pytest.fail("the child does not end")
            time.sleep(0.002)
        self.alive.remove(child)
        code = os.waitstatus_to_exitcode(done[1])
        self.kills += code == EXIT_CODE
        return code

    def stop(self, receiver: int) -> None:
        """The receiver ends in good order."""
        os.kill(receiver, signal.SIGTERM)
        assert self.wait(receiver) == 0

    def kill(self, child: int, *, counted: bool = True) -> None:
        """SIGKILL, unless it has ended by itself."""
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        self.alive.remove(child)
        self.kills += counted and os.waitstatus_to_exitcode(status) == -signal.SIGKILL

    def told(self, kind: str) -> list[str]:
        """What the children said of one kind; a line cut short by a kill was not said."""
        path = self.root / "told"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [line.split(" ", 1)[1] for line in lines if line.startswith(kind + " ")]


@pytest.fixture
def place(world: World) -> Iterator[Place]:
    """A fresh copy of the world, with junk in the practice's mailbox."""
    with tempfile.TemporaryDirectory(dir=world.bench.root.parent) as folder:
        root = Path(folder) / "life"
        shutil.copytree(world.bench.directory("cards"), root / "cards")
        for name in ("tmp", "new", "cur", "aside"):
            (root / "mailbox" / name).mkdir(parents=True)
        (root / "mailbox" / "new" / "junk").write_bytes(b"this is no return\r\n")
        made = Place(world, root)
        yield made
        for child in tuple(made.alive):
            made.kill(child)


@dataclass
class Verdict:
    """What three ledgers say together: the caller's, the gateway's, the receiver's."""

    lost: int = 0
    doubled: int = 0
    ghosts: int = 0


def judge(place: Place) -> Verdict:
    """Compare what the caller was told, what the gateway keeps and what the receiver holds."""
    accepted = [int(number) for number in place.told("accepted")]
    with Store(f"sqlite:///{place.root / 'gateway.db'}", SystemClock(), read_only=True) as store:
        kept = {row.number: row for row in store.fse_list()}
        lots = {row.compostage: row for row in store.lot_list()}
        inside = [Fse.parse(body).number for body in store.fse_bodies(PRACTICE, sorted(kept))]
        assert store.verify_audit() > 0
        reserved = [r.entry.ref for r in store.audit_records() if r.entry.what == "FSE numbers reserved"]
        assert store.counts().unmatched == 1, "the junk, and nothing else, waits for a person"
    with Ledger(place.root / "receiver" / LEDGER_FILE) as ledger:
        claims = Counter(dict(ledger.rows("SELECT number, count(*) FROM claim GROUP BY number")))
        held = ledger.rows("SELECT compostage, content, number, date, positive FROM lot")
        assert ledger.rows("SELECT reason FROM refusal") == []
        assert ledger.rows("SELECT count(*) FROM claim WHERE noemie IS NULL") == [(0,)]
    assert inside == sorted(kept)
    assert len(kept) == ACTS
    assert len(lots) == -(-ACTS // PER_LOT)
    assert {row.state.value for row in kept.values()} == {"PAID"}
    assert {row.state.value for row in lots.values()} == {"ACKNOWLEDGED"}
    assert len(reserved) == len(set(reserved)), "an FSE number was given twice"
    assert len({(number, date) for _, _, number, date, _ in held}) == len(held), "a lot number was used twice"
    assert {compostage: content for compostage, content, *_ in held} == sealed_bytes(place)
    assert all(positive for *_, positive in held)
    return Verdict(
        lost=len(set(kept) - set(claims)),
        doubled=claims.total() - len(claims) + len(accepted) - len(set(accepted)),
        ghosts=len((set(accepted) | set(claims)) - set(kept)),
    )


def sealed_bytes(place: Place) -> dict[str, bytes]:
    """Every lot of the gateway's outbox: its compostage and the bytes that were sealed."""
    database = sqlite3.connect(place.root / "gateway.db")
    try:
        query = "SELECT compostage, message FROM lot JOIN lot_body ON lot_body.lot_seq = lot.seq"
        return dict(database.execute(query).fetchall())
    finally:
        database.close()


def close_case(place: Place, record: Callable[[str, object], None]) -> None:
    """The end of each case: figures for the last line of the session, then zero of everything."""
    verdict = judge(place)
    starts = [float(seconds) for seconds in place.told("sending-after")]
    figures = {"kills": place.kills, "lost": verdict.lost, "dup": verdict.doubled, "ghost": verdict.ghosts}
    figures["starts beyond 2 s"] = sum(seconds > RESTART_SECONDS for seconds in starts)
    record("promise A1", {**figures, "seed": SEED})
    assert verdict == Verdict()
    assert max(starts, default=0.0) < HANG_SECONDS, f"sending began {max(starts):.1f} s after a start"


@pytest.mark.parametrize("name", GATEWAY_POINTS)
def test_gateway_killed(place: Place, name: str, record_property: Callable[[str, object], None]) -> None:
    """Killed at the first and at the third passage of this step, the next run ends the work by itself."""
    receiver = place.fork(live_receiver, "refuse:3")
    assert place.wait(place.fork(live_gateway, failpoint=name)) == EXIT_CODE, f"nothing passes {name}"
    place.wait(place.fork(live_gateway, failpoint=f"{name}:3"))
    assert place.wait(place.fork(live_gateway)) == 0
    place.kill(receiver, counted=False)
    close_case(place, record_property)


@pytest.mark.parametrize("name", RECEIVER_POINTS)
def test_receiver_killed(place: Place, name: str, record_property: Callable[[str, object], None]) -> None:
    """The receiver killed at this step and started again: the same gateway goes on and ends its work."""
    dying = place.fork(live_receiver, failpoint=name)
    at_work = place.fork(live_gateway)
    assert place.wait(dying) == EXIT_CODE, f"nothing passes {name}"
    receiver = place.fork(live_receiver)
    assert place.wait(at_work) == 0
    place.stop(receiver)
    close_case(place, record_property)


def test_nobody_killed(place: Place) -> None:
    """The twin: without a kill the same line ends the same way."""
    receiver = place.fork(live_receiver, "refuse:3")
    assert place.wait(place.fork(live_gateway)) == 0
    place.stop(receiver)
    assert judge(place) == Verdict()
    assert place.told("accepted") == [str(number) for number in range(1, ACTS + 1)]


@pytest.mark.parametrize("life", range(RANDOM_LIVES))
def test_killed_at_any_moment(
    place: Place, life: int, record_property: Callable[[str, object], None]
) -> None:
    """SIGKILL at moments drawn from the seed, gateway and receiver in turn; the last run repairs all."""
    chance = random.Random(f"{SEED}/{life}")
    print(f"replay with VITALE_SEED={SEED}")
    receiver = place.fork(live_receiver)
    for _ in range(KILLS_PER_LIFE):
        at_work = place.fork(live_gateway)
        time.sleep(chance.uniform(0.01, 0.3))
        if chance.random() < 0.4:
            place.kill(receiver)
            receiver = place.fork(live_receiver)
            time.sleep(chance.uniform(0.0, 0.2))
        place.kill(at_work)
    assert place.wait(place.fork(live_gateway)) == 0
    place.kill(receiver, counted=False)
    close_case(place, record_property)


def test_killed_through_the_environment(place: Place, record_property: Callable[[str, object], None]) -> None:
    """VITALE_FAILPOINT kills a real gateway process; another process ends the work."""
    shutil.copytree(place.world.bench.directory("authority"), place.root / "authority")
    command = [sys.executable, "-m", "tests.crash.line_life", "gateway", str(place.root)]
    receiver = place.fork(live_receiver)
    with (place.root / "told").open("ab") as told:
        killed = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"VITALE_FAILPOINT": "keep-after:3"}, stdout=told, check=False
        )
        place.kills += 1
        again = subprocess.run(command, cwd=ROOT, stdout=told, check=False)
    assert (killed.returncode, again.returncode) == (EXIT_CODE, 0)
    place.stop(receiver)
    close_case(place, record_property)


def test_the_pipeline_takes_exactly_the_steps_of_the_table() -> None:
    """Each step of STEPS is framed once in gateway/pipeline.py, and no failpoint stands there by itself."""
    taken = re.findall(r"with step\(\"([a-z]+)\"\)", inspect.getsource(pipeline))
    assert sorted(taken) == sorted(STEPS)
    assert "failpoint(" not in inspect.getsource(pipeline)


def test_a_step_passes_two_failpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step passes NAME-before, then its work, then NAME-after; refused work has no after."""
    passed: list[str] = []
    monkeypatch.setattr("gateway.steps.failpoint", passed.append)
    with step("keep"):
        passed.append("work")
    with pytest.raises(ValueError, match="refused"), step("sign"):
        raise ValueError("refused")
    assert passed == ["keep-before", "work", "keep-after", "sign-before"]


def test_every_failpoint_is_killed_at() -> None:
    """No failpoint in gateway or tools but those that this file and its neighbours kill at."""
    found: set[str] = set()
    for path in (*ROOT.glob("gateway/**/*.py"), *ROOT.glob("tools/**/*.py")):
        found |= set(re.findall(r"failpoint\(f?\"([^\"]+)\"\)", path.read_text(encoding="utf-8")))
    framed = {"{name}-before", "{name}-commit", "{name}-after", "batch-before", "batch-after"}
    assert found - framed == {*RECEIVER_POINTS, *KEEPING_POINTS}
