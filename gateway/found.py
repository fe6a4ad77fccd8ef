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

NAMED = 10
"""So many practices are named in one line; more are counted."""

KNOCK_SECONDS = 1.0
"""How long the receiver may take to open its door; it is not asked anything."""


def of_seats(seats: list[Seat]) -> Iterator[str]:
    """The readers, what is in them, and where care acts are taken from."""
    manned = [seat for seat in seats if seat.has_reader]
    if not manned:
        yield f"no reader here: this gateway sends and collects for {_names(seats)}"
    for seat in manned:
        yield from _of_seat(seat, alone=len(seats) == 1)
    if manned and len(manned) < len(seats):
        others = [seat for seat in seats if not seat.has_reader]
        yield f"without a reader here, sent and collected for: {_names(others)}"


def of_files(practices: list[Practice], now: datetime) -> Iterator[str]:
    """Certificates with their days left, the opposition list and its age."""
    ends = {one.says: (one, practice) for practice in practices for one in expiries(practice, now)}
    first, whose = min(ends.values(), key=lambda found: found[0].ends)
    named = "" if len(practices) == 1 else f" (practice {whose.id})"
    yield f"certificates: the first to end in {first.days_left} days is {first.what}{named}"
    yield from (one.says for one, _ in ends.values() if one.is_near)
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


def _names(seats: list[Seat]) -> str:
    """Who, or how many when they are too many for a line."""
    return ", ".join(seat.id for seat in seats) if len(seats) <= NAMED else f"{len(seats)} practices"


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
