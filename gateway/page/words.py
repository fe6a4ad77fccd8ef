"""How numbers, days and months are written, in the two languages of the page."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from gateway.errors import InputError
from gateway.exchange.calendar import legal_day

NARROW, NO_BREAK = "\u202f", "\u00a0"
"""The spaces of French amounts: between thousands, before the sign of the euro."""

_MONTHS = {
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
           "novembre", "décembre"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
}  # fmt: skip
_SHORT = {
    "fr": ("janv", "févr", "mars", "avr", "mai", "juin", "juil", "août", "sept", "oct", "nov", "déc"),
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}
_DAYS = {
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_EARLIEST = date(2020, 1, 1)


def euros(cents: int, language: str = "fr") -> str:
    """1234 → 12,34 €, or €12.34 in English."""
    whole, rest = divmod(abs(cents), 100)
    sign = "−" if cents < 0 else ""
    if language == "fr":
        return f"{sign}{whole:,}".replace(",", NARROW) + f",{rest:02d}{NO_BREAK}€"
    return f"{sign}€{whole:,}.{rest:02d}"


def typed(cents: int, language: str = "fr") -> str:
    """An amount as it stands in a field: 12,34."""
    whole, rest = divmod(cents, 100)
    return f"{whole}{',' if language == 'fr' else '.'}{rest:02d}"


def number(value: float, language: str = "fr") -> str:
    """One decimal: 5,3."""
    return f"{value:.1f}".replace(".", "," if language == "fr" else ".")


def day(on: date | None) -> str:
    """21/11/2026, in both languages; a dash for none."""
    return "–" if on is None else f"{on:%d/%m/%Y}"


def long_day(on: date, language: str = "fr") -> str:
    """lundi 23 novembre 2026."""
    return f"{_DAYS[language][on.weekday()]} {on.day} {_MONTHS[language][on.month - 1]} {on.year}"


def month(on: date, language: str = "fr") -> str:
    """novembre 2026."""
    return f"{_MONTHS[language][on.month - 1]} {on.year}"


def short_month(on: date, language: str = "fr") -> str:
    """nov."""
    return _SHORT[language][on.month - 1]


def local(moment: datetime) -> datetime:
    """A moment of the store (UTC) as a clock in Paris shows it."""
    utc = moment.replace(tzinfo=None)
    # 22:00 UTC is midnight in summer, and then another day, but 23:00 in winter
    summer = legal_day(moment.replace(hour=22, minute=0)) != moment.date()
    return utc + timedelta(hours=2 if summer else 1)


def moment(at: datetime | None) -> str:
    """21/11/2026 à 14:05 without the preposition; a dash for none."""
    return "–" if at is None else f"{local(at):%d/%m/%Y %H:%M}"


def hour(at: datetime | None) -> str:
    """14:05."""
    return "–" if at is None else f"{local(at):%H:%M}"


def read_month(text: str, today: date) -> date:
    """2026-11 → its first day, the present month for nothing; InputError for anything else."""
    if not text:
        return today.replace(day=1)
    match = re.fullmatch(r"(20[0-9]{2})-(0[1-9]|1[0-2])", text)
    first = date(int(match[1]), int(match[2]), 1) if match else date.min
    if not _EARLIEST <= first <= today:
        raise InputError("month: give a month as 2026-11, none that is still to come.")
    return first


def months_back(today: date, count: int) -> list[date]:
    """The first days of the last months, the present one first."""
    firsts = [today.replace(day=1)]
    while len(firsts) < count:
        firsts.append((firsts[-1] - timedelta(days=1)).replace(day=1))
    return firsts


def next_month(first: date) -> date:
    """The first day of the month after."""
    return (first + timedelta(days=31)).replace(day=1)


def age(born: date, on: date) -> int:
    """Completed years."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
