"""A step of the straight line: a name that a crash test can stop before or after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.failpoint import failpoint

STEPS = ("number", "cards", "price", "encode", "sign", "check", "keep", "lot", "seal", "queue")
"""The steps that gateway/pipeline.py takes, in order; the rest of the line is gateway/delivery.py."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Frame one step with the failpoints `name-before` and `name-after`."""
    failpoint(f"{name}-before")
    yield
    failpoint(f"{name}-after")
