"""Every model of our serial reader, opened by an unmodified pcscd with libccid."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.bench_pcscd import DRIVERS, Emulated, Pcscd, needs, wait_for
from tests.interop.conftest import CardFile

pytestmark = pytest.mark.interop

VITALE_ATR, CPS_ATR = "3b:75:13:00:00:43:09:ea:90:00", "3b:ac:00:40:2a:00:12:25:00:64:80:00:03:10:00:90:00"
SLOTS = {"gempctwin": 1, "gempcpinpad": 1, "gemcorepospro": 5, "gemcoresimpro2": 2, "sec1210": 2}


@pytest.fixture(autouse=True)
def _programs() -> None:
    needs("pcscd", "opensc-tool", files=(DRIVERS / "libccidtwin.so",))


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def atr(pcscd: Pcscd, slot: int) -> str:
    """What OpenSC sees in this slot."""
    return pcscd.run("opensc-tool", "--reader", str(slot), "--atr").stdout.strip()


def presence(pcscd: Pcscd) -> list[bool]:
    """Card or not, slot by slot."""
    return [" Yes " in line for line in pcscd.readers()]


@pytest.mark.parametrize("serial", SLOTS)
def test_every_variant_is_opened(serial: str, card_file: CardFile, tmp_path: Path) -> None:
    """All slots with their names, both cards with their ATR, the keypad where there is one, no complaint."""
    count = SLOTS[serial]
    cards = [card_file("vitale-family"), card_file("cps-gp-sector1")][-min(count, 2) :]
    atrs = [VITALE_ATR, CPS_ATR][-len(cards) :]
    with (
        Emulated(_made(tmp_path / "reader"), cards, serial=serial) as reader,
        Pcscd(tmp_path, conf_dir=reader.conf_dir) as pcscd,
    ):
        pcscd.wait_for_cards(len(cards))
        lines = pcscd.readers()
        assert [line.split("Vitale Gateway Twin ")[1] for line in lines] == [
            f"00 {n:02X}" for n in range(count)
        ]
        assert presence(pcscd) == [number < len(cards) for number in range(count)]
        assert ["PIN pad" in line for line in lines] == [serial == "gempcpinpad"] * count
        assert [atr(pcscd, slot) for slot in range(len(cards))] == atrs
        for complaint in ("Wrong LRC", "Got 0x", "Timeout!", "Duplicate", "Can't read all data"):
            assert complaint not in pcscd.log


@pytest.mark.parametrize("serial", [name for name, count in SLOTS.items() if count > 1])
def test_one_slot_moves_the_other_works_on(serial: str, card_file: CardFile, tmp_path: Path) -> None:
    """A card leaves and comes back: pcscd sees it in that slot; a program goes on in the other meanwhile."""
    cards = [card_file("vitale-family"), card_file("cps-gp-sector1")]
    with (
        Emulated(_made(tmp_path / "reader"), cards, serial=serial) as reader,
        Pcscd(tmp_path, conf_dir=reader.conf_dir) as pcscd,
    ):
        pcscd.wait_for_cards(2)
        busy = pcscd.start_client(
            "opensc-tool", "--reader", "1", *["--send-apdu", "00A4040C0DE828BD080F8025000001FF0010"] * 300
        )
        for turn in (False, True):
            assert reader.control("remove" if not turn else "insert", "Vitale").returncode == 0
            wait_for(lambda turn=turn: presence(pcscd)[:2] == [turn, True], lambda: str(pcscd.readers()))
        said = busy.communicate(timeout=60)[0]
        assert (busy.returncode, said.count("SW1=0x90")) == (0, 300)
        assert atr(pcscd, 0) == VITALE_ATR


def test_a_reader_that_starts_again(card_file: CardFile, tmp_path: Path) -> None:
    """The emulator ends and starts while no pcscd runs; the next pcscd opens the same name."""
    cards = [card_file("cps-gp-sector1")]
    for _ in range(2):
        with (
            Emulated(_made(tmp_path / "reader"), cards, serial="gempctwin") as reader,
            Pcscd(tmp_path, conf_dir=reader.conf_dir) as pcscd,
        ):
            pcscd.wait_for_cards(1)
            assert atr(pcscd, 0) == CPS_ATR


def test_pcscd_comes_and_goes(card_file: CardFile, tmp_path: Path) -> None:
    """One emulator, three daemons one after the other, one of them killed: the line is usable each time."""
    with Emulated(_made(tmp_path / "reader"), [card_file("cps-gp-sector1")], serial="gempcpinpad") as reader:
        for turn in range(3):
            with Pcscd(tmp_path, conf_dir=reader.conf_dir) as pcscd:
                pcscd.wait_for_cards(1)
                assert atr(pcscd, 0) == CPS_ATR
                if turn == 1:
                    pcscd.run("kill", "-KILL", str(pcscd.pid))
