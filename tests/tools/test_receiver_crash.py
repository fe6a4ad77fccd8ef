"""A receiver that dies at any step loses nothing and pays once (promise A2): real processes, real kills."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender, Transient
from gateway.failpoint import EXIT_CODE
from gateway.records.arl import parse_arl
from gateway.records.noemie_file import parse_noemie
from tools.receiver.ledger import LEDGER_FILE, Ledger

if TYPE_CHECKING:
    from conftest import Practice

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0
STEPS = (
    "receiver-receive-after",
    "receiver-record-before",
    "receiver-record-inside",
    "receiver-record-after",
    "receiver-deliver-before",
    "receiver-deliver-after",
    "receiver-return-before",
    "receiver-return-inside",
    "receiver-return-after",
)


class Program:
    """`python -m tools.receiver serve` as a process of its own; payments are due at once."""

    def __init__(self, practice: Practice, root: Path, failpoint: str = "") -> None:
        command = [sys.executable, "-m", "tools.receiver", "serve", "--port", "0", "--day", "0"]
        places = {
            "--authority": practice.authority.directory,
            "--state": root / "state",
            "--maildir": root / "mail",
        }
        for option, path in places.items():
            command += [option, str(path)]
        environment = os.environ | {"VITALE_FAILPOINT": failpoint}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = re.search(r"port (\d+)", line)
        assert match, line
        self.sender = SmtpSender("127.0.0.1", int(match[1]), 10.0)

    def send(self, raw: bytes) -> None:
        """Hand over one message."""
        self.sender.send("cabinet@practice.test", "01349@349.01.rss.fr", raw)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Stop it; exit code and what it said."""
        self.sender.close()
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


def settle(present: Practice, root: Path, wanted: int) -> tuple[list[bytes], list[bytes]]:
    """Wait until this many invoices were answered; raw ARL mails and NOEMIE files of the mailbox."""
    box, end = Maildir(root / "mail"), time.monotonic() + PATIENCE
    while True:
        opened = [(raw, present.open(raw, datetime.now(UTC)).payload) for _, raw in box.pending()]
        returns = [payload for _, payload in opened if payload[47:49] == b"NO"]
        arls = [raw for raw, payload in opened if payload[47:49] == b"AR"]
        if arls and len({p.invoice for r in returns for p in parse_noemie(r).payments}) >= wanted:
            return arls, returns
        assert time.monotonic() < end, f"{len(arls)} ARL, {len(returns)} returns"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step(present: Practice, tmp_path: Path, step: str) -> None:
    """Killed at this step, started again, the same bytes sent again: one lot, one ARL text, one payment."""
    raw = present.message(1)
    dying = Program(present, tmp_path, step)
    with contextlib.suppress(Transient):
        dying.send(raw)
    assert dying.process.wait(PATIENCE) == EXIT_CODE
    again = Program(present, tmp_path)
    again.send(raw)
    arls, returns = settle(present, tmp_path, 1)
    code, said = again.end()
    assert (code, "Traceback" in said) == (0, False)
    assert len(set(arls)) == 1, "every ARL is the same bytes"
    assert parse_arl(present.open(arls[0], datetime.now(UTC)).payload).positive
    assert {parse_noemie(text).total_cents for text in set(returns)} == {2100}
    assert len({parse_noemie(text).file_id for text in returns}) == 1
    with Ledger(tmp_path / "state" / LEDGER_FILE) as ledger:
        assert ledger.rows("SELECT count(*), sum(length(content) > 0) FROM lot") == [(1, 1)]
        assert ledger.rows("SELECT sum(amo_paid), count(noemie) FROM claim") == [(2100, 1)]


@pytest.mark.slow
def test_killed_at_random_among_many(present: Practice, tmp_path: Path) -> None:
    """Killed three times while lots stream in; every lot is resent until 250: each is there once."""
    waiting = [present.message(1000 + number) for number in range(24)]
    for round_ in range(4):
        program = Program(present, tmp_path)
        left = []
        for index, raw in enumerate(waiting):
            if index == 5 and round_ < 3:
                program.process.kill()
            try:
                program.send(raw)
            except Transient:
                left.append(raw)
        waiting = left
        if round_ == 3:
            settle(present, tmp_path, 24)
            assert program.end()[0] == 0
        program.sender.close()
        program.process.wait(PATIENCE)
    assert waiting == []
    with Ledger(tmp_path / "state" / LEDGER_FILE) as ledger:
        assert ledger.rows("SELECT count(*), count(DISTINCT compostage) FROM lot") == [(24, 24)]
        assert ledger.rows("SELECT count(*), sum(amo_paid) FROM claim") == [(24, 24 * 2100)]


def test_program_ends_cleanly_and_answers_questions(present: Practice, tmp_path: Path) -> None:
    """Ctrl-C ends it with code 0; status, lots and advance read its ledger; a wrong place is one sentence."""
    program = Program(present, tmp_path)
    program.send(present.message(500, 501))
    settle(present, tmp_path, 2)
    code, said = program.end(signal.SIGINT)
    assert code == 0
    assert "2 invoices, ARL +" in said
    assert "NOEMIE 000001" in said
    assert present.fse(9).view().nir not in said

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tools.receiver", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    state = str(tmp_path / "state")
    assert "lots: 1 kept, 1 accepted" in ask("status", "--state", state).stdout
    assert "2 invoices, ARL +" in ask("lots", "--state", state).stdout
    assert ask("advance", "--state", state).stdout.startswith("0 payments")
    missing = ask("status", "--state", str(tmp_path / "nowhere"))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("receiver: ")
    assert missing.stderr.count("\n") == 1
    assert ask("serve").returncode == 2
