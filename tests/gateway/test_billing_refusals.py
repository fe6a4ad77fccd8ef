"""What cannot be priced is refused in one sentence naming the field; each refusal has its accepted twin."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from gateway.billing.engine import price
from gateway.billing.request import Act, CareRequest, check_dates
from gateway.billing.tables import Tables
from gateway.errors import InputError

TABLES = Tables.load()
GOOD: dict[str, Any] = {
    "date": "2026-11-20",
    "practitioner": {"specialty": "01", "convention": "3", "optam": False, "zone": "metropole"},
    "beneficiary": {
        "birth_date": "1980-05-01", "regime": "01", "alsace_moselle": False, "ald": False, "css": False,
        "ame": False, "aspa": False, "pregnancy_month": None, "complementary": "tm100",
    },
    "acts": [{"code": "G", "quantity": 1, "coefficient": 1, "charged_cents": None}],
    "pathway": "T",
    "nature": "maladie",
    "third_party": "amo",
}  # fmt: skip


def edited(edit: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    data = copy.deepcopy(GOOD)
    edit(data)
    return data


def put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = value

    return edit


def drop(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def edit(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        del data[path[-1]]

    return edit


BAD = {
    "acts[0].code: ZZZ is not an act": put("acts", 0, "code", value="ZZZ"),
    "acts[0].code: 'g'": put("acts", 0, "code", value="g"),
    "acts[0].code: is not usable": put("acts", 0, "code", value=7),
    "acts[0].code: is missing": drop("acts", 0, "code"),
    "acts[0].code: CS is not billed by specialty 01": put("acts", 0, "code", value="CS"),
    "acts[0].code: MEG is for a patient under 6": put("acts", value=[{"code": "MEG"}, {"code": "G"}]),
    "acts[0].code: MD goes with one of": put("acts", 0, "code", value="MD"),
    "acts[1].code: F needs pathway U": put("acts", value=[{"code": "G"}, {"code": "F"}]),
    "acts[1].code: MCG is not billed together with an excess": put(
        "acts", value=[{"code": "G", "charged_cents": 5000}, {"code": "MCG"}]
    ),
    "acts[0].charged_cents: -1 is not an amount": put("acts", 0, "charged_cents", value=-1),
    "acts[0].charged_cents: 10000000": put("acts", 0, "charged_cents", value=10_000_000),
    "acts[0].charged_cents: is not usable": put("acts", 0, "charged_cents", value=30.5),
    "acts[0].quantity: 0": put("acts", 0, "quantity", value=0),
    "acts[0].quantity: 100": put("acts", 0, "quantity", value=100),
    "acts[0].quantity: is not usable": put("acts", 0, "quantity", value=True),
    "acts[0].coefficient: 0": put("acts", 0, "coefficient", value=0),
    "acts[0].coefficient: -1": put("acts", 0, "coefficient", value=-1),
    "acts[0].coefficient: 1.005": put("acts", 0, "coefficient", value="1.005"),
    "acts[0].coefficient: NaN": put("acts", 0, "coefficient", value="NaN"),
    "acts[0].coefficient: is not usable": put("acts", 0, "coefficient", value="many"),
    "acts[0].coefficient: G takes no coefficient": put("acts", 0, "coefficient", value=2),
    "acts[0].colour: unknown field": put("acts", 0, "colour", value="red"),
    "acts[0]: an act is an object": put("acts", value=["G"]),
    "acts: 0 acts": put("acts", value=[]),
    "acts: 21 acts": put("acts", value=[{"code": "G"}] * 21),
    "acts: is missing": drop("acts"),
    "pathway: 'X' is not known": put("pathway", value="X"),
    "pathway: is not usable": put("pathway", value=3),
    "nature: 'retraite' is not known": put("nature", value="retraite"),
    "third_party: 'half' is not known": put("third_party", value="half"),
    "practitioner.zone: 'mars' is not known": put("practitioner", "zone", value="mars"),
    "acts[0].code: VG has no tariff in zone mayotte": lambda data: (
        put("practitioner", "zone", value="mayotte")(data),
        put("acts", 0, "code", value="VG")(data),
    ),
    "practitioner.convention: '0' has no tariff": put("practitioner", "convention", value="0"),
    "practitioner.specialty: is missing": drop("practitioner", "specialty"),
    "practitioner.optam: is not usable": put("practitioner", "optam", value="no"),
    "practitioner: is missing": drop("practitioner"),
    "beneficiary.birth_date: is missing": drop("beneficiary", "birth_date"),
    "beneficiary.birth_date: the birth is after the care": put(
        "beneficiary", "birth_date", value="2026-11-21"
    ),
    "beneficiary.pregnancy_month: 10": put("beneficiary", "pregnancy_month", value=10),
    "beneficiary.pregnancy_month: 0": put("beneficiary", "pregnancy_month", value=0),
    "beneficiary.ald: is not usable": put("beneficiary", "ald", value=1),
    "beneficiary.complementary: no contract 'gold'": put("beneficiary", "complementary", value="gold"),
    "date: is not usable": put("date", value="20/11/2026"),
    "date: is not usable; give a date that exists": put("date", value="2026-02-30"),
    "date: is missing": drop("date"),
    "acts[0].code: G is not valid on 2016-01-01 (first tariff: 2017-05-01)": put("date", value="2016-01-01"),
    "patient: unknown field": put("patient", value={}),
}


@pytest.mark.parametrize(("start", "edit"), BAD.items(), ids=BAD)
def test_refused_with_the_field_named(start: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """One wrong value is refused in one sentence that starts with its field."""
    with pytest.raises(InputError) as refusal:
        price(CareRequest.from_json(edited(edit)), TABLES)
    assert str(refusal.value).startswith(start)
    assert "\n" not in str(refusal.value)
    assert refusal.value.code == "input"


def test_the_unedited_request_is_accepted() -> None:
    """The positive twin of every refusal above."""
    assert price(CareRequest.from_json(GOOD), TABLES).amo_cents == 2100


def test_not_an_object() -> None:
    """A list, a text or nothing in place of the request is refused in words."""
    for thing in ([], "care", None, 7):
        with pytest.raises(InputError, match="the request: a JSON object"):
            CareRequest.from_json(thing)  # type: ignore[arg-type]


def test_json_round_trip() -> None:
    """Reading what was written gives the same request, defaults and decimals included."""
    request = CareRequest.from_json(GOOD)
    assert CareRequest.from_json(request.to_json()) == request
    short = CareRequest.from_json(
        {
            "date": "2026-11-20",
            "practitioner": {"specialty": "24", "convention": "1"},
            "beneficiary": {"birth_date": "1980-05-01"},
            "acts": [{"code": "AMI", "coefficient": 1.5}],
        }
    )
    assert short.acts == (Act("AMI", coefficient=Decimal("1.5")),)
    assert CareRequest.from_json(short.to_json()) == short


def test_care_in_the_future() -> None:
    """Care dated tomorrow is refused, care of today is accepted; today is handed in."""
    request = CareRequest.from_json(GOOD)
    check_dates(request, date(2026, 11, 20))
    with pytest.raises(InputError, match=r"^date: care on 2026-11-20 is in the future"):
        check_dates(request, date(2026, 11, 19))


def test_one_line_too_dear_for_its_zone() -> None:
    """A line that would not fit the seven digits of B2 type 4 is refused, a smaller one is priced."""
    data = edited(put("practitioner", value={"specialty": "24", "convention": "1"}))
    data["acts"] = [{"code": "AMI", "quantity": 99, "coefficient": "9999.99"}]
    with pytest.raises(InputError, match="too much for one line"):
        price(CareRequest.from_json(data), TABLES)
    data["acts"] = [{"code": "AMI", "quantity": 99, "coefficient": "99.99"}]
    assert price(CareRequest.from_json(data), TABLES).base_cents == 3118188  # 3.15 x 99.99 x 99 = 31 181.8815


def test_the_trace_names_nobody() -> None:
    """Neither the request nor the price shows a birth date."""
    request = CareRequest.from_json(GOOD)
    shown = repr(request) + repr(price(request, TABLES))
    assert "1980" not in shown
