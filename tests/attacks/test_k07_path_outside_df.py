"""K7: SELECT by a path that leads out of its DF. ISO 7816-4:2005, 5.3.1.2 and 7.1.1 (P1 08 and 09).

A relative path goes down from the current DF only; the directory climbing of file servers has no equal here,
and reaching a protected file by any road never carries a status along.
"""

import itertools

import pytest

from tests.card.bench import cps_items, powered
from tests.card.dialogue import authenticate, present, rights, vitale_card_trusting_the_authority


@pytest.mark.parametrize(
    "command",
    [
        "00A4090C02D003",
        "00A4090C043F02D003",
        "00A4020C02D003",
        "00A4010C020002",
        "00A4080C02D107",
        "00A4080C040002D107",
        "00A4080C043F000001",
        "00A4090C043FFFD003",
        "00A4090C0400013F00",
        "00A4090C060001" + "0001D107",
        "00A4090C023FFF",
        "00A4090C020001",
        "00A4080C060001D1070000",
        "00A4090C04D107D107",
    ],
)
def test_k07_no_path_leads_out_of_its_df(command):
    """From DF 0001 a relative path finds neither a file of the MF nor climbs; the absolute twin does."""
    card = powered(cps_items()).contact()
    assert card.sw(command) == 0x6A82
    assert card.ok("00B0870001") == b"\0"  # DF 0001 is still current
    card.ok("00A4090C043F00D003")


def test_k07_every_pair_of_identifiers():
    """All relative paths of two known identifiers from each DF: exactly what lies below is found."""
    tree = {
        "3F00": {"2F00", "D003", "0001", "0002"},
        "0001": {"5031", "A001", "D107", "D120", "D200", "D201"},
        "0002": set(),
    }
    names = sorted({name for children in tree.values() for name in children} | {"3F00", "3FFF", "2E2E"})
    for start, (one, other) in itertools.product(tree, itertools.product(names, names)):
        card = powered_at(start)
        sw = card.sw("00A4090C04", one + other)
        if one == "3F00":
            expected = other in tree["3F00"]
        else:
            expected = one in tree[start] and other in tree.get(one, set())
        assert sw == (0x9000 if expected else 0x6A82), (start, one, other)


_CARD = powered(cps_items())


def powered_at(start):
    _CARD.ok("00A4000C023F00")
    if start != "3F00":
        _CARD.ok("00A4010C02" + start)
    return _CARD


@pytest.mark.parametrize("length", [1, 3, 5, 255])
def test_k07_half_an_identifier(length):
    """A path is pairs of bytes: odd lengths are 6700, and nothing is selected on the way."""
    card = powered(cps_items()).contact()
    card.ok("00A4020C02D107")
    for p1 in ("08", "09"):
        assert card.sw("00A4" + p1 + "0C", bytes((length,)), (b"\x00\x01" * 128)[:length]) == 0x6700
    assert len(card.ok("00B0000000")) == 64


def test_k07_a_path_does_not_carry_a_status_out():
    """Reaching a protected Vitale file by path from the MF leaves the authentication behind."""
    card = vitale_card_trusting_the_authority()
    present(card)
    assert authenticate(card) == 0x9000
    assert rights(card) == 0x9000
    card.ok("00A4000C023F00")
    card.ok("00A4080C0420002020")
    assert card.sw("00B0000000") == 0x6982


@pytest.mark.parametrize(
    "road", ["00A4080C0420002020", "00A4090C063F0020002020", "00A4020C022020", "00A4000C022020"]
)
def test_k07_every_road_to_a_protected_file_is_guarded(road):
    """Absolute, relative, child, identifier: the file can be named, its bytes stay closed until proof."""
    card = vitale_card_trusting_the_authority()
    card.ok(road)
    assert card.sw("00B0000000") == 0x6982
    assert card.sw("00D600000141") == 0x6982
    card = vitale_card_trusting_the_authority()
    present(card)
    assert authenticate(card) == 0x9000
    card.ok(road)
    assert card.ok("00B0000000") == b"protected rights"


def test_k07_odd_instructions_name_children_only():
    """READ BINARY B1 with a file identifier finds children of the current DF, nothing above or beside."""
    card = powered(cps_items()).contact()
    for fid in ("D003", "2F00", "3F00", "3FFF"):
        assert card.sw("00B1" + fid + "045402000000") == 0x6A82
    assert card.sw("00B1D1070454020000" + "00") == 0x9000
