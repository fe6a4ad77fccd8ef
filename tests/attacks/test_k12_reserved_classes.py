"""K12: class FF and reserved classes. ISO 7816-4:2005, 5.1.1: CLA FF is kept for PPS (ISO 7816-3:2006, 9.2),
20 to 3F are reserved, 80 and above are proprietary. A class the card does not know does nothing at all.
"""

import pytest

from tests.card.bench import PIN_1234, cps_items, powered, vitale_items

KNOWN_OF_CPS = {0x00, 0x10, 0xA0}
KNOWN_OF_VITALE = {0x00, 0x10}
FOREIGN = [cla for cla in range(256) if cla & 0xE0 == 0x20 or (cla >= 0x80 and cla != 0xA0)]


@pytest.mark.parametrize("cla", ["FF", "20", "3F", "80", "90", "B0", "C0", "E0", "FE"])
def test_k12_reserved_classes(cla):
    """CLA FF (kept for PPS), reserved and foreign classes: 6E00, nothing happens."""
    card = powered(cps_items()).contact()
    assert card.sw(cla + "20000108", PIN_1234) == 0x6E00
    assert card.sw("00200001") == 0x63C3
    assert card.verify() == 0x9000


def test_k12_every_class_with_every_instruction_that_matters():
    """256 classes: only those of the card carry a command out; the others change nothing."""
    card = powered(cps_items()).contact()
    for cla in range(256):
        if cla in KNOWN_OF_CPS:
            continue
        for rest in ("20000108" + PIN_1234.hex(), "D687000141", "A4000C023F00", "B0870001", "C0000000"):
            assert card.sw(bytes((cla,)), rest) in (0x6E00, 0x6881, 0x6882)
        assert card.sw("00200001") == 0x63C3
        assert card.ok("00B0870001") == b"\0"
    assert card.verify() == 0x9000


@pytest.mark.parametrize("cla", FOREIGN)
def test_k12_the_vitale_knows_one_class(cla):
    """Reserved and proprietary classes, A0 included, are foreign to a Vitale: 6E00 (twin: class 00)."""
    card = powered(vitale_items())
    for number in (cla, 0xA0):
        assert card.sw(bytes((number,)), "A4000C023F00") == 0x6E00
    assert card.sw("00A4000C023F00") == 0x9000


@pytest.mark.parametrize("pps", ["FF1013FC", "FF00FF", "FF1113FD", "FF10", "FF", "FF7013000000FC"])
def test_k12_a_pps_request_is_no_command(pps):
    """A PPS that reaches the card as a command is refused and ends what was going on."""
    for card in (powered(cps_items()), powered(vitale_items())):
        assert card.sw(pps) in (0x6E00, 0x6700)
        assert card.sw("00A4000C023F00") == 0x9000


def test_k12_the_second_face_takes_its_class_only():
    """Class A0 does not open the first face's commands: VERIFY, UPDATE, keys are 6D00 there, 00 is 6E00."""
    card = powered(cps_items())
    for ins in range(256):
        if ins not in (0xA4, 0xB0, 0xC0):
            assert card.sw("A0", bytes((ins, 0, 1, 8)), PIN_1234) == 0x6D00
    assert card.sw("00200001") == 0x6E00
    card.contact()
    assert card.sw("00200001") == 0x63C3
    assert card.verify() == 0x9000


@pytest.mark.parametrize("ins", [ins for ins in range(256) if ins & 0xF0 in (0x60, 0x90)])
def test_k12_instructions_that_are_procedure_bytes(ins):
    """INS 6X and 9X cannot exist (ISO 7816-3:2006, 12.2.1): 6D00 on both cards, in both cases of length."""
    for card in (powered(cps_items()), powered(vitale_items())):
        assert card.sw("00", bytes((ins, 0, 0))) == 0x6D00
        assert card.sw("00", bytes((ins, 0, 0, 0))) == 0x6D00
        assert card.sw("00A4000C023F00") == 0x9000
