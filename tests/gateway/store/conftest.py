"""One fresh store per test, on SQLite and on PostgreSQL: what a store does is the same on both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.store import servers
from tests.gateway.store.line import Line

_ABOUT_FILES = ("test_store_disk", "test_store_keys", "test_store_old", "test_store_backup")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test with a `line` runs on both databases, but for those that are about files."""
    if "line" in metafunc.fixturenames:
        about_files = metafunc.module.__name__.rpartition(".")[2] in _ABOUT_FILES
        metafunc.parametrize("line", ["sqlite", "postgresql"][: 2 - about_files], indirect=True)


@pytest.fixture
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Line]:
    """A store with its surroundings."""
    on_server = request.param == "postgresql"
    made = servers.line_on_postgres(tmp_path / "var") if on_server else Line(tmp_path / "var")
    yield made
    made.store.close()
    if on_server:
        servers.drop(made)


@pytest.fixture
def line_on_server(tmp_path: Path) -> Iterator[Line]:
    """A store in a PostgreSQL database."""
    made = servers.line_on_postgres(tmp_path / "var")
    yield made
    made.store.close()
    servers.drop(made)
