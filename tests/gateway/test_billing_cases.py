"""Every case of billing_cases.toml is priced to the cent, or refused in the words it says."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.billing.deductions import deductions
from gateway.billing.engine import price
from gateway.billing.request import CareRequest
from gateway.billing.tables import Tables
from gateway.errors import InputError

TABLES = Tables.load()
DATA = tomllib.loads(Path(__file__).with_name("billing_cases.toml").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = DATA["case"]
PRICED = [case for case in CASES if "expected" in case]
REFUSED = [case for case in CASES if "refused" in case]
PRACTITIONER = ("specialty", "convention", "optam", "zone")
SHEET = ("date", "acts", "pathway", "nature", "third_party")
ABOUT = ("rule", "expected", "refused", "done", "later")


def rule(case: dict[str, Any]) -> str:
    """The rule names the test."""
    return str(case["rule"])


def request_of(case: dict[str, Any]) -> CareRequest:
    """The request as an editor would send it: JSON text, and back."""
    said = {key: value for key, value in (DATA["defaults"] | case).items() if key not in ABOUT}
    data: dict[str, Any] = {"practitioner": {}, "beneficiary": {}}
    for key, value in said.items():
        place = data if key in SHEET else data["practitioner" if key in PRACTITIONER else "beneficiary"]
        place[key] = value
    return CareRequest.from_json(json.loads(json.dumps(data)))


@pytest.mark.parametrize("case", PRICED, ids=rule)
def test_case_is_priced(case: dict[str, Any]) -> None:
    """The five sums of the JSON form are those of the rule, and so is the third-party payment done."""
    got = price(request_of(case), TABLES)
    said = got.to_json()
    assert {name: said[name] for name in case["expected"]} == case["expected"]
    assert got.third_party == case.get("done", case.get("third_party", "none"))


@pytest.mark.parametrize("case", REFUSED, ids=rule)
def test_case_is_refused(case: dict[str, Any]) -> None:
    """What the rule forbids is refused in one sentence that begins as the case says."""
    with pytest.raises(InputError) as refusal:
        price(request_of(case), TABLES)
    assert str(refusal.value).startswith(case["refused"])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("case", [case for case in PRICED if "later" in case], ids=rule)
def test_case_owes_later(case: dict[str, Any]) -> None:
    """What the caisse keeps later is owed as the case says, and announced in the reasons."""
    request = request_of(case)
    priced = price(request, TABLES)
    owed = deductions(request, priced, TABLES)
    assert [[one.kind, one.cents] for one in owed] == case["later"]
    assert sum(reason.startswith("Later, not on this sheet") for reason in priced.why) == len(owed)


def test_there_are_enough_cases() -> None:
    """At least 150 cases beyond the golden ones, every one with a rule of its own."""
    rules = [case["rule"] for case in CASES]
    assert len(set(rules)) == len(rules) >= 150
