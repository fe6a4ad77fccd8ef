"""The desk over HTTP: readers and slots, the practitioner's session, the inserted Vitale, a price."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic.json_schema import SkipJsonSchema

from gateway.api import shown
from gateway.api.asked import AttestationIn, SessionIn
from gateway.api.asking import Asks, Body, Gateway, Writes, WritesBody, request_body
from gateway.api.problems import Refusal, problem_of
from gateway.api.rights import CardRights, attested
from gateway.api.rights import shown as rights_shown
from gateway.api.service import Answer, Service, Write
from gateway.api.tokens import Caller
from gateway.billing.engine import price
from gateway.billing.request import CareRequest
from gateway.cards.cps import PinRefusal, Situation
from gateway.cards.rights import Rights
from gateway.care import parse_act
from gateway.desk import Desk
from gateway.errors import InputError
from gateway.exchange.calendar import legal_day
from gateway.office import unlock
from gateway.seat import Seat
from gateway.secret import Secret
from reader.errors import NoCard
from reader.slot import Slot

router = APIRouter(tags=["desk"])

Day = Annotated[
    datetime.date | SkipJsonSchema[None], Query(description="The day of the care; today when it is left out.")
]


@router.get("/readers", response_model=shown.Readers)
def readers(gateway: Gateway, caller: Asks) -> shown.Readers:
    """The readers of this practice and their slots: is a card in, has it a PIN pad, what is wrong."""
    return shown.Readers(readers=_readers(gateway.seat_of(caller)))


@router.get("/session", response_model=shown.Session)
def session(gateway: Gateway, caller: Asks) -> shown.Session:
    """The practitioner's session: open, locked, or no CPS in its slot."""
    return session_shown(gateway.own_desk(caller))


@router.post("/session", response_model=shown.Session, openapi_extra=request_body("SessionIn"))
def open_session(gateway: Gateway, asked: WritesBody) -> Response:
    """Give the PIN of the CPS, or have it typed on the reader's pad. The PIN is kept nowhere.

    A refused PIN is answered the same under the same key, and not tried again. When the card leaves one
    try only, `last_try` must say that this is known.
    """
    write, body = asked
    seat = gateway.seat_of(write.caller)
    once = Write(write.caller, write.key, gateway.digest("POST", "/v1/session", body, secret=True))
    return gateway.once(once, lambda _keep: _open(gateway, seat, write.caller, body))


@router.delete("/session", response_model=shown.Session)
def close_session(gateway: Gateway, write: Writes) -> Response:
    """Lock the CPS: the card forgets the PIN."""
    desk = gateway.own_desk(write.caller)

    def close(_keep: object) -> Answer:
        desk.lock()
        _note(gateway, write.caller, "session closed")
        return Answer(200, session_shown(desk).model_dump(mode="json"))

    return gateway.once(write, close)


@router.get("/vitale/rights", response_model=CardRights)
def rights(gateway: Gateway, caller: Asks, on: Day = None) -> CardRights:
    """The rights on the inserted Vitale. The answer holds names and NIR; it is kept nowhere."""
    found, serial = _read(gateway, caller, "rights read")
    return rights_shown(found, serial, on or legal_day(gateway.clock.now()))


@router.get("/vitale/attestation", response_model=AttestationIn)
def attestation(gateway: Gateway, caller: Asks) -> AttestationIn:
    """An attestation of rights made from the inserted Vitale, as care acts without a Vitale take it."""
    found, _ = _read(gateway, caller, "attestation made")
    return attested(found, legal_day(gateway.clock.now()))


@router.post("/price", response_model=shown.Price, openapi_extra=request_body("CareRequestIn"))
def price_of(gateway: Gateway, _caller: Asks, body: Body) -> shown.Price:
    """Price one sheet without any card: who pays what, and why. The same JSON as `vitale-gateway price`."""
    request = CareRequest.from_json(parse_act(body, "the request"))
    return shown.Price(**price(request, gateway.tables).to_json())


def session_shown(desk: Desk) -> shown.Session:
    """The session at this desk as shown."""
    if not desk.is_unlocked:
        return shown.Session(state="locked" if desk.has_cps else "no-card")
    cps, sitting = desk.cps, desk.sitting
    return shown.Session(
        state="open",
        practitioner=cps.holder.full_name,
        national_id=cps.holder.national_id,
        places=[_place(situation) for situation in cps.situations],
        ends=sitting.ends if sitting else None,
        sheets_left=sitting.left if sitting else None,
    )


def _read(gateway: Service, caller: Caller, what: str) -> tuple[Rights, str]:
    """The rights on the inserted Vitale, valid and not opposed, and its number; who read them is noted."""
    seat = gateway.seat_of(caller)
    practice, desk = seat.practice, seat.at_desk
    cps = desk.cps
    with desk.vitale() as vitale:
        vitale.check_validity(legal_day(practice.clock.now()))
        practice.opposition.check(vitale.serial, practice.clock.now())
        vitale.authenticate(cps)
        found, serial = vitale.read_rights(), vitale.serial
    _note(gateway, caller, what)
    return found, serial


def _open(gateway: Service, seat: Seat, caller: Caller, body: bytes) -> Answer:
    asked, desk = _session_in(parse_act(body, "the request")), seat.at_desk
    movements = desk.cps_movements
    with seat.pin_guard:
        if seat.tries_left.get(movements) == 1 and not asked.last_try:
            raise Refusal(
                "last-try",
                "one try is left before the CPS blocks: ask for the PIN with care and say last_try",
            )
        try:
            unlock(seat.practice, desk, None if asked.pin is None else Secret(asked.pin))
        except PinRefusal as wrong:
            seat.tries_left = {movements: wrong.remaining_tries}
            _note(gateway, caller, "PIN refused")
            problem = problem_of(wrong)
            return Answer(problem.status, problem.model_dump())
        seat.tries_left = {}
    _note(gateway, caller, "session opened")
    return Answer(200, session_shown(desk).model_dump(mode="json"))


def _session_in(data: Any) -> SessionIn:
    """The body; what is wrong with it is said without repeating any of it."""
    try:
        asked = SessionIn.model_validate(data, strict=True)
    except ValueError:
        raise InputError(
            "the request: give pin (4 digits) or pin_pad (true), and last_try when that is meant."
        ) from None
    if (asked.pin is not None) == asked.pin_pad:
        raise InputError("the request: give one of pin and pin_pad.")
    return asked


def _note(gateway: Service, caller: Caller, what: str) -> None:
    gateway.store.audit(what, f"{caller.practice}/desk", who=caller.name, practice=caller.practice)


def _readers(seat: Seat) -> list[shown.Reader]:
    """The reader of a practice, one that is not there too; none without one in the settings."""
    if not seat.has_reader:
        return []
    slots = [_slot(slot) for slot in seat.desk.slots] if seat.desk is not None else []
    return [shown.Reader(name=seat.reader, driver=seat.driver, slots=slots, trouble=seat.trouble or None)]


def _slot(slot: Slot) -> shown.Slot:
    trouble = None if slot.is_present or isinstance(why := slot.emptiness(), NoCard) else str(why)
    return shown.Slot(
        name=slot.name,
        card_present=slot.is_present,
        movements=slot.event_counter,
        pin_pad=slot.has_pad,
        trouble=trouble,
    )


def _place(situation: Situation) -> shown.Place:
    return shown.Place(
        situation=situation.logical_number,
        name=situation.structure_name,
        billing_number=situation.identifier,
        specialty=situation.specialty,
        convention=situation.convention,
        zone=situation.zone,
        may_sign_invoice=situation.may_sign_invoice,
        may_sign_lot=situation.may_sign_lot,
    )
