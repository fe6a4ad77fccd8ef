"""The examples of gateway/README.md: what its table says is what the command prints, one by one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.cli import main

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = Path(__file__).with_name("examples")
ROWS = re.findall(
    r"^\| `([a-z0-9-]+\.json)` \| (refused|[0-9]+\.[0-9]{2}) \|",
    (ROOT / "gateway" / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
ON_PAPER = "insured-abroad.json"


@pytest.mark.parametrize(("name", "at_the_desk"), ROWS, ids=[name for name, _ in ROWS])
def test_an_example_is_as_its_row_says(
    name: str, at_the_desk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`vitale-gateway price` of the file: what is paid at the desk, or a refusal in one sentence."""
    done = main(["price", str(EXAMPLES / name), "--json"])
    out, err = capsys.readouterr()
    if at_the_desk == "refused":
        assert (done, out, err.count("\n")) == (1, "", 1)
        return
    cents = json.loads(out)["patient_cents"]
    assert (done, f"{cents // 100}.{cents % 100:02d}") == (0, at_the_desk)
    assert f"Patient pays {at_the_desk} EUR" in " ".join(json.loads(out)["why"])


def test_every_example_has_its_row() -> None:
    """No file without a row, no row without a file; the one of an insured person abroad is for `abroad`."""
    assert {path.name for path in EXAMPLES.glob("*.json")} == {name for name, _ in ROWS} | {ON_PAPER}
