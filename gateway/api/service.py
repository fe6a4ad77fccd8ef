"""What the API works on: the running gateway, the seat of who asks, the store, and each write done once."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import Response

from gateway.api.problems import Refusal
from gateway.api.tokens import Caller, Tokens
from gateway.audit import acting
from gateway.billing.tables import Tables
from gateway.clock import Clock
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.seat import Seat
from gateway.store.rows import KeptAnswer
from gateway.store.store import Store

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a write is answered: a status of 2xx (or a refusal that has to be repeated) and a JSON object."""

    status: int
    content: dict[str, Any] = field(repr=False)

    def to_bytes(self) -> bytes:
        """The JSON."""
        return json.dumps(self.content, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Write:
    """One write as asked: by whom, under which idempotency key, and the digest of what is asked."""

    caller: Caller
    key: str
    request: bytes


Keep = Callable[[Answer], None]
"""Keeps the answer inside the transaction of the work it answers."""


@dataclass
class Service:
    """One gateway behind the API, for every practice that has its seat there."""

    daemon: Daemon
    tokens: Tokens
    stop: threading.Event = field(default_factory=threading.Event)
    streams: dict[str, int] = field(default_factory=dict)
    _secret: bytes = field(init=False, repr=False)
    _busy: set[tuple[str, str, str]] = field(default_factory=set, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._secret = self.daemon.practice.rng(32)

    @property
    def store(self) -> Store:
        """What is kept, of every practice: whoever asks is named in each question."""
        return self.daemon.store

    @property
    def clock(self) -> Clock:
        """The clock of the gateway."""
        return self.daemon.clock

    @property
    def tables(self) -> Tables:
        """Tariffs, the same for every practice."""
        return self.daemon.practice.tables

    def seat_of(self, caller: Caller) -> Seat:
        """The seat of the practice that asks; Refusal other-practice when it is none of this gateway."""
        seat = self.daemon.seat(caller.practice)
        if seat is None:
            raise Refusal(
                "other-practice",
                "this gateway does not work for the practice of this token: use the gateway that does",
            )
        return seat

    def own_desk(self, caller: Caller) -> Desk:
        """The desk of the practice that asks; CardRefusal no-reader when it has none here."""
        return self.seat_of(caller).at_desk

    def digest(self, method: str, path: str, body: bytes, *, secret: bool = False) -> bytes:
        """What a request is recognised by. `secret`: it holds a PIN, and no digest of that outlives us."""
        framed = b"\0".join((method.encode(), path.encode(), body))
        return hmac.digest(self._secret, framed, "sha256") if secret else hashlib.sha256(framed).digest()

    def once(self, write: Write, work: Callable[[Keep], Answer | None]) -> Response:
        """Do `work` unless it was done under this key; its answer is kept durably either way.

        Work that keeps its answer itself, in the transaction of what it does, gives None back.
        What is refused did nothing and keeps nothing: its key is free again. Refusal key-reused, key-busy.
        """
        practice, name, key = identity = (write.caller.practice, write.caller.name, write.key)
        with self._alone(identity), acting(name):
            kept = self.store.kept_answer(practice, name, key)
            if kept is not None:
                return _again(kept, write)
            done: list[KeptAnswer] = []

            def keep(answer: Answer) -> None:
                body = answer.to_bytes()
                done.append(KeptAnswer(practice, name, key, write.request, answer.status, body))
                self.store.keep_answer(done[0])

            answer = work(keep)
            if answer is not None:
                keep(answer)
            return _response(done[0].status, done[0].body)

    @contextmanager
    def _alone(self, identity: tuple[str, str, str]) -> Iterator[None]:
        with self._guard:
            if identity in self._busy:
                raise Refusal("key-busy", "the request with this key is still under way: ask again later")
            self._busy.add(identity)
        try:
            yield
        finally:
            with self._guard:
                self._busy.discard(identity)


def _again(kept: KeptAnswer, write: Write) -> Response:
    if not hmac.compare_digest(kept.request, write.request):
        raise Refusal(
            "key-reused", "this idempotency key was used for another request: use a new key for a new request"
        )
    answer = _response(kept.status, kept.body)
    answer.headers["Idempotent-Replayed"] = "true"
    return answer


def _response(status: int, body: bytes) -> Response:
    media_type = JSON if status < 400 else "application/problem+json"
    return Response(body, status, media_type=media_type)
