"""Server-sent events: cards coming and going, the practitioner's session, every change of an FSE or a lot.

`card` and `session` tell how it is now, first when the stream begins. `fse`, `dre` and `lot` tell changes
of state and carry an id: who comes back with `Last-Event-ID` misses none of them. No event names a patient.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from gateway.api import shown
from gateway.api.asking import Asks, Gateway
from gateway.api.at_desk import session_shown
from gateway.api.problems import Refusal
from gateway.api.service import Service
from gateway.api.tokens import Caller

router = APIRouter(tags=["events"])

LOOK_SECONDS = 0.25
MAX_STREAMS = 8
"""Streams at a time for one token."""

Seconds = Annotated[
    int, Query(ge=0, le=3600, description="End after this time; 0: tell how it is now, and end.")
]
LastId = Annotated[
    str,
    Header(alias="Last-Event-ID", pattern=r"^[0-9]{0,15}$", description="The last id that was seen."),
]


class Watch:
    """What one stream has told already, and what is new since."""

    def __init__(self, gateway: Service, caller: Caller, last: int | None) -> None:
        self._gateway, self._caller = gateway, caller
        self._told: dict[str, Any] = {}
        self._last = gateway.store.last_change() if last is None else last

    def news(self) -> list[ServerSentEvent]:
        """What changed since the last call."""
        return [*self._desk(), *self._changes()]

    def _desk(self) -> Iterator[ServerSentEvent]:
        seat = self._gateway.daemon.seat(self._caller.practice)
        desk = None if seat is None else seat.desk
        if desk is None:
            return
        for slot in desk.slots:
            seen = {"slot": slot.name, "card_present": slot.is_present, "movements": slot.event_counter}
            yield from self._if_new("card", slot.name, seen)
        yield from self._if_new("session", "", {"state": session_shown(desk).state})

    def _if_new(self, event: str, name: str, seen: dict[str, Any]) -> Iterator[ServerSentEvent]:
        if self._told.get(event + name) != seen:
            self._told[event + name] = seen
            yield ServerSentEvent(event=event, data=seen)

    def _changes(self) -> Iterator[ServerSentEvent]:
        for change in self._gateway.store.changes_after(self._caller.practice, self._last):
            self._last = change.place
            data = shown.step(change).model_dump(mode="json")
            yield ServerSentEvent(event=change.what, data=data, id=str(change.place))


async def begun(gateway: Gateway, caller: Asks) -> AsyncIterator[None]:
    """One stream more of this token; Refusal too-many beyond MAX_STREAMS."""
    with _counted(gateway.streams, caller.name):
        yield


@router.get("/events", response_class=EventSourceResponse, dependencies=[Depends(begun)])
async def events(
    gateway: Gateway, caller: Asks, seconds: Seconds = 3600, last: LastId = ""
) -> AsyncIterator[ServerSentEvent]:
    """Events `card`, `session`, `fse`, `dre` and `lot`; reconnect with `Last-Event-ID` when it ends."""
    clock = asyncio.get_running_loop().time
    watch = await run_in_threadpool(Watch, gateway, caller, int(last) if last else None)
    until = clock() + seconds
    while True:
        for event in await run_in_threadpool(watch.news):
            yield event
        if gateway.stop.is_set() or clock() >= until:
            return
        await asyncio.sleep(LOOK_SECONDS)


@contextmanager
def _counted(streams: dict[str, int], name: str) -> Iterator[None]:
    if streams.get(name, 0) >= MAX_STREAMS:
        raise Refusal(
            "too-many", f"this token has {MAX_STREAMS} streams of events already: close one of them"
        )
    streams[name] = streams.get(name, 0) + 1
    try:
        yield
    finally:
        streams[name] -= 1
