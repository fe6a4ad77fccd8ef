"""Watching a gateway: `/healthz` (the process lives), `/readyz` (it can work), `/metrics` for Prometheus.

Without a token, and with nothing that a token would protect: counts, ages, states, no practice, no sheet, no
person. They answer at the port of the API, which is on loopback unless the settings say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.certificates import expiries
from gateway.clock import Clock
from gateway.daemon import Daemon
from gateway.errors import GatewayError
from gateway.exchange.breaker import LineState
from gateway.health import Fact, alive, ready, told
from gateway.metrics import (
    API_SECONDS,
    BUCKETS,
    FSE,
    LOTS,
    MOST_SERIES,
    PAYMENTS,
    RECEIPTS,
    REFUSALS,
    REQUESTS,
    SHARES,
    Metrics,
)
from gateway.redact import redact
from gateway.store.tallies import Marks

PREFIX = "vitale_gateway"
TEXT = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter(tags=["health"], include_in_schema=False)


@router.get("/healthz")
def healthz(request: Request) -> JSONResponse:
    """200 while every loop lives; 503 and one sentence for each that does not: start it again."""
    return _answer(alive(_daemon(request)))


@router.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """200 while sheets can be made and kept; 503 and one sentence for each reason why not."""
    return _answer(ready(_daemon(request)), told(_daemon(request)))


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Everything as Prometheus reads it."""
    return Response(request.app.state.exposition.text(), media_type=TEXT)


def _daemon(request: Request) -> Daemon:
    daemon: Daemon = request.app.state.service.daemon
    return daemon


def _answer(facts: Iterable[Fact], beside: Iterable[Fact] = ()) -> JSONResponse:
    """What was found; only `facts` decide about the status."""
    found = list(facts)
    well = all(fact.is_well for fact in found)
    content = {
        "status": "ok" if well else "unwell",
        "problems": [redact(fact.says) for fact in found if not fact.is_well],
        "checks": {fact.name: all(one.is_well for one in found if one.name == fact.name) for fact in found},
        "told": [redact(fact.says) for fact in beside if not fact.is_well],
    }
    return JSONResponse(content, 200 if well else 503)


def watch(app: FastAPI, daemon: Daemon) -> None:
    """Count and time every request to this application, before it is served; `/metrics` shows it."""
    app.add_middleware(Watched, metrics=daemon.metrics, clock=daemon.clock)
    app.state.exposition = Exposition(daemon)


class Watched:
    """Around the API: how many requests, and how long until each is answered (a stream: until it begins)."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Clock) -> None:
        self._app, self._metrics, self._clock = app, metrics, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._clock.monotonic()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in _METHODS else "odd"
                route = getattr(scope.get("route"), "path", "none")
                self._metrics.count(REQUESTS, method, route, str(message["status"]))
                self._metrics.time(API_SECONDS, self._clock.monotonic() - began, method, route)
            await send(message)

        await self._app(scope, receive, watched)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


@dataclass(eq=False)
class Exposition(Collector):
    """What `/metrics` shows of one gateway. Counters begin when it is made; a look reads what is new."""

    daemon: Daemon
    _marks: Marks = field(init=False, repr=False)
    _registry: CollectorRegistry = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._marks = self.daemon.store.marks()
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(namespace=PREFIX, registry=self._registry)
        self._registry.register(self)

    def text(self) -> bytes:
        """The exposition format of Prometheus, text version 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Every family of metrics, once."""
        metrics = self.daemon.metrics
        yield from _states(self.daemon, self._look(metrics))
        yield from _counters(metrics)
        yield from _times(metrics)

    def _look(self, metrics: Metrics) -> bool:
        """Count what happened in the store since the last look; False when it cannot be read."""
        try:
            tally = self.daemon.store.tally(self._marks)
        except GatewayError:
            return False
        for (mode, state), number in tally.fse.items():
            metrics.count(FSE, str(mode), state, by=number)
        for (kind, state), number in tally.others.items():
            metrics.count(LOTS if kind == "lot" else SHARES, state, by=number)
        for (outcome, positive), number in tally.receipts.items():
            metrics.count(RECEIPTS, outcome, _yes(positive), by=number)
        for (outcome, paid), number in tally.payments.items():
            metrics.count(PAYMENTS, outcome, _yes(paid), by=number)
        for (by, code), number in tally.refusals.items():
            metrics.count(REFUSALS, by, _word(code), by=number)
        self._marks = tally.marks
        return True


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _word(code: str) -> str:
    """A code of a receiver as a label: letters and digits, a few of them."""
    return code if code.isascii() and code.isalnum() and len(code) <= 12 else "odd"


def _counters(metrics: Metrics) -> Iterator[Family]:
    for metric, series in metrics.counts().items():
        family = CounterMetricFamily(f"{PREFIX}_{metric.name}", metric.tells, labels=metric.labels)
        for labels, value in series.items() if series or metric.labels else [((), 0.0)]:
            family.add_metric(labels, value)
        yield family


def _times(metrics: Metrics) -> Iterator[Family]:
    for metric, series in metrics.times().items():
        family = HistogramMetricFamily(f"{PREFIX}_{metric.name}", metric.tells, labels=metric.labels)
        for labels, times in series.items():
            total, buckets = 0, list[tuple[str, float]]()
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), times.classes, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric(labels, buckets, times.seconds)
        yield family


def _states(daemon: Daemon, readable: bool) -> Iterator[Family]:
    """How things are at this moment."""
    yield _gauge("store_readable", "Whether the store can be read (1) or not (0)", {(): float(readable)})
    wells: dict[tuple[str, ...], float] = {}
    for fact in ready(daemon):
        wells[fact.name,] = min(wells.get((fact.name,), 1.0), float(fact.is_well))
    yield _gauge("ready", "Whether this keeps the gateway from work (0) or not (1)", wells, "check")
    loops = {(loop.partition(" ")[0],): 0.0 for loop in daemon.pulse.loops()}
    for loop, ago in daemon.pulse.loops().items():  # desks are named after their practice: not here
        name = (loop.partition(" ")[0] if loop.startswith("desk ") else loop.replace(" ", "-"),)
        loops[name] = max(loops.get(name, 0.0), ago)
    yield _gauge("loop_silent_seconds", "How long ago each loop gave a sign of life", loops, "loop")
    if readable:
        yield from _queue(daemon)
        yield from _lines(daemon)
    yield from _ages(daemon)


def _queue(daemon: Daemon) -> Iterator[Family]:
    queue, now = daemon.store.queue(), daemon.clock.now()
    lots = {(state,): float(number) for state, number in queue.lots.items()}
    yield _gauge("queue_lots", "Lots that are not settled, by their state", lots, "state")
    age = 0.0 if queue.oldest is None else max(0.0, (now - queue.oldest).total_seconds())
    yield _gauge("queue_oldest_seconds", "Age of the oldest lot that has to leave, 0 without one", {(): age})
    yield _gauge("fse_unsent", "FSE that have not left yet", {(): float(queue.unsent)})
    yield _gauge("fse_late", "FSE past their legal day and not sent", {(): float(queue.late)})


def _lines(daemon: Daemon) -> Iterator[Family]:
    now, known = daemon.clock.now(), daemon.store.breakers()[:MOST_SERIES]
    failures = {(line.name,): float(line.failures) for line in known}
    yield _gauge(
        "line_failures", "Failures in a row of a relay or a domain; none shown: all work", failures, "line"
    )
    states = {(state.value,): 0.0 for state in LineState}
    for line in known:
        states[line.state(now).value,] += 1
    yield _gauge("breakers", "Lines that have failed, by the state of their circuit breaker", states, "state")


def _ages(daemon: Daemon) -> Iterator[Family]:
    now, days = daemon.clock.now(), dict[tuple[str, ...], float]()
    for seat in daemon.seats:
        for one in expiries(seat.practice, now):
            left = (one.ends - now).total_seconds() / 86_400
            days[one.what,] = min(days.get((one.what,), left), left)
    yield _gauge("certificate_days_left", "Days until it ends, the nearest of its kind", days, "what")
    held = daemon.practice.opposition
    age = (now - held.issued).total_seconds()
    yield _gauge("opposition_age_seconds", "Age of the opposition list held here", {(): age})
    yield _gauge("opposition_cards", "Cards on the opposition list held here", {(): float(len(held))})


def _gauge(name: str, tells: str, values: Mapping[Any, float], *labels: str) -> Family:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", tells, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
