"""What came back, over HTTP: payments, refusals with their remedy, the audit trail."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from gateway import remedies
from gateway.api import shown
from gateway.api.asking import Asks, Gateway
from gateway.api.service import Service
from gateway.api.sheets import Limit, Offset, payment
from gateway.store.rows import FseRow
from gateway.store.states import FseState

router = APIRouter(tags=["returns"])

After = Annotated[int, Query(ge=0, le=2**53, description="Only records behind this one.")]
Verify = Annotated[bool, Query(description="Check the chain of this practice as well, record by record.")]


@router.get("/payments", response_model=shown.Payments)
def payments(gateway: Gateway, caller: Asks, limit: Limit = 50, offset: Offset = 0) -> shown.Payments:
    """What payment returns said of this practice's FSE, newest first."""
    rows = gateway.store.payments(caller.practice, limit + 1, offset)
    items, following = shown.page([payment(line) for line in rows], limit, offset)
    return shown.Payments(items=items, next=following)


@router.get("/refusals", response_model=shown.Refusals)
def refusals(gateway: Gateway, caller: Asks, limit: Limit = 50, offset: Offset = 0) -> shown.Refusals:
    """FSE that were refused, by ARL or by payment return, each with its remedy; and stray returns."""
    states = (FseState.REJECTED, FseState.PAYMENT_REJECTED)
    rows, following = shown.page(
        gateway.store.fse_list(caller.practice, limit + 1, offset, states), limit, offset
    )
    items = [_refused(gateway, caller.practice, row) for row in rows]
    strays = [shown.stray(found) for found in gateway.store.unmatched(limit, caller.practice)]
    return shown.Refusals(items=items, next=following, unmatched=strays)


@router.get("/audit", response_model=shown.Trail)
def audit(
    gateway: Gateway, caller: Asks, limit: Limit = 50, after: After = 0, verify: Verify = False
) -> shown.Trail:
    """This practice's part of the audit trail, oldest first."""
    found = gateway.store.audit_of(caller.practice, after, limit + 1)
    items = [shown.record(kept) for kept in found[:limit]]
    following = items[-1].seq if len(found) > limit else None
    whole = gateway.store.verify_audit(caller.practice) if verify else None
    return shown.Trail(items=items, next=following, whole=whole)


def _refused(gateway: Service, practice: str, row: FseRow) -> shown.Refused:
    code, remedy = _cause(gateway, practice, row)
    return shown.Refused.of(row, code=code, remedy=remedy)


def _cause(gateway: Service, practice: str, row: FseRow) -> tuple[str, str]:
    """The code of the latest refusal of this FSE, and what to do about it."""
    if row.state is FseState.PAYMENT_REJECTED:
        said = [line.code for line in gateway.store.payments_of(practice, row.number) if not line.paid]
        return (said[-1], remedies.of_payment(said[-1])) if said else ("", remedies.of_payment(""))
    found = [one for one in gateway.store.receipts(practice, row.lot_id or "") if not one.positive]
    last = found[-1] if found else None
    return (last.code, remedies.of_receipt(last.error_class)) if last else ("", remedies.of_receipt(""))
