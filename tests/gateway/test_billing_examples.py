"""The examples of gateway/README.md: what its table says is what the command prints, one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.abroad import PaperAct
from gateway.billing.engine import price
from gateway.billing.request import CareRequest
from gateway.billing.tables import Tables
from gateway.cli import main
from gateway.errors import GatewayError

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


HOSTILE: tuple[Any, ...] = (
    None, 0, -1, True, "", "x", "2026-13-40", "9999-12-31", "0001-01-01", [], {}, [1], [{}], {"a": 1}, 1e308,
    float("inf"), 10**30, "\x00", "1790499349121", "é" * 500,
)  # fmt: skip
TABLES = Tables.load()


def places(data: Any, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of a JSON value, down to the leaves."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*here, key)
        yield from places(value, (*here, key))


def spoiled(text: str, place: tuple[str | int, ...], value: Any) -> Any:
    """The example with another value at this place."""
    whole = part = json.loads(text)
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return whole


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_no_value_makes_a_price_fall_over(path: Path) -> None:
    """Any value at any place is priced or refused in one line that repeats neither a number nor a name."""
    text = path.read_text(encoding="utf-8")
    for place in places(json.loads(text)):
        for value in HOSTILE:
            data = spoiled(text, place, value)
            for work in (PaperAct.from_json, lambda one: price(CareRequest.from_json(one), TABLES)):
                try:
                    work(data)
                except GatewayError as refusal:
                    said = str(refusal)
                    assert "\n" not in said
                    assert "1790499349121" not in said
                    assert "ALPENROSE" not in said
