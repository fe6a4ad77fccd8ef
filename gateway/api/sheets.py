"""FSE over HTTP: make, list, show; sign what waits for the CPS, cancel, make a refused one anew."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic.json_schema import SkipJsonSchema

from gateway import later, remedies
from gateway.api import shown
from gateway.api.asking import Asks, Body, Gateway, Writes, WritesBody, WritesMaybe, request_body
from gateway.api.service import Answer, Keep
from gateway.care import parse_act
from gateway.office import accepted, bill_act
from gateway.pipeline import Billed
from gateway.preview import preview
from gateway.store.rows import PaymentLine
from gateway.store.states import FseState

router = APIRouter(tags=["FSE"])

Number = Annotated[int, Path(ge=1, le=999_999_999, description="The number of the FSE.")]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Offset = Annotated[
    int, Query(ge=0, le=10_000_000, description="Where the page begins: `next` of the last one.")
]
States = Annotated[
    list[FseState] | SkipJsonSchema[None], Query(description="Only those in one of these states.")
]


@router.post("/fse", status_code=201, response_model=shown.Accepted, openapi_extra=request_body("CareActIn"))
def create(gateway: Gateway, asked: WritesBody) -> Response:
    """Bill one care act with both cards. 201: the FSE is durably kept, together with this answer."""
    write, body = asked
    seat = gateway.seat_of(write.caller)
    data = parse_act(body, "the request")

    def work(keep: Keep) -> None:
        bill_act(seat.practice, seat.desk, data, lambda billed: keep(Answer(201, accepted(billed))))

    return gateway.once(write, work)


@router.post("/fse/price", response_model=shown.Price, openapi_extra=request_body("CareActIn"))
def price_of(gateway: Gateway, caller: Asks, body: Body) -> shown.Price:
    """What a care act would come to with the cards at the desk. Nothing is signed, numbered or kept."""
    seat = gateway.seat_of(caller)
    act = parse_act(body, "the request")
    return shown.Price(**preview(seat.practice, seat.at_desk, act).to_json())


@router.post(
    "/fse/{number}/rectify",
    status_code=201,
    response_model=shown.Rectified,
    openapi_extra=request_body("CareActIn", required=False),
)
def rectify(gateway: Gateway, asked: WritesMaybe, number: Number) -> Response:
    """Make a refused FSE anew, under a new number: from a corrected care act, or from its own."""
    write, body = asked
    seat = gateway.seat_of(write.caller)
    data = parse_act(body, "the request") if body else None

    def work(keep: Keep) -> None:
        def kept(billed: Billed) -> None:
            keep(Answer(201, {**accepted(billed), "rectifies": number}))

        later.rectify(seat.practice, seat.desk, number, data, kept)

    return gateway.once(write, work)


@router.post("/fse/{number}/cancel", response_model=shown.Sheet)
def cancel(gateway: Gateway, write: Writes, number: Number) -> Response:
    """Withdraw an FSE that is in no lot yet; its number is not used again."""
    store, practice = gateway.store, write.caller.practice

    def work(keep: Keep) -> None:
        with store.batch():
            store.cancel(practice, number, f"cancelled by {write.caller.name}")
            keep(Answer(200, shown.sheet(store.fse(practice, number)).model_dump(mode="json")))

    return gateway.once(write, work)


@router.post("/sign", response_model=shown.Signed)
def sign(gateway: Gateway, write: Writes) -> Response:
    """Sign every FSE that waits for the CPS at the desk (desynchronised mode)."""
    seat = gateway.seat_of(write.caller)

    def work(_keep: Keep) -> Answer:
        desk, numbers = seat.at_desk, list[int]()

        def signed(number: int) -> None:
            numbers.append(number)
            if desk.sitting is not None:
                desk.sitting.count()

        later.sign_waiting(seat.practice, desk.cps, signed)
        return Answer(200, {"numbers": numbers})

    return gateway.once(write, work)


@router.get("/fse/{number}/twin", response_model=shown.Twin)
def twin(gateway: Gateway, caller: Asks, number: Number) -> shown.Twin:
    """The paper twin of an FSE made without a Vitale, to print and sign. It holds names and NIR."""
    return shown.Twin(number=number, text=gateway.store.twin_of(caller.practice, number))


@router.get("/fse", response_model=shown.Sheets)
def listed(
    gateway: Gateway, caller: Asks, limit: Limit = 50, offset: Offset = 0, state: States = None
) -> shown.Sheets:
    """FSE of this practice, newest first."""
    rows = gateway.store.fse_list(caller.practice, limit + 1, offset, state or ())
    items, following = shown.page([shown.sheet(row) for row in rows], limit, offset)
    return shown.Sheets(items=items, next=following)


@router.get("/fse/{number:int}", response_model=shown.SheetInFull)  # /fse/price is another address
def one(gateway: Gateway, caller: Asks, number: Number) -> shown.SheetInFull:
    """One FSE with every change of its state and what was paid."""
    store = gateway.store
    row = store.fse(caller.practice, number)
    return shown.SheetInFull.of(
        row,
        history=[shown.step(line) for line in store.history(number, caller.practice)],
        payments=[payment(line) for line in store.payments_of(caller.practice, number)],
    )


def payment(line: PaymentLine) -> shown.Payment:
    """A payment with its remedy, empty when it was paid."""
    return shown.payment(line, "" if line.paid or line.deferred else remedies.of_payment(line.code))
