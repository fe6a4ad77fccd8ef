"""Server-sent events for the page: that something changed, never what; the script then asks for the piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from gateway.page.room import Room
from gateway.page.sessions import Session

LOOK_SECONDS = 0.3
ALIVE_SECONDS = 15.0
"""A comment is sent so often, so that a browser that went is noticed."""

MAX_STREAMS = 4
"""Streams at a time for one browser: it holds six connections to one address."""


@dataclass
class Stream:
    """What one browser was told already."""

    room: Room
    session: Session
    _desk: tuple[object, ...] = field(default=(), repr=False)
    _last: int = -1

    def news(self) -> list[str]:
        """The names of what changed since the last call: `desk`, `sheets`."""
        found = []
        seen = self._seen()
        if seen != self._desk:
            found.append("desk")
        store = self.room.store
        if self._last < 0:
            self._last, found = store.last_change(), []
        elif changes := store.changes_after(self.room.id, self._last):
            self._last = changes[-1].place
            found.append("sheets")
        self._desk = seen
        return found

    def _seen(self) -> tuple[object, ...]:
        desk = self.room.desk
        if desk is None:
            return ("none",)
        slots = tuple((slot.is_present, slot.event_counter) for slot in desk.slots)
        return (*slots, desk.is_unlocked, self.room.is_last_try)


def stream(told: Stream, headers: Mapping[str, str]) -> Response:
    """The stream as a response; 429 when the browser has too many."""
    if told.session.streams >= MAX_STREAMS:
        return Response(status_code=429, headers=dict(headers))
    return StreamingResponse(_lines(told), media_type="text/event-stream", headers=dict(headers))


async def _lines(told: Stream) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    told.session.streams += 1
    spoke = clock()
    try:
        yield "retry: 2000\n\n"
        while not (told.room.stopping or told.session.ended):
            for name in await run_in_threadpool(told.news):
                yield f"event: {name}\ndata: {{}}\n\n"
                spoke = clock()
            if clock() - spoke > ALIVE_SECONDS:
                yield ": alive\n\n"
                spoke = clock()
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        told.session.streams -= 1
