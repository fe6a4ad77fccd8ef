"""The test world of the lots room, loaded once."""

from __future__ import annotations

import pytest

from gateway.lots.lot import Lot
from tests.gateway.lots.world import World


@pytest.fixture(scope="session")
def world() -> World:
    """Fixed keys, trust and signers."""
    return World.load()


@pytest.fixture(scope="session")
def lot(world: World) -> Lot:
    """Three invoices in a signed lot."""
    return world.lot(world.fse(1), world.fse(2), world.fse(3))
