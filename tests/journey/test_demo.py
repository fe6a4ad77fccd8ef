"""`make demo` does the main job, in both crypto profiles, and its figures add up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("policy", ["modern", "sesam"])
def test_every_fse_reaches_its_end(policy: str) -> None:
    """Five people, every lot acknowledged, four FSE paid, one refused with a reason, none twice."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo", "--json", "--policy", policy],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["fse"] == figures["receiver_fse"] == figures["paid_fse"] + figures["rejected_fse"] == 5
    assert figures["rejected_fse"] == 1
    assert figures["lots"] == figures["arl_positive"] >= 1
    assert figures["arl_negative"] == figures["duplicates"] == 0
    assert "ABSENT DE NOTRE BASE" in done.stdout
    assert not re.search(r"(?<!\d)[12]\d{12}(?!\d)", done.stdout), "a NIR was printed"
    assert "TEST-" not in done.stdout, "a name was printed"
