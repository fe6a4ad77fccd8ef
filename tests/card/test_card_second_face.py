"""The CPS2ter face: class A0, its own status words, the shared PIN (facts 4.3)."""

import pytest

from tests.card.bench import AID_CONTACT, AID_MF, PIN_9999, cps_items, powered

DF_BILLING = "A0A40000027F01"


@pytest.fixture
def cps():
    return powered(cps_items())


def test_select_answers_9fxx_then_a0_c0(cps):
    """9F07, then 85 05 size FID type for MF, DF and EF."""
    answers = []
    for command in ("A0A40000023F00", DF_BILLING, "A0A40000024000"):
        assert cps.sw(command) == 0x9F07
        answers.append(cps.ok("A0C0000007").hex().upper())
    assert answers == ["850500003F0001", "850500007F0102", "85050007400004"]


def test_the_answer_waits_for_one_command_only(cps):
    """Another command, also of the other face, loses it; asking for too much is 6700."""
    cps.sw("A0A40000023F00")
    assert cps.sw("A0C0000008") == 0x6700
    cps.sw("A0A40000023F00")
    assert cps.sw("A0B0000001") == 0x9408
    assert cps.sw("A0C0000007") == 0x6F00


def test_pin_is_shared(cps):
    """9804 before VERIFY with CLA 00, the content afterwards, 9804 again after reset."""
    cps.sw("A0A40000024010")
    assert cps.sw("A0B000000C") == 0x9804
    cps.ok("00A4040C0D", AID_CONTACT)
    assert cps.verify(PIN_9999) == 0x63C2
    assert cps.verify() == 0x9000
    assert cps.sw("A0A40000024010") == 0x9F07
    assert cps.ok("A0B000000C") == b"activity one"
    assert cps.ok("A0B0000903") == b"one"
    cps.card.power_on()
    cps.sw("A0A40000024010")
    assert cps.sw("A0B000000C") == 0x9804


def test_errors(cps):
    """9404 not found, 9408 wrong type, 9402 bad address, 6B00, 6700, 6D00."""
    assert cps.sw("A0A4000002DEAD") == 0x9404
    assert cps.sw("A0A40000024000") == 0x9404
    assert cps.sw("A0A40000022F02") == 0x9F07
    assert cps.ok("A0B0000004") == b"free"
    assert cps.sw("A0B0000005") == 0x9402
    assert cps.sw("A0B0100001") == 0x9402
    assert cps.sw("A0A40400022F02") == 0x6B00
    assert cps.sw("A0A40000012F") == 0x6700
    assert cps.sw("A0100000") == 0x6D00


def test_the_face_stays_until_select_by_name(cps):
    """CLA 00 gives 6E00 until SELECT by AID; a refused one does not leave the face (facts 1.2 rule 8)."""
    cps.sw("A0A40000023F00")
    assert cps.sw("00A40004023F00") == 0x6E00
    assert cps.sw("00200001") == 0x6E00
    assert cps.sw("00A4040C05A000000308") == 0x6A82
    assert cps.sw("00200001") == 0x6E00
    cps.ok("00A4040C08", AID_MF)
    cps.ok("00A40004023F0000")
    assert cps.sw("00200001") == 0x63C3


def test_files_beside_and_above_are_found(cps):
    """From 7F01: its own child, the DF itself, files of its parent."""
    cps.sw(DF_BILLING)
    assert cps.sw("A0A40000024000") == 0x9F07
    assert cps.sw(DF_BILLING) == 0x9F07
    assert cps.sw("A0A40000024010") == 0x9F07


def test_a_card_without_second_face():
    """An image without the tree answers 6E00 to the class, and its IAS face works."""
    items = {key: value for key, value in cps_items().items() if not key.startswith("2ter")}
    host = powered(items)
    assert host.sw("A0A40000023F00") == 0x6E00
    host.ok("00A4000C023F00")
