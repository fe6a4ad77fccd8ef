"""READ, UPDATE and APPEND on transparent, linear and cyclic files."""

import pytest

from tests.card.bench import PIN_9999, cps_items, powered


@pytest.fixture
def card():
    return powered(cps_items()).contact()


def test_read_by_offset_and_to_the_end(card):
    """Le 00 gives what is left, an explicit Le beyond the end 6282, an offset outside 6B00."""
    card.ok("00A4020C02A001")
    content = bytes(range(256)) * 5
    assert card.ok("00B0000000") == content[:256]
    assert card.ok("00B0010010") == content[256:272]
    assert card.ok("00B004F000") == content[0x4F0:]
    assert card.send("00B004FF10") == (content[-1:], 0x6282)
    assert card.sw("00B0050000") == 0x6B00
    assert card.sw("00B07FFF00") == 0x6B00


def test_read_by_short_identifier_makes_the_file_current(card):
    """SFI in P1 selects; SFI 0 is the current file; 6A82 for none, 6A86 for reserved bits."""
    assert len(card.ok("00B0870000")) == 64
    assert len(card.ok("00B0800000")) == 64
    assert len(card.ok("00B0000000")) == 64
    assert card.sw("00B0860000") == 0x6A82
    assert card.sw("00B0C70000") == 0x6A86


def test_update_and_read_back(card):
    """UPDATE BINARY writes in place, never beyond the end."""
    card.ok("00D6870403AABBCC")
    assert card.ok("00B0870306") == bytes.fromhex("00AABBCC0000")
    assert card.sw("00D6873E03AABBCC") == 0x6A84
    assert card.sw("00D6874001AA") == 0x6B00
    card.ok("00D6873E02BBCC")
    assert card.ok("00B0873E00") == bytes.fromhex("BBCC")
    assert card.ok("00B0870007")[4:] == bytes.fromhex("AABBCC")


def test_odd_instructions(card):
    """B1 and D7 carry the offset in 54 and the bytes in 53."""
    card.ok("00D7D107095401025304", b"odd!")
    assert card.ok("00B1D1070354010200")[:6] == b"\x53\x3eodd!"
    assert card.ok("00B100070354010208") == b"\x53\x04odd!"
    assert card.sw("00B1D1070354014000") == 0x6B00
    assert card.sw("00B1D1070355010200") == 0x6A80
    assert card.sw("00B1DEAD0354010200") == 0x6A82


def test_update_needs_its_condition(card):
    """A file whose update condition is "never" refuses; its neighbour accepts (positive twin)."""
    card.ok("00A4020C025031")
    assert card.sw("00D6000001AA") == 0x6982
    card.ok("00A4020C02D107")
    card.ok("00D6000001AA")


def test_pin_protected_read(card):
    """6982 before VERIFY, also after a wrong one; the content after the right one."""
    card.ok("00A4020C02D120")
    assert card.sw("00B0000000") == 0x6982
    assert card.verify(PIN_9999) == 0x63C2
    assert card.sw("00B0000000") == 0x6982
    assert card.verify() == 0x9000
    assert card.ok("00B0000000") == b"situation"


def test_no_current_file(card):
    """6986 when nothing is selected, 6981 when the structure does not fit."""
    assert card.sw("00B0000000") == 0x6986
    assert card.sw("00B2010400") == 0x6986
    card.ok("00A4020C02D200")
    assert card.sw("00B0000000") == 0x6981
    card.ok("00A4020C02D107")
    assert card.sw("00B2010400") == 0x6981


def test_linear_records(card):
    """By number, first, last, next, previous, and all from a number on."""
    a, b = b"A" * 10, b"B" * 10
    card.ok("00A4020C02D200")
    assert [card.ok(f"00B200{mode:02X}00") for mode in (0, 1, 3)] == [a, b, a]
    assert card.ok("00B2000200") == b
    assert card.sw("00B2000200") == 0x6A83
    assert card.ok("00B2021400") == b
    assert card.ok("00B2011500") == a + b
    assert card.sw("00B2031400") == 0x6A83
    assert card.sw("00B2011600") == 0x6A86
    assert card.sw("00B2011405") == 0x6C0A
    assert card.sw("00B201F400") == 0x6A82
    assert card.sw("00B201FC00") == 0x6A86


def test_update_and_append_linear(card):
    """UPDATE replaces one record, APPEND adds until the file is full (6A84)."""
    card.ok("00DC02140A", b"x" * 10)
    assert card.ok("00B2021400") == b"x" * 10
    assert card.sw("00DC021409", b"x" * 9) == 0x6700
    card.ok("00E200100A", b"C" * 10)
    card.ok("00E200100A", b"D" * 10)
    assert card.sw("00E200100A", b"E" * 10) == 0x6A84
    assert card.ok("00B2041400") == b"D" * 10
    assert card.sw("00E201100A", b"E" * 10) == 0x6A86


def test_cyclic_turns(card):
    """Record 1 is always the newest; the oldest makes room."""
    for letter in (b"2", b"3", b"4"):
        card.ok("00E200180A", letter * 10)
    assert card.ok("00B2011D00") == b"4" * 10 + b"3" * 10 + b"2" * 10
    card.ok("00DC001B0A", b"5" * 10)
    assert card.ok("00B2011C00") == b"5" * 10
    assert card.sw("00B2041C00") == 0x6A83


def test_questions_that_carry_too_much(card):
    """READ with a data field 6700; an offset object of four bytes 6B00; SFI 31 in an odd instruction 6A82."""
    assert card.sw("00B0870001AA") == 0x6700
    assert card.sw("00B2011401AA") == 0x6700
    assert card.sw("00B1D1070654040000000100") == 0x6B00
    assert card.sw("00B1001F0354010000") == 0x6A82
    assert card.ok("00B1D107055403000000" + "00")[:2] == b"\x53\x40"


def test_a_deactivated_record_file_is_not_read():
    """Records of a deactivated file: 6985; of an active one they are read (twin)."""
    blank = powered(cps_items(operational=False)).contact()
    blank.ok("00B2011400")
    blank.ok("00A4020C02D200")
    blank.ok("00040000")
    assert blank.sw("00B2010400") == 0x6985


def test_contents_outlive_power(card):
    """What was updated is there after reset, and in another card made of the same image."""
    card.ok("00D68700015A")
    card.card.power_off()
    assert card.sw("00B0870001") == 0x6F00
    card.card.power_on()
    card.contact()
    assert card.ok("00B0870001") == b"\x5a"
