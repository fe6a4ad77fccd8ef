"""The update kiosk on real PC/SC: a card in an emulated reader, pcscd and libccid before it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from card.kernel.storage import FileStorage
from card.personalise import load_profile, read_image
from tests.interop.bench_pcscd import DRIVERS, Emulated, Pcscd, needs
from tools.bench import Bench
from tools.receiver.config import ReceiverConfig
from tools.receiver.service import assemble

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("pyscard")]
ROOT = Path(__file__).resolve().parents[2]
WHO, DOCTOR = "vitale-single", "cps-gp-sector1"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Cards, an authority, and the state of a receiver that has served."""
    needs("pcscd", files=(DRIVERS / "libccidtwin.so",))
    bench = Bench(tmp_path_factory.mktemp("kiosk"))
    bench.make_cards([WHO, DOCTOR])
    state = bench.directory("receiver")
    assemble(ReceiverConfig(bench.directory("authority"), state, bench.directory("mailbox"))).ledger.close()
    return bench


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what a test has started."""
    with ExitStack() as opened:
        yield opened


def kiosk(bench: Bench, environment: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    """The program before the slot that pcscd shows."""
    return subprocess.run(
        [sys.executable, "-m", "tools.kiosk", "--state", str(bench.directory("receiver")),
         "--authority", str(bench.directory("authority")), "--driver", "pcsc", *more, "Vitale"],
        env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_card_behind_pcscd_gets_its_rights(world: Bench, tmp_path: Path, stack: ExitStack) -> None:
    """New rights reach the card through reader and daemon, and its image; again there is nothing to do."""
    card = tmp_path / "mine.card"
    shutil.copy(world.card_file(WHO), card)
    nir = load_profile(WHO).nir  # type: ignore[attr-defined]
    overrides = tmp_path / "overrides.toml"
    overrides.write_text(f'[[insured]]\nnir = "{nir}"\nrights = [[2026-01-01, 2035-06-30]]\n')
    with Emulated(tmp_path / "reader", [card], serial="gempctwin") as reader:
        pcscd = stack.enter_context(Pcscd(tmp_path, conf_dir=reader.conf_dir))
        pcscd.wait_for_cards(1)
        done = kiosk(world, pcscd.environment, "--overrides", str(overrides))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "after   person 1: rights 2026-01-01 to 2035-06-30" in done.stdout
        assert done.stdout.endswith("the card is up to date\n")
        again = kiosk(world, pcscd.environment, "--overrides", str(overrides))
        assert again.stdout.endswith("the card was up to date already\n"), again.stdout + again.stderr
    assert "2035" in str(read_image(FileStorage(card)))


def test_another_card_behind_pcscd_is_left_alone(world: Bench, tmp_path: Path, stack: ExitStack) -> None:
    """A CPS in the reader is no Vitale to a kiosk: exit code 1, one sentence, every byte as it was."""
    card = tmp_path / "mine.card"
    shutil.copy(world.card_file(DOCTOR), card)
    before = card.read_bytes()
    with Emulated(tmp_path / "reader", [card], serial="gempctwin") as reader:
        pcscd = stack.enter_context(Pcscd(tmp_path, conf_dir=reader.conf_dir))
        pcscd.wait_for_cards(1)
        refused = kiosk(world, pcscd.environment)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "kiosk: The Vitale slot is empty: insert the card and try again.\n"
    assert card.read_bytes() == before
