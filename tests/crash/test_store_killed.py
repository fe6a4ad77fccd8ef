"""The store killed at every one of its steps: nothing lost, nothing doubled, no number used twice."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import gateway.failpoint
from gateway.clock import SimulatedClock
from gateway.failpoint import EXIT_CODE
from gateway.store.database import STEPS
from gateway.store.store import Store
from tests.crash.store_life import OTHER, SHEETS, Life, place_of_store
from tests.gateway.store import servers
from tests.gateway.store.line import PRACTICE, START, body_of

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"{step}-{place}" for step in STEPS for place in ("before", "commit", "after")]


@pytest.fixture
def root() -> Iterator[Path]:
    """A directory in memory where there is one: what a kill leaves behind is in the kernel's hands anyway."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder) / "life"


def live(root: Path, failpoint: str = "") -> int:
    """Run the child in a fork, killed at `failpoint`; its exit code."""
    root.mkdir(exist_ok=True)
    child = os.fork()
    if child == 0:
        name, _, count = failpoint.partition(":")
        gateway.failpoint._name, gateway.failpoint._left = name, int(count or 1)
        code = 1
        try:
            Life(root).run()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def judge(root: Path) -> None:
    """Compare what callers were told, what the relay took and what the store says."""
    told = [line.split(" ", 1) for line in (root / "told.log").read_text().splitlines()]
    relay = [line.split(" ", 1) for line in (root / "relay.log").read_text().splitlines()]
    numbers = [what for kind, what in told if kind == "number"]
    assert len(numbers) == len(set(numbers)), "a number was given twice"
    for part in (slice(0, 2), slice(2, 3)):
        lots = [tuple(what.split()[part]) for kind, what in told if kind == "lot"]
        assert len(lots) == len(set(lots)), "a lot number or compostage was given twice"
    kept = {int(what) for kind, what in told if kind == "kept"}
    taken = {what for kind, what in relay if kind == "took"}
    with Store(**place_of_store(root), clock=SimulatedClock(START)) as store:
        rows = {row.number: row for row in store.fse_list(PRACTICE)}
        assert [row.state.value for row in store.fse_list(OTHER)] == ["CANCELLED"]
        assert store.place_of(OTHER, "990000000") == b"a place of practice"
        assert store.twins_unwritten(PRACTICE) == store.fse_awaiting(PRACTICE) == []
        assert all((root / f"paper-{number}").read_text() == "paper" for number in rows)
        assert kept <= set(rows), "an acknowledged sheet was lost"
        assert len(rows) == SHEETS
        assert {row.state.value for row in rows.values()} == {"PAID"}
        assert {row.state.value for row in store.lot_list()} == {"ACKNOWLEDGED"}
        assert store.fse_bodies(PRACTICE, sorted(rows)) == [body_of(number) for number in sorted(rows)]
        answered = {number for number in rows if store.kept_answer(PRACTICE, "software", f"key-{number}")}
        assert answered == {number for number in rows if number % 2 == 0}, "a sheet without its answer"
        assert store.verify_audit() > 0
        lots_in_store = {row.compostage for row in store.lot_list()}
    assert {what.split()[0] for what in taken} == lots_in_store, "a lot was lost, or sent without being kept"
    inside = Counter(number for what in taken for number in what.split()[1].split(","))
    assert inside == Counter(map(str, rows)), "a sheet was sent in two lots, or in none"


@pytest.mark.parametrize("name", NAMES)
def test_killed_at_every_step(root: Path, name: str) -> None:
    """Killed at the first and at the third passage of this failpoint, the next run repairs everything."""
    assert live(root, name) == EXIT_CODE, f"the child never passes {name}"
    live(root, f"{name}:3")
    assert live(root) == 0
    judge(root)


MEETING = ("claim", "keep-fse", "keep-lot", "reserve-lot", "sent", "post-receipt", "take-reader", "batch")
"""Steps that take rows which other gateways want too."""


@pytest.mark.parametrize("name", [f"{step}-{place}" for step in MEETING for place in ("commit", "after")])
def test_killed_beside_a_server(root: Path, name: str) -> None:
    """The same on PostgreSQL: what the server had committed is there, what it had not is not."""
    with servers.database(root) as (url, key):
        root.mkdir()
        (root / "store").write_text(f"{url}\n{key}")
        assert live(root, name) == EXIT_CODE, f"the child never passes {name}"
        live(root, f"{name}:3")
        assert live(root) == 0
        judge(root)


def test_never_killed(root: Path) -> None:
    """The twin: the same life without a kill ends the same way."""
    assert live(root) == 0
    judge(root)


def test_killed_at_any_moment(root: Path) -> None:
    """Killed with SIGKILL at 25 moments drawn from a fixed seed, the last run repairs everything."""
    chance = random.Random(86)
    root.mkdir()
    for _ in range(25):
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                Life(root).run()
            os._exit(0)
        time.sleep(chance.uniform(0.005, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert live(root) == 0
    judge(root)


def test_killed_through_the_environment(root: Path) -> None:
    """VITALE_FAILPOINT kills a real process, and a run without it repairs everything."""
    command = [sys.executable, "-m", "tests.crash.store_life", str(root)]
    killed = subprocess.run(command, cwd=ROOT, env={"VITALE_FAILPOINT": "keep-lot-commit:2"}, check=False)
    assert killed.returncode == EXIT_CODE
    assert live(root) == 0
    judge(root)


def test_every_step_in_the_code_is_in_the_table() -> None:
    """The steps that the code takes are exactly those of STEPS, and framed at one place."""
    code = {path: path.read_text(encoding="utf-8") for path in (ROOT / "gateway" / "store").glob("*.py")}
    taken = {"batch"} | {
        name for text in code.values() for name in re.findall(r"\.(?:step|do)\(\s*\"([a-z-]+)\"", text)
    }
    assert taken == set(STEPS)
    assert [path.name for path, text in code.items() if "failpoint(f" in text] == ["database.py"]
