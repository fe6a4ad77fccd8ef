"""A gateway's side for each test, and looks often enough that nobody waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.agent import program
from gateway.exchange.retry import Backoff
from reader.agent import link
from tests.gateway.agent.hosting import Hosting, hosting


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(program, "RETRY", Backoff(first=0.02, cap=0.05))


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[Hosting]:
    """The gateway's side."""
    with hosting(tmp_path) as made:
        yield made
