"""What the API answers: one model for each resource. Amounts in cents, times in UTC (ISO 8601)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from gateway.audit import AuditRecord
from gateway.store.rows import Change, FseRow, HistoryLine, LotRow, PaymentLine, ReceiptLine, Unmatched
from gateway.store.states import FseState, LotState


class Shown(BaseModel):
    """Nothing that is not named here leaves the API."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def of(cls, row: Any, **more: object) -> Self:
        """The fields of this model that a row of the store has, and `more`."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)} | more)


class Slot(Shown):
    """One slot. `movements` counts cards put in or taken out; `trouble`: why it cannot have a card, if so."""

    name: str
    card_present: bool
    movements: int
    pin_pad: bool
    trouble: str | None


class Reader(Shown):
    """One reader and its slots. `trouble`: why the reader is not open, if so; it has no slots then."""

    name: str
    driver: str
    slots: list[Slot]
    trouble: str | None


class Readers(Shown):
    """The readers of this practice at this gateway."""

    readers: list[Reader]


class Place(Shown):
    """A place of practice on the CPS; `situation` names it in a care act."""

    situation: str
    name: str
    billing_number: str
    specialty: str
    convention: str
    zone: str
    may_sign_invoice: bool
    may_sign_lot: bool


class Session(Shown):
    """The practitioner's session; who and where only while it is open.

    `sheets_left` and `ends`: when the PIN is asked again, null without such a limit.
    """

    state: Literal["open", "locked", "no-card"]
    practitioner: str | None = None
    national_id: str | None = None
    places: list[Place] = []
    ends: datetime | None = None
    sheets_left: int | None = None


class Line(Shown):
    """One priced act line."""

    code: str
    quantity: int
    coefficient: str
    unit_cents: int
    base_cents: int
    rate: int
    amo_cents: int
    amc_cents: int
    charged_cents: int
    excess_cents: int
    patient_cents: int
    exemption_code: str
    letters: str
    activity: str
    modifiers: str
    association: int | None
    participation_cents: int
    deduction: str
    stay: bool


class Price(Shown):
    """The object of `vitale-gateway price --json`: shares of every line, their sums, and why."""

    base_cents: int
    amo_cents: int
    amc_cents: int
    patient_cents: int
    excess_cents: int
    lines: list[Line]
    why: list[str]


class Accepted(Price):
    """A care act that was kept: the number of its FSE, where it goes, and its price.

    `demand`: the insurer that a DRE goes to, left out without one; `mode` is left out when it is secured.
    """

    accepted: Literal[True]
    number: int
    destination: str
    mode: str = "secured"
    demand: str = ""


class Rectified(Accepted):
    """A refused FSE made anew; `rectifies` is the number of the refused one."""

    rectifies: int


class Signed(Shown):
    """The FSE that waited for the CPS and are signed now."""

    numbers: list[int]


class Twin(Shown):
    """The paper twin of an FSE, as plain text to print. It holds names and NIR."""

    number: int
    text: str


class Sheet(Shown):
    """One FSE in a list; nothing of it names the patient.

    `amc_state`: where its complementary share stands, empty without one; `rectifies`: the number of the
    refused FSE in whose place it stands, 0 for none.
    """

    number: int
    state: FseState
    mode: int
    practitioner: str
    destination: str
    third_party: str
    elaborated: datetime
    deadline: date
    base_cents: int
    amo_cents: int
    amc_cents: int
    patient_cents: int
    excess_cents: int
    label: str
    lot_id: str | None
    paid_amo_cents: int
    paid_amc_cents: int
    changed_at: datetime
    reason: str
    amc_state: str
    amc_reason: str
    rectifies: int


class Step(Shown):
    """One change of state of an FSE, of its DRE (by the same number) or of its lot.

    `before` is empty at birth.
    """

    at: datetime
    what: Literal["fse", "dre", "lot"]
    id: str
    before: str
    after: str
    reason: str


class Payment(Shown):
    """What one payment return said of one FSE; `remedy` says what to do when it was not paid."""

    at: datetime
    number: int
    lot_number: int
    lot_date: date | None
    paid: bool
    deferred: bool
    amo_cents: int
    amc_cents: int
    code: str
    text: str
    outcome: str
    remedy: str


class SheetInFull(Sheet):
    """One FSE with its history and what was paid."""

    history: list[Step]
    payments: list[Payment]


class Sheets(Shown):
    """One page of FSE, newest first; `next` is the offset of the next page, null at the end."""

    items: list[Sheet]
    next: int | None


class Lot(Shown):
    """One lot. `attempts` counts failed ones since the last success, `sends` the times the relay took it."""

    id: str
    state: LotState
    destination: str
    lot_number: int
    lot_date: date
    file_id: str
    compostage: str
    count: int
    attempts: int
    sends: int
    next_attempt_at: datetime | None
    failing_since: datetime | None
    sent_at: datetime | None
    ack_due: datetime | None
    changed_at: datetime
    reason: str


class Receipt(Shown):
    """One ARL: positive, or refused with class and code; `remedy` says what to do then."""

    at: datetime
    positive: bool
    error_class: str
    code: str
    outcome: str
    reason: str
    remedy: str


class LotInFull(Lot):
    """One lot with the numbers of its FSE and its ARL."""

    sheets: list[int]
    receipts: list[Receipt]


class Lots(Shown):
    """One page of lots, newest first."""

    items: list[Lot]
    next: int | None


class Closed(Shown):
    """The lots that were closed now."""

    lots: list[Lot]


class Sent(Shown):
    """What one pass of sending did; `why` is the reason of its first failure."""

    sent: int
    failed: int
    parked: int
    overdue: int
    why: str


class Payments(Shown):
    """One page of payments, newest first."""

    items: list[Payment]
    next: int | None


class Refused(Shown):
    """One FSE that was refused, by ARL or by payment return, and its remedy."""

    number: int
    state: FseState
    code: str
    reason: str
    remedy: str
    lot_id: str | None
    changed_at: datetime


class Refusals(Shown):
    """One page of refused FSE, newest first, and the returns that match nothing and wait for a person."""

    items: list[Refused]
    next: int | None
    unmatched: list[Stray]


class Stray(Shown):
    """A return that moved nothing: an unreadable message, a stranger's ARL."""

    at: datetime
    kind: str
    outcome: str
    reason: str


class Record(Shown):
    """One record of the audit trail; `digest` covers the record before it."""

    seq: int
    at: str
    who: str
    what: str
    ref: str
    detail: str
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")


class Trail(Shown):
    """One page of this practice's trail, oldest first; `next`: ask again after this record, null at the end.

    `whole`: how many records the whole trail has, without a gap or a change; null when that was not asked.
    """

    items: list[Record]
    next: int | None
    whole: int | None


class Known(Shown):
    """One code of a problem, its status and title."""

    code: str
    status: int
    title: str


class Problems(Shown):
    """Every code that the API itself gives; others are in the README of the gateway."""

    problems: list[Known]


def sheet(row: FseRow) -> Sheet:
    """An FSE of the store as shown."""
    return Sheet.of(row)


def lot(row: LotRow) -> Lot:
    """A lot of the store as shown."""
    return Lot.of(row)


def step(line: HistoryLine | Change) -> Step:
    """A change of state as shown."""
    return Step.of(line)


def record(kept: AuditRecord) -> Record:
    """A record of the trail as shown."""
    return Record(seq=kept.seq, digest=kept.digest.hex(), **kept.entry._asdict())


def stray(found: Unmatched) -> Stray:
    """A return that matches nothing as shown."""
    return Stray.of(found)


def payment(line: PaymentLine, remedy: str) -> Payment:
    """A payment as shown."""
    return Payment(**asdict(line), remedy=remedy)


def receipt(line: ReceiptLine, remedy: str) -> Receipt:
    """An ARL as shown."""
    return Receipt(**asdict(line), remedy=remedy)


def page(items: list[Any], limit: int, offset: int) -> tuple[list[Any], int | None]:
    """At most `limit` of one more than that many items, and the offset of the next page if there is one."""
    return items[:limit], offset + limit if len(items) > limit else None
