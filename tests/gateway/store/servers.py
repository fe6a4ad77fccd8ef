"""The PostgreSQL server of this test process, started when it is first asked for; a database per test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from gateway.clock import SimulatedClock
from gateway.store.store import Store
from tests.gateway.store.line import START, Line
from tools.postgres import PostgresError, PostgresServer

ENDING = ExitStack()
"""What is stopped when the tests have ended: see tests/conftest.py."""

_MEMORY, _WANTED = Path("/dev/shm"), 2 * 1024**3
_numbers = count(1)


@cache
def server() -> PostgresServer:
    """The one server, with a database `template` that holds an empty store; its key is in its folder."""
    try:
        made = ENDING.enter_context(PostgresServer(parent()))
    except PostgresError as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))
    Store(made.create("template"), SimulatedClock(START), key=str(made.folder / "key")).close()
    return made


def line_on_postgres(root: Path) -> Line:
    """A fresh store in a database of its own."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(server().folder / "key", root / "key")
    url = server().create(f"t{next(_numbers)}", "template")
    return Line(root, url=url, key=str(root / "key"))


@contextmanager
def database(beside: Path) -> Iterator[tuple[str, str]]:
    """Address and key of an empty store in a database of its own; the key stands beside this path."""
    key = beside.with_name(beside.name + ".key")
    shutil.copy(server().folder / "key", key)
    name = f"t{next(_numbers)}"
    yield server().create(name, "template"), str(key)
    server().drop(name)


def drop(line: Line) -> None:
    """Remove the database of a line that is closed."""
    server().drop(line.url.partition("@/")[2].partition("?")[0])


def parent() -> Path | None:
    """Where a server of the tests is made: in memory where there is room."""
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _WANTED:
        return _MEMORY
    return None
