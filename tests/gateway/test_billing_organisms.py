"""Where invoices go, by régime and by day: rows of a table, not of a program."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.billing.organisms import destination_type, recipient
from gateway.billing.tables import Tables
from gateway.errors import InputError


def test_types_of_the_norm() -> None:
    """Each régime has its B2 type; one that is no more keeps it, an unknown one is a mutual section."""
    expected = {"01": "CT", "02": "MA", "03": "SR", "04": "CF", "10": "CE", "91": "SM", "77": "SM"}
    assert {code: destination_type(code) for code in expected} == expected


def test_a_regime_that_is_no_more() -> None:
    """The régime of the self-employed took invoices for care in 2019, and takes none for later care."""
    assert recipient("03", "641", "0001", date(2019, 12, 31)) == "641"
    for day in (date(2020, 1, 1), date.max):
        with pytest.raises(InputError, match="regime '03' has no known destination"):
            recipient("03", "641", "0001", day)


@pytest.mark.parametrize("centre", ["0601", "0617"])
def test_students_are_in_the_general_scheme(centre: str) -> None:
    """A student's centre takes care of August 2019; from September on a card with it is out of date."""
    assert recipient("01", "349", centre, date(2018, 9, 1)) == "349"
    assert recipient("01", "349", centre, date(2019, 8, 31)) == "349"
    for day in (date(2019, 9, 1), date(2026, 11, 20), date.max):
        with pytest.raises(InputError, match=f"^centre: {centre} .students' mutuals. .*updated at a kiosk"):
            recipient("01", "349", centre, day)
        assert recipient("01", "349", "0349", day) == "349"


@pytest.mark.parametrize("regime", ["17", "80", "77", ""])
def test_no_destination(regime: str) -> None:
    """A régime without a rule is refused, one with a rule is not."""
    with pytest.raises(InputError, match="no known destination"):
        recipient(regime, "349", "0349")
    assert recipient("01", "349", "0349") == "349"


def test_test_organisms_are_listed() -> None:
    """The organisms of the tests are rows with their centre informatique."""
    today = Tables.load().on(date(2026, 11, 20), "metropole")
    assert {key for key, row in today.organisms.items() if row.centre == "999"} >= {
        ("01", "349"), ("01", "999"), ("01", "996"),
    }  # fmt: skip
    assert today.organisms["01", "331"].centre == "005"
