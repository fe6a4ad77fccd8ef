"""The two state tables of the house. Every change of state in the store passes through `check`.

An FSE is born SIGNED (kept, both signatures inside), goes into a lot, leaves with it, and ends when
the receipt and the payment return have said what became of it:

    SIGNED → IN_LOT → SENT → ACCEPTED | REJECTED → PAID | PAYMENT_REJECTED

A desynchronised FSE is born AWAITING_CPS, with the seal of the Vitale only, and becomes SIGNED when the CPS
has signed it. What is in no lot yet can be CANCELLED; what was refused, by receipt or payment, ends as
RECTIFIED when a new FSE takes its place. The complementary share of an FSE walks the same way by itself,
from SIGNED when a DRE asks for it, from RELAYED when the caisse hands it on.

A lot is born SEALED: its bytes and its id are fixed for ever. Sending is an attempt that may fail
and go back to where it came from; silence makes it OVERDUE; what cannot leave by itself is PARKED
with its reason until a person releases it. A receipt that names our digest is believed in any state
but the final ones, because a lost SMTP reply can hide that a lot has arrived:

    SEALED → SENDING → SENT → ACKNOWLEDGED | REJECTED | OVERDUE | PARKED
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from gateway.errors import StoreError


class FseState(StrEnum):
    """Where one FSE stands, or its complementary share."""

    AWAITING_CPS = "AWAITING_CPS"
    SIGNED = "SIGNED"
    RELAYED = "RELAYED"
    IN_LOT = "IN_LOT"
    SENT = "SENT"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    PAID = "PAID"
    PAYMENT_REJECTED = "PAYMENT_REJECTED"
    CANCELLED = "CANCELLED"
    RECTIFIED = "RECTIFIED"


class LotState(StrEnum):
    """Where one lot stands."""

    SEALED = "SEALED"
    SENDING = "SENDING"
    SENT = "SENT"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    REJECTED = "REJECTED"
    OVERDUE = "OVERDUE"
    PARKED = "PARKED"


FSE_CHANGES: Mapping[FseState, frozenset[FseState]] = {
    FseState.AWAITING_CPS: frozenset({FseState.SIGNED, FseState.CANCELLED}),
    FseState.SIGNED: frozenset({FseState.IN_LOT, FseState.CANCELLED}),
    FseState.RELAYED: frozenset(
        {FseState.PAID, FseState.PAYMENT_REJECTED, FseState.CANCELLED, FseState.RECTIFIED}
    ),
    FseState.IN_LOT: frozenset({FseState.SENT}),
    FseState.SENT: frozenset({FseState.ACCEPTED, FseState.REJECTED}),
    FseState.ACCEPTED: frozenset({FseState.PAID, FseState.PAYMENT_REJECTED}),
    FseState.REJECTED: frozenset({FseState.RECTIFIED}),
    FseState.PAID: frozenset(),
    FseState.PAYMENT_REJECTED: frozenset({FseState.RECTIFIED}),
    FseState.CANCELLED: frozenset(),
    FseState.RECTIFIED: frozenset(),
}

_ANSWERED = frozenset({LotState.ACKNOWLEDGED, LotState.REJECTED})

LOT_CHANGES: Mapping[LotState, frozenset[LotState]] = {
    LotState.SEALED: frozenset({LotState.SENDING, LotState.PARKED}) | _ANSWERED,
    LotState.SENDING: frozenset({LotState.SENT, LotState.SEALED, LotState.OVERDUE, LotState.PARKED})
    | _ANSWERED,
    LotState.SENT: frozenset({LotState.OVERDUE, LotState.PARKED}) | _ANSWERED,
    LotState.OVERDUE: frozenset({LotState.SENDING, LotState.PARKED}) | _ANSWERED,
    LotState.PARKED: frozenset({LotState.SEALED, LotState.OVERDUE}) | _ANSWERED,
    LotState.ACKNOWLEDGED: frozenset(),
    LotState.REJECTED: frozenset(),
}

FINAL_FSE = (
    FseState.PAID,
    FseState.PAYMENT_REJECTED,
    FseState.REJECTED,
    FseState.CANCELLED,
    FseState.RECTIFIED,
)
"""Nothing more is awaited from outside for an FSE in one of these."""

FINAL_LOT = frozenset(state for state, after in LOT_CHANGES.items() if not after)
"""A lot in one of these is never sent again."""


def check_fse(number: int, before: FseState, after: FseState) -> None:
    """Refuse an FSE change that the table does not have."""
    if after not in FSE_CHANGES[before]:
        raise StoreError(f"FSE {number} is {before}: it cannot become {after}", code="state")


def check_lot(lot_id: str, before: LotState, after: LotState) -> None:
    """Refuse a lot change that the table does not have."""
    if after not in LOT_CHANGES[before]:
        raise StoreError(f"lot {lot_id} is {before}: it cannot become {after}", code="state")
