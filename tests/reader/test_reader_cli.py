"""`vitale-reader` on the command line: real cards in files, one sentence when something is refused."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from card.issuer import TestIssuer
from card.kernel.storage import FileStorage
from card.personalise import load_profile, personalise
from reader.cli import main, open_emulated
from reader.errors import ReaderError

NOW = datetime(2026, 3, 10, tzinfo=UTC)
SELECT_VITALE = "00A4040C0BD250000002564954414C45"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Paths of a Vitale image and a CPS image."""
    directory, issuer = tmp_path_factory.mktemp("cards"), TestIssuer.make(now=NOW)
    paths = []
    for profile in ("vitale-single", "cps-gp-sector1"):
        paths.append(str(directory / f"{profile}.img"))
        personalise(load_profile(profile), FileStorage(directory / f"{profile}.img"), issuer, NOW)
    return paths


def test_open_emulated_fills_slots_in_order(images):
    """The first image goes into the Vitale slot, the second into the CPS slot; both answer to reset."""
    with open_emulated(images) as reader:
        assert [slot.name for slot in reader.slots] == ["Vitale", "CPS"]
        assert [slot.connect().atr[:2].hex() for slot in reader.slots] == ["3b75", "3bac"]


def test_a_slot_may_stay_empty_or_be_named(images):
    """An empty string leaves a slot empty, NAME=PATH chooses one."""
    vitale, cps = images
    with open_emulated(["", cps]) as reader:
        assert [slot.is_present for slot in reader.slots] == [False, True]
    with open_emulated([f"CPS={cps}"]) as reader:
        assert [slot.is_present for slot in reader.slots] == [False, True]
    with open_emulated([f"cps={cps}", f"vitale={vitale}"]) as reader:
        assert all(slot.is_present for slot in reader.slots)


def test_refused_images(images, tmp_path):
    """A missing file, a file that is no card, a third card, an unknown slot: one sentence each."""
    broken = tmp_path / "broken.img"
    broken.write_bytes(b"this is not a card image")
    refused = {
        "There is no card image .* for the Vitale slot": [str(tmp_path / "none.img")],
        "card image .* for the Vitale slot cannot be used": [str(broken)],
        "only the slots Vitale and CPS": ["", "", images[0]],
        "no SAM slot": [f"SAM={images[0]}"],
        "already a card in the Vitale slot": [images[0], f"vitale={images[0]}"],
    }
    for sentence, arguments in refused.items():
        with pytest.raises(ReaderError, match=sentence):
            open_emulated(arguments)


def test_list(images, capsys):
    """`list` shows each slot, what is in it and its answer to reset."""
    assert main(["list", "--slot", images[0], "--slot", images[1]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["Vitale", "Vitale", "3B", "75"]
    assert lines[1].split()[:4] == ["CPS", "CPS", "3B", "AC"]
    assert main(["list", "--slot", images[0]]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["CPS", "empty"]


def test_apdu(images, capsys):
    """`apdu` prints one answer a line: data, then status."""
    assert main(["apdu", "--slot", images[0], SELECT_VITALE, "00A40204022F0200", "00B0000000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "9000"
    assert lines[1] == "6A82"
    assert main(["apdu", "--slot", images[1], "--to", "vitale", "00A4040C088025000001FF0100"]) == 0
    assert capsys.readouterr().out == "9000\n"


def test_trace_is_redacted(images, capsys):
    """`trace` prints what was said without any data: the PIN and the NIR stay hidden."""
    arguments = ["00A4040C0E" + "D2500000024D465F564954414C45", "00B0820000", "002000010831323334FFFFFFFF"]
    assert main(["trace", "--slot", images[0], *arguments]) == 0
    shown = capsys.readouterr().out
    assert "READ BINARY 8200 Le 256 → 9000 normal processing, 256 bytes" in shown
    assert "VERIFY 0001 data ****" in shown
    assert "31323334" not in shown


def test_exit_codes(images, capsys):
    """Refused work gives 1 and one sentence; wrong usage gives 2."""
    assert main(["apdu", "--slot", images[0], "--to", "CPS", "00A40000"]) == 1
    assert capsys.readouterr().err == "vitale-reader: The CPS slot is empty: insert the card and try again.\n"
    for arguments in (
        [],
        ["apdu", "00A40000"],
        ["apdu", "--slot", images[0], "--reader", "Twin", "00A40000"],
        ["apdu", "--slot", images[0], "zz"],
        ["apdu", "--slot", images[0], "00A4"],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2


def test_help_starts_without_heavy_imports():
    """Asking for help loads neither the card, nor cryptography, nor construct."""
    code = (
        "import sys\n"
        "from reader.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = ('cryptography', 'construct', 'card.kernel', 'card.personalise')\n"
        "print([m for m in heavy if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
