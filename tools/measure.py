"""Rates: how often per second something can be done, best of several short rounds, two things in turns."""

from __future__ import annotations

import time
from collections.abc import Callable

ROUNDS = 5


def seconds_once(work: Callable[[], object]) -> float:
    """Seconds of one call, for work that cannot be repeated."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def seconds_each(work: Callable[[], object], *, budget: float = 0.15) -> float:
    """Seconds per call of `work` in one round of about `budget` seconds."""
    once = max(seconds_once(work), 1e-7)
    count = max(1, int(budget / once))
    start = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - start) / count


def core_seconds_each(work: Callable[[], object], *, budget: float = 0.3) -> float:
    """Processor seconds per call on one core, whatever else the machine does: median of the rounds."""
    count = max(1, int(budget / max(seconds_once(work), 1e-7)))
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(count):
            work()
        rounds.append((time.process_time() - start) / count)
    return sorted(rounds)[ROUNDS // 2]


def in_turns(*works: Callable[[], object], budget: float = 0.15) -> list[float]:
    """Seconds per call of each, measured in turns so that all meet the same machine: median of the rounds."""
    rounds = [[seconds_each(work, budget=budget) for work in works] for _ in range(ROUNDS)]
    return [sorted(column)[ROUNDS // 2] for column in zip(*rounds, strict=True)]
