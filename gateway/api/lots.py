"""Lots over HTTP: list, show with their ARL, close, send, release."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Response

from gateway import remedies
from gateway.api import shown
from gateway.api.asking import Asks, Gateway, Writes
from gateway.api.service import Answer
from gateway.api.sheets import Limit, Offset
from gateway.store.rows import ReceiptLine

router = APIRouter(tags=["lots"])

LotId = Annotated[str, Path(pattern=r"^[0-9]{14}-[0-9]{6}-[0-9]{19}$", description="The id of the lot.")]


@router.get("/lots", response_model=shown.Lots)
def listed(gateway: Gateway, caller: Asks, limit: Limit = 50, offset: Offset = 0) -> shown.Lots:
    """Lots of this practice, newest first."""
    rows = gateway.store.lot_list(caller.practice, limit + 1, offset)
    items, following = shown.page([shown.lot(row) for row in rows], limit, offset)
    return shown.Lots(items=items, next=following)


@router.post("/lots", response_model=shown.Closed)
def close(gateway: Gateway, write: Writes) -> Response:
    """Close lots of every FSE that waits for company; the CPS at the desk signs them."""
    seat = gateway.seat_of(write.caller)

    def work(_keep: object) -> Answer:
        made = [shown.lot(gateway.store.lot(seat.id, sealed.id)) for sealed in seat.close_lots()]
        return Answer(200, shown.Closed(lots=made).model_dump(mode="json"))

    return gateway.once(write, work)


@router.post("/send", response_model=shown.Sent)
def send(gateway: Gateway, write: Writes) -> Response:
    """Send what is due now instead of at the next turn. A lot that failed waits for its own time."""
    seat = gateway.seat_of(write.caller)

    def work(_keep: object) -> Answer:
        return Answer(200, asdict(gateway.daemon.send_now(seat.id)))

    return gateway.once(write, work)


@router.get("/lots/{lot_id}", response_model=shown.LotInFull)
def one(gateway: Gateway, caller: Asks, lot_id: LotId) -> shown.LotInFull:
    """One lot with the numbers of its FSE and its ARL."""
    store, practice = gateway.store, caller.practice
    row = store.lot(practice, lot_id)
    return shown.LotInFull.of(
        row,
        sheets=store.fse_of_lot(practice, lot_id),
        receipts=[_receipt(line) for line in store.receipts(practice, lot_id)],
    )


@router.post("/lots/{lot_id}/release", response_model=shown.Lot)
def release(gateway: Gateway, write: Writes, lot_id: LotId) -> Response:
    """Put a parked lot back into the queue: the same bytes again."""

    def work(_keep: object) -> Answer:
        store, practice = gateway.store, write.caller.practice
        store.lot(practice, lot_id)
        store.release(lot_id, f"released by {write.caller.name}")
        return Answer(200, shown.lot(store.lot(practice, lot_id)).model_dump(mode="json"))

    return gateway.once(write, work)


def _receipt(line: ReceiptLine) -> shown.Receipt:
    return shown.receipt(line, "" if line.positive else remedies.of_receipt(line.error_class))
