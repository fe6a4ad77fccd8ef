"""Rules without bytes: numbers, destinations, modes, refusal codes; and the golden vectors."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from gateway.errors import InputError
from gateway.lots.fse import Fse
from gateway.lots.lot_file import parse_file
from gateway.lots.modes import mode_of
from gateway.lots.numbering import (
    check_invoice_number,
    compostage,
    file_id,
    may_reuse,
    next_lot_number,
)
from gateway.lots.organism import Organism
from gateway.lots.refusal import CLASSES, CODES, LotRefusal
from gateway.lots.verify import verify_fse, verify_lot
from gateway.records.arl import parse_arl
from gateway.records.noemie_file import parse_noemie
from tests.gateway.lots.make_vectors import arl, golden, noemie_return
from tests.gateway.lots.world import NOW, VECTORS, World


def test_compostage_has_19_digits() -> None:
    """AAAAMMJJhhmmss and five digits of a counter that wraps."""
    assert compostage(NOW, 7) == "2026112009300000007"
    assert compostage(NOW, 100_001) == "2026112009300000001"


def test_lot_numbers_go_round() -> None:
    """001 follows 999; a number is free again after 90 days, not on the 90th."""
    assert [next_lot_number(1), next_lot_number(998), next_lot_number(999)] == [2, 999, 1]
    used = date(2026, 1, 1)
    assert not may_reuse(used, used + timedelta(days=90))
    assert may_reuse(used, used + timedelta(days=91))


def test_file_ids() -> None:
    """Six characters, refused outside their range."""
    assert file_id(42) == "000042"
    for wrong in (0, 1_000_000):
        with pytest.raises(InputError):
            file_id(wrong)
    assert check_invoice_number(1) == 1


@pytest.mark.parametrize(
    ("regime", "caisse", "centre", "organism"),
    [
        ("01", "349", "0349", "349"),
        ("02", "335", "0001", "331"),
        ("02", "331", "0001", "331"),
        ("04", "605", "0001", "110"),
        ("12", "999", "0001", "001"),
        ("91", "751", "0501", "999"),
        ("91", "751", "0502", "751"),
        ("94", "781", "0123", "123"),
        ("94", "331", "0123", "331"),
        ("95", "921", "0123", "751"),
    ],
)
def test_destinations(regime: str, caisse: str, centre: str, organism: str) -> None:
    """The organism for a régime, caisse and centre, as the public table says."""
    assert Organism.of_insured(regime, caisse, centre) == Organism(regime, "999", organism)


def test_destination_forms() -> None:
    """Number, address and key of a destination; a key is read back."""
    one = Organism("01", "999", "349")
    assert (one.number, one.address, one.key) == ("00000001999349", "01349@349.01.rss.fr", "01-999-349")
    assert Organism.parse(one.key) == one
    assert one.destination_type == "CT"
    for wrong in ("", "01-999", "AB-999-349", "001-99-349"):
        with pytest.raises(InputError):
            Organism.parse(wrong)
    with pytest.raises(InputError, match="regime"):
        Organism.of_insured("77", "349", "0349")


def test_modes() -> None:
    """Four modes; secured and desynchronised share lots; a portable terminal's mode is said to be unknown."""
    assert mode_of(3).family == mode_of(4).family != mode_of(1).family
    with pytest.raises(InputError, match="secured"):
        mode_of(2)


def test_codes_name_their_class() -> None:
    """Each code has a class of the table, four digits, and all codes of a class begin alike."""
    first: dict[str, set[str]] = {}
    for code, (letter, text) in CODES.items():
        assert re.fullmatch(r"\d{4}", code)
        assert letter in CLASSES
        assert text
        first.setdefault(letter, set()).add(code[0])
    assert all(len(digits) == 1 for digits in first.values())
    assert [code for code, (letter, _) in CODES.items() if letter == "E"] == ["1000"]


def test_refusal_carries_everything() -> None:
    """Class, code, record, invoice, position and sentence."""
    one = LotRefusal("4003", "sentence", record=3, invoice=7, position=11)
    assert (one.error_class, one.error_code, one.record, one.invoice, one.position) == ("L", "4003", 3, 7, 11)
    assert one.sentence == str(one) == "sentence"


def test_golden_vectors(world: World) -> None:
    """C2: the committed vectors are what today's code makes from the committed keys, byte for byte."""
    made = golden(world)
    assert {path.name for path in VECTORS.iterdir() if path.suffix in (".b2", ".txt")} == set(made)
    for name, data in made.items():
        assert (VECTORS / name).read_bytes() == data, name


def test_golden_vectors_have_origins() -> None:
    """Each vector has its line in the table of origins."""
    table = (VECTORS / "README.md").read_text(encoding="utf-8")
    for path in VECTORS.iterdir():
        assert path.name == "README.md" or f"`{path.name}" in table


def test_golden_vectors_are_read(world: World) -> None:
    """The committed FSE and lot are verified, the ARL and the return say what they said."""
    fse = Fse.parse((VECTORS / "fse.b2").read_bytes())
    verify_fse(fse, world.cps.certificate, world.vitale_authority)
    lot = (VECTORS / "lot.b2").read_bytes()
    assert len(verify_lot(lot, world.trust, world.vitale_authority, NOW).fses) == 2
    assert parse_file(lot).lots[0].fses[1].view().pathway == "S2"
    assert parse_arl((VECTORS / "arl.txt").read_bytes()) == arl(NOW)
    assert parse_noemie((VECTORS / "noemie.txt").read_bytes()) == noemie_return()
