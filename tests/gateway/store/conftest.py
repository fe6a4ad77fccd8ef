"""One fresh store per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.store.line import Line


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A store with its surroundings."""
    made = Line(tmp_path / "var")
    yield made
    made.store.close()
