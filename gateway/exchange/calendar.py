"""French legal days: holidays, working days and the deadlines of CSS R161-47.

Legal times are counted in working days (Monday to Friday, holidays out), the day of the event not counted.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

SEND_DAYS_PATIENT = 3  # R161-47 I 1°: the insured pays directly
SEND_DAYS_THIRD_PARTY = 8  # R161-47 I 1°: third-party payment
RECEIPT_DAYS = 2  # R161-47 I: no acknowledgement within this time
RESEND_DAYS = 2  # R161-47 I: then send again within this time
KEPT_DAYS = 90  # R161-47: the electronic double and its acknowledgements

_FIXED = (  # Code du travail L3133-1
    (1, 1, "Jour de l'an"),
    (5, 1, "Fête du Travail"),
    (5, 8, "Victoire 1945"),
    (7, 14, "Fête nationale"),
    (8, 15, "Assomption"),
    (11, 1, "Toussaint"),
    (11, 11, "Armistice 1918"),
    (12, 25, "Noël"),
)
# Code du travail L3422-2 (loi 83-550): the day of the abolition of slavery, a holiday in its territory alone.
_ABOLITION = {
    "guadeloupe": (5, 27),
    "martinique": (5, 22),
    "guyane": (6, 10),
    "reunion": (12, 20),
    "mayotte": (4, 27),
    "saint_barthelemy": (10, 9),
    "saint_martin": (5, 28),
}
METROPOLE, ALSACE_MOSELLE = "metropole", "alsace_moselle"
TERRITORIES = (METROPOLE, ALSACE_MOSELLE, *_ABOLITION)
"""Where holidays differ; `territory_of` says which one a tariff zone tells."""

_MOVING = ((1, "Lundi de Pâques"), (39, "Ascension"), (50, "Lundi de Pentecôte"))  # days after Easter Sunday
_DAY = timedelta(days=1)


def easter(year: int) -> date:
    """Easter Sunday of a Gregorian year (Gauss's rule as completed by Butcher)."""
    golden, (century, rest) = year % 19, divmod(year, 100)
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    to_sunday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=256)
def _holidays(year: int, territory: str) -> dict[date, str]:
    sunday = easter(year)
    days = {date(year, month, day): name for month, day, name in _FIXED}
    days |= {sunday + after * _DAY: name for after, name in _MOVING}
    if (
        territory == ALSACE_MOSELLE
    ):  # Code du travail L3134-13; Good Friday where there is a Protestant or mixed church
        days |= {sunday - 2 * _DAY: "Vendredi saint", date(year, 12, 26): "Saint-Étienne"}
    elif territory in _ABOLITION:
        days[date(year, *_ABOLITION[territory])] = "Abolition de l'esclavage"
    elif territory != METROPOLE:
        raise ValueError(f"{territory!r} is none of {', '.join(TERRITORIES)}")
    return dict(sorted(days.items()))


def territory_of(zone: str) -> str:
    """The territory that a tariff zone tells. A zone of several has no day of its own that all of them have:
    it is counted as the mainland, whose deadlines are never later.
    """
    return zone if zone in TERRITORIES else METROPOLE


def holidays(year: int, territory: str = METROPOLE) -> dict[date, str]:
    """Public holidays of one year with their French names, in order; two may fall on one day."""
    return dict(_holidays(year, territory))


def is_working_day(day: date, territory: str = METROPOLE) -> bool:
    """Monday to Friday, not a holiday."""
    return day.weekday() < 5 and day not in _holidays(day.year, territory)


def add_working_days(day: date, count: int, territory: str = METROPOLE) -> date:
    """The count-th working day after `day`; `day` itself is never counted. `count` is at least 1."""
    if count < 1:
        raise ValueError(f"{count} working days: count at least one")
    while count:
        day += _DAY
        count -= is_working_day(day, territory)
    return day


def legal_day(moment: datetime) -> date:
    """The calendar day in Paris of an aware moment: legal times are counted in French days."""
    utc = moment.astimezone(UTC)
    return (utc + timedelta(hours=2 if _is_summer(utc) else 1)).date()


def _is_summer(utc: datetime) -> bool:
    """Directive 2000/84/EC: from the last Sunday of March to the last Sunday of October, at 01:00 UTC."""
    return _last_sunday(utc.year, 3) <= utc < _last_sunday(utc.year, 10)


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def send_deadline(day: date, third_party: bool, territory: str = METROPOLE) -> date:
    """Last day to send a sheet made on `day`: 3 working days, 8 with third-party payment (R161-47 I 1°)."""
    count = SEND_DAYS_THIRD_PARTY if third_party else SEND_DAYS_PATIENT
    return add_working_days(day, count, territory)


def receipt_deadline(sent: date, territory: str = METROPOLE) -> date:
    """Last day on which the receipt of something sent on `sent` may come: 2 working days (R161-47 I)."""
    return add_working_days(sent, RECEIPT_DAYS, territory)


def resend_deadline(missed: date, territory: str = METROPOLE) -> date:
    """Last day to send again after a missing or bad receipt known on `missed`: 2 working days (R161-47 I)."""
    return add_working_days(missed, RESEND_DAYS, territory)


def keep_until(day: date) -> date:
    """First day on which the double and its receipt may be purged: 90 days are kept (R161-47)."""
    return day + timedelta(days=KEPT_DAYS + 1)
