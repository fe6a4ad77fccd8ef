"""Gateways look more often in these tests, so that nobody waits half a second for an end."""

from __future__ import annotations

import pytest

from reader.agent import link


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "LOOK_SECONDS", 0.02)
