"""What a gateway found when it started, a line each: readers, certificates, lists, receiver, queue."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime

from gateway.certificates import expiries
from gateway.config import Config
from gateway.desk import Desk
from gateway.practice import Practice
from gateway.seat import Seat
from gateway.store.store import Store
from reader.slot import Slot

KNOCK_SECONDS = 1.0
"""How long the receiver may take to open its door; it is not asked anything."""


def of_seats(seats: list[Seat]) -> Iterator[str]:
    """The readers, what is in them, and where care acts are taken from."""
    manned = [seat for seat in seats if seat.has_reader]
    if not manned:
        names = ", ".join(seat.id for seat in seats)
        yield f"no reader here: this gateway sends and collects for {names}"
    for seat in manned:
        yield from _of_seat(seat, alone=len(seats) == 1)
    if manned and len(manned) < len(seats):
        names = ", ".join(seat.id for seat in seats if not seat.has_reader)
        yield f"without a reader here, sent and collected for: {names}"


def of_files(practices: list[Practice], now: datetime) -> Iterator[str]:
    """Certificates with their days left, the opposition list and its age."""
    for practice in practices:
        lead = "" if len(practices) == 1 else f"practice {practice.id}: "
        ends = expiries(practice, now)
        yield f"{lead}certificates: the first to end in {ends[0].days_left} days is {ends[0].what}"
        yield from (f"{lead}{one.says}" for one in ends if one.is_near)
    held = practices[0].opposition
    hours = (now - held.issued).total_seconds() / 3600
    yield f"opposition list: number {held.number}, {hours:.0f} hours old, {len(held)} cards"


def of_receiver(config: Config) -> str:
    """Whether somebody opens at the relay's door."""
    receiver = config.receiver
    place = f"{receiver.host}:{receiver.port}"
    if not receiver.sends:
        return f"receiver: another gateway of this store sends and collects ({place} is not used)"
    try:
        socket.create_connection((receiver.host, receiver.port), KNOCK_SECONDS).close()
    except OSError as problem:
        why = problem.strerror or "no answer"
        return f"receiver: {place} cannot be reached now ({why}); lots wait and leave when it can"
    return f"receiver: {place} answers, profile {receiver.policy}"


def of_store(store: Store) -> Iterator[str]:
    """The queue, as `vitale-gateway status` says it."""
    yield from store.status().splitlines()


def _of_seat(seat: Seat, *, alone: bool) -> Iterator[str]:
    desk, named = seat.desk, f"{seat.driver}" if alone else f"{seat.reader} ({seat.driver})"
    taken = f"care acts are taken from {seat.inbox.path}"
    lead = "" if alone else f"practice {seat.id}: "
    if desk is None:
        yield f"{lead}reader: {named} is waited for ({seat.trouble}); {taken}"
        return
    locked = "unlocked" if desk.is_unlocked else "locked"
    yield f"{lead}reader: {named}, CPS {locked}; {taken}"
    yield f"{lead}slots: {_of_slots(desk)}"


def _of_slots(desk: Desk) -> str:
    if (trouble := desk.trouble) is not None:
        return str(trouble)
    return ", ".join(_of_slot(slot) for slot in desk.slots)


def _of_slot(slot: Slot) -> str:
    pad = " and a PIN pad" if slot.has_pad else ""
    return f"{slot.name} with {'a card' if slot.is_present else 'no card'}{pad}"
