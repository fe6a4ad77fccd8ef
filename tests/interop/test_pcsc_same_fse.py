"""The same care acts in process and through pcscd, libccid and a serial reader: the same bytes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.clock import SimulatedClock
from gateway.lots.fse import Fse
from tests.interop.bench_pcscd import DRIVERS, Emulated, Pcscd, needs, unavailable, wait_for
from tests.interop.same_fse import DOCTOR, MOMENT, PATIENTS
from tools.bench import Bench
from tools.pcscd import isolation

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("pyscard")]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _programs() -> None:
    needs("pcscd", files=(DRIVERS / "libccidtwin.so",))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority and the cards, at the moment of the care."""
    root = tmp_path_factory.mktemp("world")
    Bench(root, SimulatedClock(MOMENT)).make_cards([DOCTOR, *PATIENTS])
    return root


Made = dict[str, list[str]]


def run(world: Path, place: Path, *way: str, environment: dict[str, str] | None = None) -> Made:
    """The day in a process of its own, on a copy of the world."""
    shutil.copytree(world, place)
    done = subprocess.run(
        [sys.executable, "-m", "tests.interop.same_fse", str(place), *way],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    made: Made = json.loads(done.stdout)
    return made


@pytest.mark.parametrize("serial", ["gemcoresimpro2", "sec1210"])
def test_the_same_bytes(world: Path, tmp_path: Path, serial: str) -> None:
    """FSE of three patients and a signed lot: with clock, numbers and chance injected, not a bit differs."""
    here = run(world, tmp_path / "here")
    with ExitStack() as stack:
        reader = stack.enter_context(Emulated(tmp_path / "reader", [], serial=serial))
        pcscd = stack.enter_context(Pcscd(tmp_path, conf_dir=reader.conf_dir))
        there = run(world, tmp_path / "there", "--pcsc", str(reader.link), environment=pcscd.environment)
    assert len(here["fse"]) == len(PATIENTS)
    assert there == here
    assert len({Fse.parse(bytes.fromhex(body)).number for body in there["fse"]}) == len(PATIENTS)


def test_another_moment_gives_other_bytes(world: Path, tmp_path: Path) -> None:
    """The twin: the comparison sees a difference where there is one, an FSE already kept before."""
    here = run(world, tmp_path / "here")
    again = tmp_path / "again"
    shutil.move(tmp_path / "here", again)
    later = run(again, tmp_path / "later")
    assert later["fse"] != here["fse"]


def needs_namespaces() -> None:
    """The demo starts a pcscd in a namespace of its own."""
    if not isolation():
        unavailable("namespaces are forbidden here: the demo cannot have a pcscd of its own")


def test_the_demo_on_real_pcsc() -> None:
    """`make demo DEMO_ARGS=--pcsc`: five people from card to payment, and nothing is left running."""
    needs_namespaces()
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo", "--json", "--pcsc"],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["fse"] == figures["receiver_fse"] == figures["paid_fse"] + figures["rejected_fse"] == 5
    assert figures["duplicates"] == 0
    socket = re.search(r"export PCSCLITE_CSOCK_NAME=(\S+)", done.stdout)
    assert socket
    assert not os.path.exists(socket[1])


def test_the_kept_world_on_real_pcsc(tmp_path: Path) -> None:
    """`make run RUN_ARGS=--pcsc`: bills an act from its inbox, ends in good order, leaves nothing running."""
    needs_namespaces()
    log = tmp_path / "run.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "tools.run", "--pcsc", "--dir", str(tmp_path / "world")],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        wait_for(lambda: "care acts are taken from" in log.read_text(), log.read_text, 60)
        inbox = tmp_path / "world" / "inbox"
        today = Bench(tmp_path / "world").clock.now().date().isoformat()
        (inbox / "act.part").write_text(json.dumps({"date": today, "acts": [{"code": "G"}]}))
        (inbox / "act.part").rename(inbox / "act.json")
        wait_for(lambda: "care act act.json: FSE 1" in log.read_text(), log.read_text)
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0, log.read_text()
    finally:
        running.kill()
    assert "stopped in good order" in log.read_text()
    socket = re.search(r"export PCSCLITE_CSOCK_NAME=(\S+)", log.read_text())
    assert socket
    assert not os.path.exists(socket[1])
