"""What a practice wants to know of its sheets: what is due, late, refused, and the figures of its months.

Money is in cents, days are French days. Every function is asked for one practice and answers for it alone.
What a sheet asks of whom: of the patient what is paid at the desk, of the caisse (AMO) its share when it
pays the professional (third-party payment), of the insurer (AMC) the share that stands beside the sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from gateway.errors import InputError
from gateway.exchange.calendar import add_working_days, legal_day
from gateway.store.database import Transaction
from gateway.store.lists import day_begins
from gateway.store.rows import FseRow
from gateway.store.schema import UNPAID, UNSENT, fse, lot, moment, payment, receipt, share
from gateway.store.statements import Record
from gateway.store.states import FseState, LotState
from gateway.store.views import FSE, fse_row

SOON_DAYS = 2
"""What has to leave within this many working days is due soon."""

# INVENTED(late-payment): no public text says when a payment is late: 15 days after the sheet was accepted.
PAYMENT_DAYS = 15
"""After so many days without a payment an accepted sheet is looked into."""

_OPEN = (FseState.AWAITING_CPS, FseState.SIGNED, FseState.IN_LOT, FseState.SENT, FseState.ACCEPTED)
_REFUSED = (FseState.REJECTED, FseState.PAYMENT_REJECTED)
_VOID = (FseState.CANCELLED, FseState.RECTIFIED)
_MINE = fse.c.practice == sa.bindparam("b_practice")


class Urgency(StrEnum):
    """How near a legal day is."""

    LATE = "late"
    TODAY = "today"
    SOON = "soon"


@dataclass(frozen=True, slots=True)
class DueItem:
    """One sheet (id: its number) that must leave, or one lot (id) whose receipt must come, and until when."""

    what: str
    id: str
    state: str
    day: date
    urgency: Urgency
    reason: str


@dataclass(frozen=True, slots=True)
class Due:
    """How many sheets and lots are late, due today and due soon; the most urgent of them one by one."""

    late: int
    today: int
    soon: int
    items: tuple[DueItem, ...]


@dataclass(frozen=True, slots=True)
class Month:
    """The sheets made in one month (`first`: its first day), as they stand now; cents.

    Asked sums leave out what was cancelled or rectified; `refused` counts what a receipt or a payment return
    refused, rectified since or not. `delay_days`: the mean from making to payment, None when nothing is paid.
    """

    first: date
    sheets: int
    base_cents: int
    amo_cents: int
    amc_cents: int
    patient_cents: int
    excess_cents: int
    paid_amo_cents: int
    paid_amc_cents: int
    refused: int
    delay_days: float | None


@dataclass(frozen=True, slots=True)
class LatePayment:
    """A share that was accepted, or left to an insurer, and is not paid after so many days; cents."""

    number: int
    practitioner: str
    elaborated: datetime
    payer: str
    cents: int
    since: date
    days: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused sheet, with who refused it and the code that was given; newest refusal first."""

    sheet: FseRow
    by: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Sums:
    """What was asked of whom, paid, refused and is still due; cents."""

    base_cents: int = 0
    excess_cents: int = 0
    patient_cents: int = 0
    amo_cents: int = 0
    amc_cents: int = 0
    paid_amo_cents: int = 0
    paid_amc_cents: int = 0
    refused_cents: int = 0
    due_cents: int = 0


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One sheet of a statement. `reason`: why something of it was refused."""

    number: int
    day: date
    practitioner: str
    label: str
    third_party: str
    state: FseState
    amc_state: str
    sums: Sums
    reason: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A month of one professional, or of the whole practice (`practitioner` ""), sheet by sheet."""

    practice: str
    practitioner: str
    first: date
    lines: tuple[StatementLine, ...]
    totals: Sums


# Legal days

_UNSENT = (
    sa.select(fse.c.number, fse.c.state, fse.c.deadline, fse.c.reason)
    .where(_MINE & UNSENT & (fse.c.deadline <= sa.bindparam("b_last")))
    .order_by(fse.c.deadline, fse.c.id)
    .limit(sa.bindparam("b_limit"))
)
_UNSENT_DAYS = (
    sa.select(fse.c.deadline.label("day"), sa.func.count().label("number"))
    .where(_MINE & UNSENT & (fse.c.deadline <= sa.bindparam("b_last")))
    .group_by(fse.c.deadline)
)
_SILENT = (
    sa.select(lot.c.id, lot.c.state, lot.c.ack_due, lot.c.reason)
    .where((lot.c.practice == sa.bindparam("b_practice")) & (lot.c.state == sa.bindparam("b_state")))
    .where(lot.c.ack_due < sa.bindparam("b_end"))
)


def due(tx: Transaction, practice: str, today: date, limit: int) -> Due:
    """Sheets that have not left and sent lots without a receipt, by their legal day."""
    last = add_working_days(today, SOON_DAYS)
    values = {"b_practice": practice, "b_last": last.isoformat()}
    lots = [
        _silent_lot(row, today) for state in _SILENT_STATES for row in tx.rows(_SILENT, _until(values, state))
    ]
    sheets = [_unsent(row, today) for row in tx.rows(_UNSENT, {**values, "b_limit": limit})]
    numbers = {urgency: sum(item.urgency is urgency for item in lots) for urgency in Urgency}
    for row in tx.rows(_UNSENT_DAYS, values):
        numbers[_urgency(date.fromisoformat(row.day), today)] += row.number
    items = sorted((*sheets, *lots), key=lambda item: (item.day, item.what, item.id))[:limit]
    return Due(numbers[Urgency.LATE], numbers[Urgency.TODAY], numbers[Urgency.SOON], tuple(items))


_SILENT_STATES = (LotState.SENT, LotState.OVERDUE, LotState.PARKED)


def _until(values: dict[str, str], state: LotState) -> dict[str, str]:
    after = date.fromisoformat(values["b_last"]) + timedelta(days=1)
    return {"b_practice": values["b_practice"], "b_state": state, "b_end": day_begins(after)}


def _silent_lot(row: Record, today: date) -> DueItem:
    # a receipt that is due at midnight was due on the day that ends there
    day = legal_day(moment(row.ack_due) - timedelta(microseconds=1))
    urgency = Urgency.LATE if row.state != LotState.SENT else _urgency(day, today)
    return DueItem("lot", row.id, row.state, day, urgency, row.reason)


def _unsent(row: Record, today: date) -> DueItem:
    day = date.fromisoformat(row.deadline)
    return DueItem("fse", str(row.number), row.state, day, _urgency(day, today), row.reason)


def _urgency(day: date, today: date) -> Urgency:
    if day < today:
        return Urgency.LATE
    return Urgency.TODAY if day == today else Urgency.SOON


# Months

_SUMS = tuple(
    sa.func.sum(getattr(fse.c, name)).label(name)
    for name in (
        "base_cents", "amo_cents", "amc_cents", "patient_cents", "excess_cents",
        "paid_amo_cents", "paid_amc_cents",
    )
)  # fmt: skip
_MADE = _MINE & (fse.c.elaborated >= sa.bindparam("b_first")) & (fse.c.elaborated < sa.bindparam("b_end"))
_DAY = sa.func.substr
_MONTH = (
    sa.select(
        fse.c.state,
        _DAY(fse.c.elaborated, 1, 10).label("made"),
        sa.case((fse.c.state == FseState.PAID, _DAY(fse.c.changed_at, 1, 10)), else_="").label("ended"),
        sa.func.count().label("number"),
        *_SUMS,
    )
    .where(_MADE)
    .group_by("state", "made", "ended")
)  # fmt: skip


def last_months(today: date, count: int) -> list[date]:
    """The first days of the last `count` months (1 to 36), that of `today` last."""
    if not 1 <= count <= 36:
        raise InputError(f"{count} months: ask for 1 to 36", code="input")
    return [_month_before(today, back) for back in reversed(range(count))]


def month(tx: Transaction, practice: str, first: date) -> Month:
    """The figures of one month."""
    rows = tx.rows(_MONTH, _month_values(practice, first))
    asked = [row for row in rows if row.state not in _VOID]
    paid = [row for row in rows if row.state == FseState.PAID]
    waited = sum(
        row.number * (date.fromisoformat(row.ended) - date.fromisoformat(row.made)).days for row in paid
    )
    payments = sum(row.number for row in paid)
    return Month(
        first=first,
        sheets=sum(row.number for row in asked),
        **{name: sum(getattr(row, name) for row in asked) for name in _MONEY},
        refused=sum(row.number for row in rows if row.state in (*_REFUSED, FseState.RECTIFIED)),
        delay_days=waited / payments if payments else None,
    )


_MONEY = tuple(one.name for one in _SUMS)


def month_of(year: int, month: int) -> date:
    """The first day of a month; InputError when there is no such month."""
    try:
        return date(year, month, 1)
    except ValueError:
        raise InputError(f"there is no month {month} of the year {year}", code="input") from None


def _month_before(day: date, back: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - back, 12)
    return date(year, month + 1, 1)


def _month_values(practice: str, first: date) -> dict[str, object]:
    end = _month_before(first, -1)
    return {"b_practice": practice, "b_first": day_begins(first), "b_end": day_begins(end)}


# Late payments

_UNPAID = (
    sa.select(
        fse.c.number, fse.c.practitioner, fse.c.elaborated, fse.c.changed_at, fse.c.amo_cents.label("cents")
    )
    .where(_MINE & UNPAID & (fse.c.changed_at < sa.bindparam("b_before")))
    .order_by(fse.c.changed_at, fse.c.id)
    .limit(sa.bindparam("b_limit"))
)
_UNPAID_SHARES = (
    sa.select(
        fse.c.number,
        fse.c.practitioner,
        fse.c.elaborated,
        share.c.changed_at,
        share.c.amc_cents.label("cents"),
    )
    .join(fse, share.c.fse_id == fse.c.id)
    .where((share.c.practice == sa.bindparam("b_practice")) & (share.c.state == sa.bindparam("b_state")))
    .where(share.c.changed_at < sa.bindparam("b_before"))
    .where(sa.or_(*(fse.c.state == state for state in (FseState.ACCEPTED, FseState.PAID))))
    .order_by(share.c.changed_at)
    .limit(sa.bindparam("b_limit"))
)  # fmt: skip
_AWAITED_SHARES = (FseState.ACCEPTED, FseState.RELAYED)


def late_payments(tx: Transaction, practice: str, today: date, days: int, limit: int) -> list[LatePayment]:
    """Shares accepted at least `days` days ago and not paid, the oldest first."""
    before = day_begins(today - timedelta(days=days - 1))
    values = {"b_practice": practice, "b_before": before, "b_limit": limit}
    found = [_late(row, "amo", today) for row in tx.rows(_UNPAID, values)]
    for state in _AWAITED_SHARES:
        found += [_late(row, "amc", today) for row in tx.rows(_UNPAID_SHARES, {**values, "b_state": state})]
    return sorted(found, key=lambda one: (one.since, one.number, one.payer))[:limit]


def _late(row: Record, payer: str, today: date) -> LatePayment:
    since = legal_day(moment(row.changed_at))
    made = moment(row.elaborated)
    return LatePayment(row.number, row.practitioner, made, payer, row.cents, since, (today - since).days)


# Refusals

_REFUSALS = (
    FSE.where(_MINE & (fse.c.state == sa.bindparam("b_state")))
    .order_by(fse.c.elaborated.desc(), fse.c.number.desc())
    .limit(sa.bindparam("b_limit"))
)
_SAID = (
    sa.select(payment.c.code, payment.c.text)
    .where((payment.c.fse_id == sa.bindparam("b_fse")) & (payment.c.paid == sa.false()))
    .where(payment.c.deferred == sa.false())
    .order_by(payment.c.id.desc())
    .limit(1)
)
_RECEIPT = (
    sa.select(receipt.c.error_class, receipt.c.code)
    .where((receipt.c.lot_seq == sa.bindparam("b_lot")) & (receipt.c.positive == sa.false()))
    .order_by(receipt.c.id.desc())
    .limit(1)
)


def refusals(tx: Transaction, practice: str, limit: int) -> list[Refusal]:
    """Sheets that were refused and not rectified yet, with the code of the refusal, newest sheet first."""
    values = {"b_practice": practice, "b_limit": limit}
    rows = [row for state in _REFUSED for row in tx.rows(_REFUSALS, {**values, "b_state": state})]
    rows.sort(key=lambda row: (row.elaborated, row.number), reverse=True)
    return [_refusal(tx, row) for row in rows[:limit]]


def _refusal(tx: Transaction, row: Record) -> Refusal:
    sheet = fse_row(row)
    if sheet.state is FseState.REJECTED:
        said = tx.first(_RECEIPT, {"b_lot": row.lot_seq})
        code = f"{said.error_class}{said.code}" if said is not None else ""
        return Refusal(sheet, "receipt", code, sheet.reason)
    said = tx.first(_SAID, {"b_fse": row.id})
    return Refusal(sheet, "payment", *((said.code, said.text) if said is not None else ("", sheet.reason)))


# The monthly statement of a professional

_PART = 500
_PLACE = sa.tuple_(fse.c.elaborated, fse.c.number) > sa.tuple_(
    sa.bindparam("b_first"), sa.bindparam("b_number")
)
_SHEETS = (
    FSE.add_columns(share.c.amc_cents.label("share_cents"))
    .where(_MINE & _PLACE & (fse.c.elaborated < sa.bindparam("b_end")))
    .order_by(fse.c.elaborated, fse.c.number)
    .limit(_PART)
)


@dataclass(frozen=True, slots=True)
class StatementPart:
    """Some lines of a statement, oldest first, and behind which sheet it goes on; None: nothing follows."""

    lines: tuple[StatementLine, ...] = ()
    after: tuple[str, int] | None = ("", 0)


def statement_part(tx: Transaction, practice: str, first: date, after: tuple[str, int]) -> StatementPart:
    """The next sheets made in the month of `first`: asked of whom, paid, refused, still due."""
    values = _month_values(practice, first)
    place = after if after[0] else (values["b_first"], 0)
    rows = tx.rows(_SHEETS, {**values, "b_first": place[0], "b_number": place[1]})
    goes_on = (rows[-1].elaborated, rows[-1].number) if len(rows) == _PART else None
    return StatementPart(tuple(_line(row) for row in rows), goes_on)


def statement(practice: str, practitioner: str, first: date, lines: Sequence[StatementLine]) -> Statement:
    """These lines and their totals."""
    return Statement(practice, practitioner, first, tuple(lines), _total([line.sums for line in lines]))


def _line(row: Record) -> StatementLine:
    sheet = fse_row(row)
    reasons = dict.fromkeys(one for one in (sheet.reason, sheet.amc_reason) if one)
    return StatementLine(
        number=sheet.number,
        day=legal_day(sheet.elaborated),
        practitioner=sheet.practitioner,
        label=sheet.label,
        third_party=sheet.third_party,
        state=sheet.state,
        amc_state=sheet.amc_state,
        sums=_sums(sheet, row.share_cents),
        reason="; ".join(reasons),
    )


def _sums(sheet: FseRow, share_cents: int | None) -> Sums:
    """What one sheet asked and what became of it; a cancelled or rectified sheet asks for nothing."""
    if sheet.state in _VOID:
        return Sums()
    amo = 0 if sheet.third_party == "none" else sheet.amo_cents
    amc = share_cents or 0
    amo_due, amo_refused = _outcome(amo, sheet.paid_amo_cents, sheet.state)
    amc_due, amc_refused = _outcome(amc, sheet.paid_amc_cents, sheet.amc_state or sheet.state)
    return Sums(
        base_cents=sheet.base_cents,
        excess_cents=sheet.excess_cents,
        patient_cents=sheet.patient_cents,
        amo_cents=amo,
        amc_cents=amc,
        paid_amo_cents=sheet.paid_amo_cents,
        paid_amc_cents=sheet.paid_amc_cents,
        refused_cents=amo_refused + amc_refused,
        due_cents=amo_due + amc_due,
    )


def _outcome(asked: int, paid: int, state: str) -> tuple[int, int]:
    """What of a share is still due, and what was refused: a payment that is less refuses the rest."""
    rest = max(asked - paid, 0)
    return (rest, 0) if state in (*_OPEN, FseState.RELAYED) else (0, rest)


def _total(all_sums: Sequence[Sums]) -> Sums:
    added: dict[str, Any] = {
        one.name: sum(getattr(sums, one.name) for sums in all_sums) for one in fields(Sums)
    }
    return Sums(**added)
