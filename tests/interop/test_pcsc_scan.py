"""pcsc_scan, unmodified, knows both cards by their answers to reset, and sees them come and go."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop.bench_pcscd import needs
from tests.interop.conftest import CardFile
from tests.interop.desk import VARIANTS, Desk, Put

pytestmark = pytest.mark.interop
KNOWN = {"Vitale 2 (french health card)", "Sesam Vitale card CPS (Carte Profesionnel de Santé)"}


@pytest.fixture(autouse=True)
def _programs() -> None:
    needs("pcsc_scan", "ATR_analysis", files=(Path("/usr/share/pcsc/smartcard_list.txt"),))


def scan(desk: Desk) -> tuple[list[str], set[str]]:
    """The state of each slot, and what the list of known answers to reset says of the cards."""
    said = desk.pcscd.run("pcsc_scan", "-t", "1").stdout
    text = re.sub(r"\x1b\[[0-9;]*m", "", said)
    states = re.findall(r"Card state: ([^,]*),", text)
    return states, {line.strip() for line in text.splitlines() if line.startswith("\t")}


@pytest.mark.parametrize("serial", VARIANTS)
def test_both_cards_are_known(put: Put, card_file: CardFile, serial: str) -> None:
    """Two readers, two cards, both described as what they are."""
    desk = put(card_file("vitale-single"), card_file("cps-gp-sector1"), serial=serial)
    states, known = scan(desk)
    assert states == ["Card inserted", "Card inserted"]
    assert known >= KNOWN


def test_a_card_alone(put: Put, card_file: CardFile) -> None:
    """The twin: with the Vitale alone the other slot is empty and no CPS is named."""
    desk = put(card_file("vitale-single"))
    states, known = scan(desk)
    assert states == ["Card inserted", "Card removed"]
    assert known & KNOWN == {"Vitale 2 (french health card)"}
