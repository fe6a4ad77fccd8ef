"""One test world for the journeys: authority and cards are made once, every test gets fresh copies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.desk import Desk
from gateway.practice import Practice
from reader.emulated import EmulatedReader
from tests.journey.day import Day, begin
from tools.bench import Bench

PROFILES = (
    "cps-gp-sector1",
    "cps-gp-sector2",
    "vitale-single",
    "vitale-family",
    "vitale-ald",
    "vitale-css",
    "vitale-complementary",
)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority and personalised cards."""
    root = tmp_path_factory.mktemp("world")
    Bench(root).make_cards(PROFILES)
    return root


@pytest.fixture
def bench(world: Path, tmp_path: Path) -> Bench:
    """A copy of the world that a test may spoil."""
    root = tmp_path / "bench"
    shutil.copytree(world, root)
    return Bench(root)


@pytest.fixture
def practice(bench: Bench) -> Iterator[Practice]:
    """The practice with an empty durable store."""
    made = bench.practice()
    with closing(made.store):
        yield made


@pytest.fixture
def reader(bench: Bench) -> Iterator[EmulatedReader]:
    """A two-slot reader with a GP's CPS and one person's Vitale in it."""
    with EmulatedReader() as made:
        made.insert("CPS", bench.card("cps-gp-sector1"))
        made.insert("Vitale", bench.card("vitale-single"))
        yield made


@pytest.fixture
def desk(reader: EmulatedReader) -> Desk:
    """The desk over that reader, locked."""
    return Desk(reader)


@pytest.fixture
def day(bench: Bench) -> Iterator[Day]:
    """A day of a practice and its receiver that begins."""
    with begin(bench) as begun:
        yield begun
