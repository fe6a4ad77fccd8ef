"""Back-off: doubling, capped, spread, and ended."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange.retry import Backoff

POLICY = Backoff()


def low(count: int) -> bytes:
    return bytes(count)


def high(count: int) -> bytes:
    return b"\xff" * count


def test_doubles_from_one_second_to_fifteen_minutes() -> None:
    """The longest waits are 1, 2, 4 … 512, then 900 s for ever."""
    waits = [POLICY.delay(attempt, high) for attempt in range(1, 14)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


def test_half_of_the_step_is_certain() -> None:
    """The shortest wait is half of the longest one, at any attempt, however large."""
    for attempt in (1, 5, 11, 1000):
        assert POLICY.delay(attempt, low) * 2 == POLICY.delay(attempt, high)


@given(st.integers(1, 10**6), st.binary(min_size=4, max_size=4))
def test_always_within_the_step(attempt: int, chance: bytes) -> None:
    """No chance leads below 0.5 s or above 15 minutes."""
    assert 0.5 <= POLICY.delay(attempt, lambda count: chance[:count]) <= 900


def test_a_thousand_lots_do_not_come_back_at_once() -> None:
    """The waits of a thousand lots are spread over the whole second half of the step."""
    seeded = random.Random(1)
    waits = sorted(POLICY.delay(11, seeded.randbytes) for _ in range(1000))
    assert waits[0] < 460
    assert waits[-1] > 890
    assert max(later - sooner for sooner, later in itertools.pairwise(waits)) < 10


def test_parked_after_five_refusals() -> None:
    """The fifth refusal is the last; attempt numbers start at one."""
    assert [POLICY.is_exhausted(attempt) for attempt in (1, 4, 5, 6)] == [False, False, True, True]
    with pytest.raises(ValueError, match="the first one is 1"):
        POLICY.delay(0, low)
