"""French legal days against an independent model: every day of ten years, every rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest

from gateway.exchange.calendar import (
    ALSACE_MOSELLE,
    TERRITORIES,
    add_working_days,
    easter,
    holidays,
    is_working_day,
    keep_until,
    legal_day,
    receipt_deadline,
    resend_deadline,
    send_deadline,
    territory_of,
)

FIRST, LAST = date(2020, 1, 1), date(2029, 12, 31)
EVERY_DAY = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]

# Easter Sundays as printed in almanacs.
EASTERS = {
    2008: "03-23", 2011: "04-24", 2020: "04-12", 2021: "04-04", 2022: "04-17", 2023: "04-09", 2024: "03-31",
    2025: "04-20", 2026: "04-05", 2027: "03-28", 2028: "04-16", 2029: "04-01", 2030: "04-21", 2038: "04-25",
}  # fmt: skip


@cache
def paschal_sunday(year: int) -> date:
    """The model: the full moon by the tables of the Gregorian reform, then the Sunday after it."""
    golden = year % 19 + 1
    century = year // 100 + 1
    solar, lunar = 3 * century // 4 - 12, (8 * century + 5) // 25 - 5
    epact = (11 * golden + 20 + lunar - solar) % 30
    if epact == 24 or (epact == 25 and golden > 11):
        epact += 1
    moon = 44 - epact if epact <= 23 else 74 - epact  # day of March
    day = date(year, 3, 1) + timedelta(days=moon - 1)
    return day + timedelta(days=7 - (day.weekday() + 1) % 7)


OWN_DAYS = """
guadeloupe 27 May
martinique 22 May
guyane 10 June
reunion 20 December
mayotte 27 April
saint_barthelemy 9 October
saint_martin 28 May
"""
"""The abolition days as people say them (décret 83-1003 and the laws that followed)."""


@cache
def model_is_free(day: date, where: str) -> bool:
    """The model: a list of texts, written apart from the code under test."""
    if day.strftime("%a") in ("Sat", "Sun"):
        return True
    if day.strftime("%m-%d") in ["01-01", "05-01", "05-08", "07-14", "08-15", "11-01", "11-11", "12-25"]:
        return True
    if f"{where} {day.day} {day:%B}" in OWN_DAYS.splitlines():
        return True
    since_easter = (day - paschal_sunday(day.year)).days
    return since_easter in (1, 39, 50) or (
        where == "alsace_moselle" and (since_easter == -2 or day.strftime("%m-%d") == "12-26")
    )


def model_after(day: date, count: int, where: str) -> date:
    left = count
    while left > 0:
        day = day + timedelta(days=1)
        if not model_is_free(day, where):
            left = left - 1
    return day


@pytest.mark.parametrize(("year", "day"), EASTERS.items())
def test_easter_of_the_almanac(year: int, day: str) -> None:
    """Known Easter Sundays."""
    assert easter(year) == date.fromisoformat(f"{year}-{day}")


def test_easter_against_the_tables() -> None:
    """Six centuries of Easter agree with an independent computation."""
    assert all(easter(year) == paschal_sunday(year) for year in range(1600, 2200))


def test_holidays_of_2026() -> None:
    """The eleven holidays by name, thirteen in Alsace-Moselle."""
    names = {day.isoformat()[5:]: name for day, name in holidays(2026, ALSACE_MOSELLE).items()}
    assert names == {
        "01-01": "Jour de l'an",
        "04-03": "Vendredi saint",
        "04-06": "Lundi de Pâques",
        "05-01": "Fête du Travail",
        "05-08": "Victoire 1945",
        "05-14": "Ascension",
        "05-25": "Lundi de Pentecôte",
        "07-14": "Fête nationale",
        "08-15": "Assomption",
        "11-01": "Toussaint",
        "11-11": "Armistice 1918",
        "12-25": "Noël",
        "12-26": "Saint-Étienne",
    }
    assert len(holidays(2026)) == 11


def test_the_caller_cannot_spoil_the_calendar() -> None:
    """Changing the returned mapping changes nothing for the next caller."""
    holidays(2026).clear()
    assert len(holidays(2026)) == 11


@pytest.mark.parametrize("where", TERRITORIES)
def test_every_day_of_ten_years(where: str, record_property: Callable[[str, object], None]) -> None:
    """Working days and the four legal deadlines equal the model's on each of 3 653 days, everywhere."""
    for day in EVERY_DAY:
        assert is_working_day(day, where) is not model_is_free(day, where)
        assert send_deadline(day, False, where) == model_after(day, 3, where)
        assert send_deadline(day, True, where) == model_after(day, 8, where)
        assert receipt_deadline(day, where) == model_after(day, 2, where)
        assert resend_deadline(day, where) == model_after(day, 2, where)
        assert keep_until(day) == date.fromordinal(day.toordinal() + 91)
    record_property("promise B16", {"days": len(EVERY_DAY), "deadlines": 4 * len(EVERY_DAY), "wrong": 0})


def test_a_territory_has_its_own_day() -> None:
    """One more holiday than the mainland, on its day; a territory nobody knows is refused."""
    for where in TERRITORIES[2:]:
        (own,) = set(holidays(2026, where)) - set(holidays(2026))
        assert f"{where} {own.day} {own:%B}" in OWN_DAYS
    with pytest.raises(ValueError, match="none of metropole"):
        holidays(2026, "atlantis")


def test_a_zone_tells_its_territory_or_counts_as_the_mainland() -> None:
    """Mayotte is one territory; two territories share no day, so none of theirs makes a deadline later."""
    assert [territory_of(zone) for zone in ("mayotte", "metropole")] == ["mayotte", "metropole"]
    for zone, members in {
        "antilles": ("guadeloupe", "martinique", "saint_barthelemy", "saint_martin"),
        "guyane_reunion": ("guyane", "reunion"),
    }.items():
        there = territory_of(zone)
        assert there == "metropole"
        for day in EVERY_DAY[:366]:
            assert all(send_deadline(day, True, there) <= send_deadline(day, True, one) for one in members)


@pytest.mark.parametrize(
    ("made", "third_party", "last"),
    [
        ("2026-11-20", False, "2026-11-25"),  # Friday: Monday, Tuesday, Wednesday
        ("2026-11-20", True, "2026-12-02"),
        ("2026-04-30", False, "2026-05-06"),  # 1 May and a week-end between
        ("2026-12-24", False, "2026-12-30"),
        ("2026-12-24", True, "2027-01-07"),
    ],
)
def test_sending_deadlines_by_hand(made: str, third_party: bool, last: str) -> None:
    """R161-47 I 1°: 3 working days, 8 with third-party payment, counted on a wall calendar."""
    assert send_deadline(date.fromisoformat(made), third_party) == date.fromisoformat(last)


def test_the_result_is_a_working_day() -> None:
    """A deadline never falls on a day when nobody works, and counting nothing is refused."""
    assert all(is_working_day(add_working_days(day, 1)) for day in EVERY_DAY)
    with pytest.raises(ValueError, match="at least one"):
        add_working_days(FIRST, 0)


def in_summer(moment: datetime) -> bool:
    """Changes of time as printed on the calendars of 2025 and 2026."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return "2025-03-30T01" <= text < "2025-10-26T01" or "2026-03-29T01" <= text < "2026-10-25T01"


def test_the_day_is_the_day_in_paris() -> None:
    """Every half-hour of two years, and the second before it, has the day that a clock in Paris shows."""
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    while moment.year < 2027:
        for seconds in (0, -1):
            near = moment + timedelta(seconds=seconds)
            assert legal_day(near) == (near + timedelta(hours=2 if in_summer(near) else 1)).date()
        moment += timedelta(minutes=30)
    assert legal_day(datetime(2026, 11, 22, 23, 30, tzinfo=UTC)) == date(2026, 11, 23)
