"""A gateway with its page for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.billing.tables import Tables
from tests.gateway.page.visitor import PIN, Browser, Rig, open_rig
from tools.bench import Bench, stolen_cards


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """Tables and shipped profiles do not change between two tests: they are read once."""
    tables, stolen = Tables.load(), stolen_cards()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.bench.Tables", SimpleNamespace(load=lambda: tables))
        patch.setattr("tools.bench.stolen_cards", lambda: stolen)
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority and personalised cards."""
    root = tmp_path_factory.mktemp("world")
    Bench(root).make_cards(["cps-gp-sector1", "vitale-family", "vitale-ald"])
    return root


@pytest.fixture
def rig(world: Path, tmp_path: Path) -> Iterator[Rig]:
    """A gateway of its own for each test, CPS locked."""
    root = tmp_path / "bench"
    shutil.copytree(world, root)
    with ExitStack() as stack:
        yield open_rig(Bench(root), stack)


@pytest.fixture
def browser(rig: Rig) -> Browser:
    """A browser of the practice, with the CPS unlocked."""
    made = rig.browser()
    assert made.send("/", "/session/ouvrir", pin=PIN) == 303
    return made
