"""Counters and times of one gateway since its start, for whoever watches it. Numbers only, nobody is named.

Labels are words of the program (a mode, a state, a code, a route), never data; of one metric at most
`MOST_SERIES` different sets are kept, what comes beyond is counted as `other`: no peer can make it grow.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.errors import GatewayError
from reader.errors import ReaderError

MOST_SERIES = 200
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds of the classes of a time."""

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is counted or timed: its name, what it tells, and the names of its labels."""

    name: str
    tells: str
    labels: tuple[str, ...] = ()


FSE = Metric("fse", "FSE that came to a state in this store, by their mode", ("mode", "state"))
SHARES = Metric("shares", "Complementary shares that came to a state in this store", ("state",))
LOTS = Metric("lots", "Lots that came to a state in this store", ("state",))
SENDS = Metric("sends", "Lots handed to the relay by this gateway: sent, failed or parked", ("outcome",))
RETRIES = Metric("retries", "Those of the sends whose lot had been tried before")
RECEIPTS = Metric("receipts", "Receipts (ARL) that came to this store", ("outcome", "positive"))
PAYMENTS = Metric("payments", "Payment returns that came to this store, line by line", ("outcome", "paid"))
REFUSALS = Metric("refusals", "What was refused, by whom and with which code", ("by", "code"))
REQUESTS = Metric("api_requests", "Requests to the API", ("method", "route", "status"))
API_SECONDS = Metric("api_request_seconds", "How long requests to the API took", ("method", "route"))
CARD_SECONDS = Metric("card_seconds", "How long work with the cards took", ("operation", "outcome"))
CLOCK_STEPS = Metric("clock_steps", "How often the clock was set by more than half a minute")
COUNTERS = (FSE, SHARES, LOTS, SENDS, RETRIES, RECEIPTS, PAYMENTS, REFUSALS, REQUESTS, CLOCK_STEPS)
TIMES = (API_SECONDS, CARD_SECONDS)

Labels = tuple[str, ...]


@dataclass(slots=True)
class Times:
    """How often, how long together, and how many in each class (the last one has no upper bound)."""

    count: int = 0
    seconds: float = 0.0
    classes: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))


class Metrics:
    """Safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._guard = clock, threading.Lock()
        self._counts: dict[Metric, dict[Labels, float]] = {metric: {} for metric in COUNTERS}
        self._times: dict[Metric, dict[Labels, Times]] = {metric: {} for metric in TIMES}

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """It happened, `by` times."""
        with self._guard:
            series = self._counts[metric]
            key = _bounded(metric, labels, series)
            series[key] = series.get(key, 0) + by

    def time(self, metric: Metric, seconds: float, *labels: str) -> None:
        """It took so long."""
        with self._guard:
            series = self._times[metric]
            times = series.setdefault(_bounded(metric, labels, series), Times())
            times.count += 1
            times.seconds += seconds
            times.classes[bisect_left(BUCKETS, seconds)] += 1

    @contextmanager
    def of_card(self, operation: str) -> Iterator[None]:
        """Time the work with a card in the block: done, refused for a reason, or a mistake here."""
        began, outcome = self._clock.monotonic(), "mistake"
        try:
            yield
            outcome = "done"
        except (GatewayError, ReaderError):
            outcome = "refused"
            raise
        finally:
            self.time(CARD_SECONDS, self._clock.monotonic() - began, operation, outcome)

    def counts(self) -> Mapping[Metric, Mapping[Labels, float]]:
        """Every counter as it stands."""
        with self._guard:
            return {metric: dict(series) for metric, series in self._counts.items()}

    def times(self) -> Mapping[Metric, Mapping[Labels, Times]]:
        """Every time as it stands."""
        with self._guard:
            return {
                metric: {key: Times(one.count, one.seconds, list(one.classes)) for key, one in series.items()}
                for metric, series in self._times.items()
            }


def _bounded(metric: Metric, labels: Labels, series: Mapping[Labels, object]) -> Labels:
    """These labels, or `other` for each when there are too many sets already."""
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}")
    if labels in series or len(series) < MOST_SERIES:
        return labels
    return (OTHER,) * len(labels)
