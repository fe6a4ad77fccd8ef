"""`vitale-gateway price`: a request from a file or standard input, as JSON or as a table; no cards needed."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main

KEYS = ["base_cents", "amo_cents", "amc_cents", "patient_cents", "excess_cents", "lines", "why"]
REQUEST: dict[str, Any] = {
    "date": "2026-11-20",
    "practitioner": {"specialty": "01", "convention": "3", "optam": False, "zone": "metropole"},
    "beneficiary": {
        "birth_date": "1980-05-01", "regime": "01", "alsace_moselle": False, "ald": False, "css": False,
        "ame": False, "aspa": False, "pregnancy_month": None, "complementary": "tm100",
    },
    "acts": [{"code": "G", "quantity": 1, "coefficient": 1, "charged_cents": 5000}],
    "pathway": "T",
    "nature": "maladie",
    "third_party": "full",
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The request as a file."""
    path = tmp_path / "request.json"
    path.write_text(json.dumps(REQUEST), encoding="utf-8")
    return path


class Stdin:
    """Standard input with these bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def test_json_of_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object with exactly the agreed keys; sector 2 charging 50: base 23, excess 27.00."""
    assert main(["price", str(file), "--json"]) == 0
    out, err = capsys.readouterr()
    got = json.loads(out)
    assert list(got) == KEYS
    assert [got[name] for name in KEYS[:5]] == [2300, 1610, 690, 2700, 2700]
    assert [line["code"] for line in got["lines"]] == ["G"]
    assert len(got["why"]) >= 5
    assert err == ""


def test_a_field_that_is_there_twice(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two charges under one name neither is taken: the request is refused, and named."""
    text = file.read_text("utf-8").replace(
        '"charged_cents": 5000', '"charged_cents": 5000, "charged_cents": 9000'
    )
    file.write_text(text, encoding="utf-8")
    assert main(["price", str(file)]) == 1
    assert "the field 'charged_cents' is there twice" in capsys.readouterr().err


def test_standard_input(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` reads the same request from standard input and says the same."""
    main(["price", str(file), "--json"])
    first = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", Stdin(file.read_bytes()))
    assert main(["price", "--json", "-"]) == 0
    assert capsys.readouterr().out == first


def test_table_for_people(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json: a row for each act, the sums, and the reasons, in euros."""
    assert main(["price", str(file)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split()[:4] == ["act", "quantity", "base", "rate"]
    assert rows[1].split() == ["G", "1", "23.00", "70", "%", "16.10", "6.90", "27.00", "50.00", "27.00"]
    assert rows[2].split() == ["sum", "23.00", "16.10", "6.90", "27.00", "50.00", "27.00"]
    assert all(row.startswith("- ") for row in rows[4:])


BAD = {
    "acts[0].code: ZZZ is not an act": {"acts": [{"code": "ZZZ"}]},
    "pathway: 'X' is not known": {"pathway": "X"},
    "date: is not usable": {"date": 20261120},
    "beneficiary.regime: '03' is not": {"beneficiary": {**REQUEST["beneficiary"], "regime": "03"}},
}


@pytest.mark.parametrize(("start", "change"), BAD.items(), ids=BAD)
def test_bad_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], start: str, change: dict[str, Any]
) -> None:
    """A wrong value ends with code 1 and one sentence on standard error that names the field."""
    path = tmp_path / "request.json"
    path.write_text(json.dumps(REQUEST | change), encoding="utf-8")
    assert main(["price", str(path), "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"vitale-gateway: {start}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 5000, b" " * 70_000])
def test_not_a_request(
    data: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are no JSON object are refused in one sentence, never with a traceback."""
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    assert main(["price", "-"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("vitale-gateway: standard input: ")
    assert err.count("\n") == 1


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is said so."""
    assert main(["price", str(tmp_path / "none.json")]) == 1
    assert "there is no file" in capsys.readouterr().err


def test_the_example_of_the_readme(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request printed in the README is priced, CCAM modifier included: 26.50 and 13.52 + 25.15."""
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```json\n(.*?)```", readme, flags=re.DOTALL)
    example = next(text for text in examples if '"specialty"' in text)
    monkeypatch.setattr(sys, "stdin", Stdin(example.encode()))
    assert main(["price", "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["base_cents"] == 2650 + 1352 + 2515
