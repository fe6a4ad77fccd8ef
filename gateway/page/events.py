"""Server-sent events for the page: that something changed, never what; the script then asks for the piece."""

from __future__ import annotations

import asyncio
import hashlib
import re
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


def stamp(room: Room) -> str:
    """What a page shows, in a word: the newest change and a digest of the desk. Taken before it is drawn."""
    return f"{room.store.last_change()}.{_desk(room)}"


@dataclass
class Stream:
    """What one browser was told already; `since`: the stamp of its page, "" for the present."""

    room: Room
    session: Session
    since: str = ""
    _seen: str = field(init=False, repr=False)
    _last: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = _STAMP.fullmatch(self.since) or _STAMP.fullmatch(stamp(self.room))
        assert found is not None  # noqa: S101 - the second one is our own
        self._last, self._seen = int(found[1]), found[2]

    def news(self) -> list[str]:
        """The names of what changed since the last call: `desk`, `sheets`."""
        found, seen = [], _desk(self.room)
        if seen != self._seen:
            self._seen = seen
            found.append("desk")
        if changes := self.room.store.changes_after(self.room.id, self._last):
            self._last = changes[-1].place
            found.append("sheets")
        return found


_STAMP = re.compile(r"([0-9]{1,15})\.([0-9a-f]{16})")


def _desk(room: Room) -> str:
    desk = room.desk
    if desk is None:
        return "0" * 16
    slots = tuple((slot.is_present, slot.event_counter) for slot in desk.slots)
    seen = (*slots, desk.is_unlocked, room.is_last_try)
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


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
