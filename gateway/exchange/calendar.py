"""French legal days: holidays, working days and the deadlines of the code de la sécurité sociale."""

from __future__ import annotations

from datetime import date, datetime


def easter(year: int) -> date:
    """Easter Sunday of a Gregorian year."""
    raise NotImplementedError


def holidays(year: int, alsace_moselle: bool = False) -> dict[date, str]:
    """Public holidays of one year with their French names."""
    raise NotImplementedError


def is_working_day(day: date, alsace_moselle: bool = False) -> bool:
    """Monday to Friday, not a holiday."""
    raise NotImplementedError


def add_working_days(day: date, count: int, alsace_moselle: bool = False) -> date:
    """The count-th working day after `day`."""
    raise NotImplementedError


def legal_day(moment: datetime) -> date:
    """The calendar day in Paris of an aware moment: legal times are counted in French days."""
    raise NotImplementedError


def send_deadline(day: date, third_party: bool, alsace_moselle: bool = False) -> date:
    """Last day to send a sheet made on `day`: 3 working days, 8 with third-party payment (R161-47 I 1°)."""
    raise NotImplementedError


def receipt_deadline(sent: date, alsace_moselle: bool = False) -> date:
    """Last day on which the receipt of something sent on `sent` may come: 2 working days (R161-47)."""
    raise NotImplementedError


def resend_deadline(missed: date, alsace_moselle: bool = False) -> date:
    """Last day to send again after a missing or bad receipt known on `missed`: 2 working days (R161-47)."""
    raise NotImplementedError


def keep_until(day: date) -> date:
    """First day on which the double and its receipt may be purged: 90 days are kept (R161-47)."""
    raise NotImplementedError
