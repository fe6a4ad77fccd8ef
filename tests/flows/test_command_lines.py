"""The flows as a person gives them: bill, sign, cancel, rectify, paper, status, each a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.exchange.calendar import legal_day
from gateway.failpoint import EXIT_CODE
from gateway.lots.fse import Fse
from gateway.store.store import Store
from tests.flows.test_abroad import CARD
from tests.flows.test_without_vitale import attestation
from tools.bench import PRACTICE, Bench

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bench(flow_world: Path, tmp_path: Path) -> Bench:
    """The world of today, with settings."""
    root = tmp_path / "world"
    shutil.copytree(flow_world, root)
    made = Bench(root)
    made.authority.renew_crls(made.clock.now())
    made.write_settings(2525)
    return made


@pytest.fixture
def run(bench: Bench) -> Run:
    """Runs one command with the PIN on its standard input."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        config = ("--config", str(bench.root / "vitale-gateway.toml"))
        pin = ("--pin-stdin",) if words[0] in ("bill", "sign", "rectify") else ()
        command = [sys.executable, "-m", "gateway.cli", *words, *config, *pin]
        return subprocess.run(
            command, cwd=ROOT, input="1234\n", capture_output=True, text=True, check=False, timeout=60
        )

    return call


def write(bench: Bench, **act: Any) -> str:
    """A care act of today in a file."""
    path = bench.root / "act.json"
    today = legal_day(SystemClock().now())
    path.write_text(json.dumps({"date": str(today), "acts": [{"code": "G"}], **act}), encoding="utf-8")
    return str(path)


def test_sealed_signed_cancelled(bench: Bench, run: Run) -> None:
    """bill (desynchronised), status, sign, cancel: each says what it did, and refuses it a second time."""
    assert json.loads(run("bill", write(bench, mode="desynchronised")).stdout)["mode"] == "desynchronised"
    assert "1 FSE wait for the signature of the CPS" in run("status").stdout
    assert "1 AWAITING_CPS" in run("status").stdout
    assert run("sign").stdout == "FSE 1 signed\n1 FSE signed; they leave when vitale-gateway serve runs\n"
    assert run("sign").stdout.startswith("0 FSE signed")
    assert "FSE 1 is cancelled" in run("cancel", "1").stdout
    again = run("cancel", "1")
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "FSE 1 is cancelled already" in again.stderr
    refused = run("rectify", "1")
    assert refused.returncode == 1
    assert "only an FSE that was refused is rectified" in refused.stderr


def test_paper(bench: Bench, run: Run) -> None:
    """bill with an attestation writes the paper twin, paper prints it; nothing of it is in the answer."""
    billed = run("bill", write(bench, attestation=attestation()))
    assert billed.returncode == 0, billed.stderr
    [twin] = (bench.root / "var" / "paper").iterdir()
    assert twin.name in billed.stderr
    assert run("paper", "1").stdout == twin.read_text(encoding="utf-8")
    assert "TEST-KILO" not in billed.stdout + billed.stderr
    assert run("paper", "2").returncode == 1


def test_a_twin_left_behind_by_a_kill(bench: Bench, run: Run) -> None:
    """Killed between keeping the sheet and writing its paper: the next command writes both papers."""
    config = ("--config", str(bench.root / "vitale-gateway.toml"), "--pin-stdin")
    command = [sys.executable, "-m", "gateway.cli", "bill", write(bench, attestation=attestation()), *config]
    environment = os.environ | {"VITALE_FAILPOINT": "twin-written-before"}
    killed = subprocess.run(command, cwd=ROOT, input=b"1234\n", env=environment, check=False)
    assert killed.returncode == EXIT_CODE
    run("bill", write(bench, attestation=attestation()))
    names = sorted(path.name for path in (bench.root / "var" / "paper").iterdir())
    assert names == ["fse-000000001.txt", "fse-000000002.txt"]
    with Store(f"sqlite:///{bench.root / 'gateway.db'}", SystemClock(), read_only=True) as store:
        assert store.twins_unwritten(PRACTICE) == []


def test_nothing_there(tmp_path: Path, bench: Bench, run: Run) -> None:
    """cancel and paper on a store that is not there say so in one sentence, and make none."""
    for command in ("cancel", "paper"):
        done = run(command, "1")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "there is no store" in done.stderr
    assert not (bench.root / "gateway.db").exists()


@pytest.mark.parametrize("place", ["before", "commit", "after"])
def test_signing_killed(bench: Bench, run: Run, place: str) -> None:
    """Killed while the second of two sheets is signed: both are there, and the next `sign` ends the work."""
    for _ in range(2):
        run("bill", write(bench, mode="desynchronised"))
    config = ("--config", str(bench.root / "vitale-gateway.toml"), "--pin-stdin")
    environment = os.environ | {"VITALE_FAILPOINT": f"sign-fse-{place}:2"}
    command = [sys.executable, "-m", "gateway.cli", "sign", *config]
    killed = subprocess.run(command, cwd=ROOT, input=b"1234\n", env=environment, check=False)
    assert killed.returncode == EXIT_CODE
    assert run("sign").stdout.startswith("0 FSE" if place == "after" else "FSE 2 signed\n1 FSE")
    with Store(f"sqlite:///{bench.root / 'gateway.db'}", SystemClock(), read_only=True) as store:
        assert [row.state.value for row in store.fse_list()] == ["SIGNED", "SIGNED"]
        bodies = store.fse_bodies(PRACTICE, [1, 2])
    assert [Fse.parse(body).mode for body in bodies] == [4, 4]


def test_insured_abroad(bench: Bench, run: Run) -> None:
    """abroad prints the paper sheet; bill refuses the act, and a place never seen has its sentence."""
    assert json.loads(run("bill", write(bench, mode="desynchronised")).stdout)["number"] == 1
    act = write(bench, foreign=CARD, practitioner={"place": "991001017"})
    refused = run("bill", act)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "vitale-gateway abroad ACT.json" in refused.stderr
    printed = run("abroad", act)
    assert printed.returncode == 0, printed.stderr
    assert "TEST-ALPENROSE ANNA" in printed.stdout
    whole = json.loads(run("abroad", act, "--json").stdout)
    assert (whole["amo_cents"], whole["patient_cents"]) == (2100, 3000)
    unknown = run("abroad", write(bench, foreign=CARD))
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    assert "practitioner.place" in unknown.stderr
