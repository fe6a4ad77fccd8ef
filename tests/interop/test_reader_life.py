"""The life of an emulated reader beside an unmodified pcscd: starts, ends, kills, several of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.interop.bench_pcscd import DRIVERS, Emulated, Pcscd, needs, wait_for
from tests.interop.conftest import CardFile
from tests.interop.desk import Desk, Put
from tests.interop.opensc import AUTHENTICATION, NEW_PIN, PIN, WRONG_PIN, OpenSC, words

pytestmark = pytest.mark.interop
ONE_SLOT = ("gempctwin", "gempcpinpad")
TWO_SLOTS = ("gemcoresimpro2", "sec1210", "gemcorepospro")
READ = "00:B0:9C:00:0C"  # EF.SN of the CPS by its short identifier
HAS_NO_MODEM_LINES = "Get RS232 signals state failed"
"""What the driver says of every pseudo-terminal: it has no RTS line to lower."""


@pytest.fixture(autouse=True)
def _programs() -> None:
    needs("opensc-tool", "pkcs11-tool", "pkcs15-tool", "openssl", files=(DRIVERS / "libccidtwin.so",))


@pytest.fixture
def desk(put: Put, card_file: CardFile) -> Desk:
    """A Vitale and a CPS in a reader with two slots."""
    return put(card_file("vitale-single"), card_file("cps-gp-sector1"))


@pytest.mark.parametrize("serial", [*TWO_SLOTS, *ONE_SLOT])
def test_the_driver_has_nothing_to_complain_of(put: Put, card_file: CardFile, serial: str) -> None:
    """After reading, wrong and right PIN, signature and change, its errors are the missing lines only."""
    cards = (
        (card_file("cps-gp-sector1"),)
        if serial in ONE_SLOT
        else (
            card_file("vitale-family"),
            card_file("cps-gp-sector1"),
        )
    )
    desk = put(*cards, serial=serial, level="--error")
    assert desk.cps.tool("-n").stdout.strip() == "IAS-ECC"
    assert desk.cps.pkcs15("--dump").returncode == 0
    if serial != "gempcpinpad":  # there PKCS#11 asks the pad
        assert not desk.cps.login(WRONG_PIN)
        said, signature = desk.cps.sign(AUTHENTICATION, "--pin", PIN)
        assert desk.cps.verifies(signature, desk.cps.certificate(AUTHENTICATION)), words(said)
        changed = desk.cps.pkcs11("--login", "--pin", PIN, "--change-pin", "--new-pin", NEW_PIN)
        assert changed.returncode == 0, words(changed)
    complaints = [line for line in desk.pcscd.log.splitlines() if HAS_NO_MODEM_LINES not in line]
    assert complaints == []


def test_five_slots(put: Put, card_file: CardFile) -> None:
    """GemCore POS Pro: two cards in five slots, three empty ones, a third card put in while it runs."""
    desk = put(card_file("vitale-single"), card_file("cps-gp-sector1"), serial="gemcorepospro")
    assert [" Yes " in line for line in desk.pcscd.readers()] == [True, True, False, False, False]
    put_in = desk.reader.control("insert", "4", card_file("cps-gp-sector2"))
    assert put_in.returncode == 0, words(put_in)
    desk.pcscd.wait_for_cards(3)
    assert OpenSC(desk.pcscd, 4).tool("-n").stdout.strip() == "IAS-ECC"


def test_pcscd_may_be_started_again(desk: Desk) -> None:
    """The reader outlives the daemon: a new one opens it and finds the cards, the old PIN state gone."""
    assert desk.cps.login(PIN)
    desk.pcscd.stop()
    desk.pcscd.start()
    desk.pcscd.wait_for_cards(2)
    assert desk.cps.status("0020000100") == "63C3"
    assert desk.cps.login(PIN)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_reader_may_end_at_any_time(desk: Desk, card_file: CardFile, number: signal.Signals) -> None:
    """Clients hear of a missing card, pcscd lives, what was paid stays paid; a new reader carries on."""
    cps_image = desk.reader.images[1]
    assert not desk.cps.login(WRONG_PIN)
    os.kill(desk.reader.pid, number)
    wait_for(lambda: not desk.cps.login(PIN), lambda: "the card is still there")
    refused = desk.cps.tool("-s", "0020000100")
    assert 0 < refused.returncode < 128, words(refused)
    desk.reader.stop()
    desk.pcscd.stop()
    with Emulated(desk.reader.folder, (card_file("vitale-single"), cps_image)):
        desk.pcscd.start()
        desk.pcscd.wait_for_cards(2)
        assert desk.cps.tries() == 2
        assert desk.cps.login(PIN)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_reader_ends_while_a_program_reads(desk: Desk, number: signal.Signals) -> None:
    """In the middle of thousands of commands: the program hears an error at once, pcscd waits for nothing."""
    client = desk.pcscd.start_client("opensc-tool", "-r", "1", "-s", "00A4000C00", *["-s", READ] * 4000)
    assert client.stdout is not None
    for _ in range(100):
        assert client.stdout.readline()
    os.kill(desk.reader.pid, number)
    said, _ = client.communicate(timeout=20)
    assert 0 < client.returncode < 128, said[-500:]
    assert len(desk.pcscd.readers()) == 2


def test_an_orderly_end_leaves_nothing(desk: Desk) -> None:
    """SIGTERM: exit code 0, the names of line and control socket are gone, the images are sound."""
    link = desk.reader.link
    assert os.path.lexists(link)
    assert desk.reader.stop() == 0
    assert [file.name for file in link.parent.iterdir() if file.name.startswith(link.name)] == []


def test_two_readers_behind_one_pcscd(tmp_path: Path, card_file: CardFile) -> None:
    """Two emulated readers, four slots: every card is where it was put, and both CPS sign."""
    names = ("first", "second")
    readers = {
        name: Emulated(tmp_path / name, (card_file("vitale-single"), card_file(profile)))
        for name, profile in zip(names, ("cps-gp-sector1", "cps-gp-sector2"), strict=True)
    }
    conf = tmp_path / "conf"
    conf.mkdir()
    with readers["first"], readers["second"]:
        for name in names:
            (entry,) = readers[name].conf_dir.iterdir()
            (conf / name).write_bytes(entry.read_bytes())
        with Pcscd(tmp_path / "pcscd", conf_dir=conf) as pcscd:
            pcscd.wait_for_cards(4)
            for number in (1, 3):
                cps = OpenSC(pcscd, number)
                said, signature = cps.sign(AUTHENTICATION, "--pin", PIN)
                assert cps.verifies(signature, cps.certificate(AUTHENTICATION)), words(said)
