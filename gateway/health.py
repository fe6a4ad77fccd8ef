"""Is this gateway well: facts with one sentence each, for a probe, a page and a person.

`alive` says that the process and its loops live: when it does not, a restart helps. `ready` says that sheets
can be made and kept: a store that takes no more, a full disk, lists too old for a secured sheet, a clock that
nobody can believe. A relay that is away keeps nobody from working: it is told, and changes neither.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.certificates import expiries
from gateway.errors import GatewayError
from gateway.pki.opposition import CLOCK_SKEW
from gateway.store.tallies import Queue

if TYPE_CHECKING:
    from gateway.daemon import Daemon
    from gateway.seat import Seat

LEAST_FREE = 64 * 1024 * 1024
"""Octets: a day of a large practice, with its journal, fits several times."""

OLD_LOT = timedelta(days=1)
"""A lot that waits for longer than this is spoken of."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was looked at. `is_well` False: `says` is one sentence with what to do."""

    name: str
    is_well: bool
    says: str


def alive(daemon: Daemon) -> list[Fact]:
    """Whether every loop gives signs of life."""
    hanging = daemon.pulse.hanging()
    if hanging:
        return [Fact("loops", False, f"no sign of life from the loop {', '.join(hanging)}: start it again")]
    return [Fact("loops", True, f"{len(daemon.pulse.loops())} loops at work")]


def ready(daemon: Daemon) -> list[Fact]:
    """Whether sheets can be made and kept."""
    now, seats = daemon.clock.now(), daemon.seats
    return [
        *alive(daemon),
        _store(daemon),
        _disk(daemon.store.folder),
        _clock(daemon, now),
        *(fact for seat in seats[:1] for fact in _lists(seat, now)),
        *(fact for seat in seats for fact in _certificates(seat, now, alone=len(seats) == 1)),
    ]


def told(daemon: Daemon) -> list[Fact]:
    """What is worth a look and keeps nobody from working: lines that fail, lots that wait, ends that come."""
    now, queue = daemon.clock.now(), daemon.store.queue()
    return [*_lines(daemon, now), _queue(queue, now), *_ends(daemon, now)]


def _judged(name: str, check: Callable[[], str]) -> Fact:
    """What the check says when it is well; its refusal is the sentence when it is not."""
    try:
        return Fact(name, True, check())
    except GatewayError as refusal:
        return Fact(name, False, str(refusal))


def _store(daemon: Daemon) -> Fact:
    def check() -> str:
        daemon.store.check_writable()
        return "the store takes what it is given"

    return _judged("store", check)


def _disk(folder: Path | None) -> Fact:
    if folder is None:
        return Fact("disk", True, "the store is in a database of its own")
    try:
        seen = os.statvfs(folder)
    except OSError as problem:
        return Fact("disk", False, f"{folder} cannot be looked at ({problem.strerror}): correct its rights")
    free = seen.f_bavail * seen.f_frsize
    says = f"{free // 1024**2} MB are free in {folder}"
    return Fact("disk", free >= LEAST_FREE, says if free >= LEAST_FREE else f"only {says}: make room")


def _clock(daemon: Daemon, now: datetime) -> Fact:
    if daemon.clock_watch.leapt_lately:
        says = f"the clock leapt forwards by a day or more, to {now:%Y-%m-%d %H:%M} UTC: check it"
        return Fact("clock", False, says)
    ahead = daemon.practice.opposition.issued - now
    if ahead > CLOCK_SKEW:
        return Fact("clock", False, "the clock is behind the lists that were fetched: set it")
    return Fact("clock", True, f"{now:%Y-%m-%d %H:%M} UTC")


def _lists(seat: Seat, now: datetime) -> Iterator[Fact]:
    held = seat.practice.opposition

    def check() -> str:
        held.check_fresh(now)
        return f"opposition list {held.number} of {held.issued:%Y-%m-%d %H:%M} UTC"

    yield _judged("opposition", check)
    for name, crl in seat.practice.trust.newest_lists(now):
        ends = f"{crl.next_update:%Y-%m-%d %H:%M} UTC"
        if now > crl.next_update:
            yield Fact(
                "revocation", False, f"the revocation list of {name} ended on {ends}: fetch the new one"
            )
        else:
            yield Fact("revocation", True, f"the revocation list of {name} holds until {ends}")


def _certificates(seat: Seat, now: datetime, *, alone: bool) -> Iterator[Fact]:
    lead = "" if alone else f"practice {seat.id}: "
    for one in expiries(seat.practice, now):
        if "certificate" in one.what and one.ends < now:
            yield Fact("certificate", False, f"{lead}{one.says}")


def _lines(daemon: Daemon, now: datetime) -> Iterator[Fact]:
    for line in daemon.store.breakers():
        yield Fact("line", not line.is_held, line.says(now))


def _queue(queue: Queue, now: datetime) -> Fact:
    waiting = sum(queue.lots[state] for state in ("SEALED", "SENDING", "OVERDUE"))
    if queue.late:
        return Fact("queue", False, f"{queue.late} FSE are past their legal day and not sent: look at status")
    if queue.lots["PARKED"]:
        return Fact(
            "queue", False, f"{queue.lots['PARKED']} lots are parked: look at status, then release them"
        )
    if queue.oldest is not None and now - queue.oldest > OLD_LOT:
        return Fact("queue", False, f"a lot waits since {queue.oldest:%Y-%m-%d %H:%M} UTC: look at status")
    return Fact("queue", True, f"{waiting} lots to leave, {queue.unsent} FSE not sent yet")


def _ends(daemon: Daemon, now: datetime) -> Iterator[Fact]:
    for seat in daemon.seats:
        for one in expiries(seat.practice, now):
            if one.is_near:
                yield Fact("certificate", False, one.says)
