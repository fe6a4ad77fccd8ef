"""One world for the flows: authority and cards are made once, every test gets a fresh copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.flow import PROFILES, START, Flow, close_flow, open_flow
from tools.bench import Bench


@pytest.fixture(scope="session")
def flow_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority and personalised cards."""
    from gateway.clock import SimulatedClock

    root = tmp_path_factory.mktemp("flows")
    Bench(root, SimulatedClock(START)).make_cards(PROFILES)
    return root


@pytest.fixture
def open_world(flow_world: Path, tmp_path: Path) -> Iterator[Callable[..., Flow]]:
    """Opens flows, each on a copy of the world: `open_world(policy="sesam")`."""
    opened: list[Flow] = []

    def make(**settings: object) -> Flow:
        root = tmp_path / f"flow{len(opened)}"
        shutil.copytree(flow_world, root)
        opened.append(open_flow(root, **settings))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for flow in opened:
        close_flow(flow)


@pytest.fixture
def flow(open_world: Callable[..., Flow]) -> Flow:
    """A practice and its receiver under the profile `modern`."""
    return open_world()
