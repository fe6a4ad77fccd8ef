"""K6: reading and writing beyond the end of a file. ISO 7816-4:2005, 7.2.2 to 7.2.5.

Offsets in P1-P2, in the object 54 of odd instructions (three bytes may wrap a 16-bit counter), short file
identifiers with an offset in P2, and record numbers: neither this file nor its neighbour shows or moves.
"""

import pytest

from tests.card.bench import cps_items, powered, vitale_items

SIZE = 64  # of file D107, short identifier 7


def snapshot(card):
    memory = card.card.memory
    return {key: memory.get(key) for key in memory.keys("")}


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00B0874000", 0x6B00),
        ("00B087FF00", 0x6B00),
        ("00B07FFF00", 0x6B00),
        ("00B0004001", 0x6B00),
        ("00D6874001AA", 0x6B00),
        ("00D6873F02AABB", 0x6A84),
        ("00D67FFF01AA", 0x6B00),
        ("00B1D107055403FFFFFF00", 0x6B00),
        ("00B1D107055403010000" + "00", 0x6B00),
        ("00B1D107055403" + "00FFFF" + "00", 0x6B00),
        ("00B1D107065404FFFFFFFF00", 0x6B00),
        ("00B1D10706540400000000" + "00", 0x6B00),
        ("00D7D10708540200405302AABB", 0x6B00),
        ("00D7D107085402003F5302AABB", 0x6A84),
        ("00D7D107095403010000" + "5302AABB", 0x6B00),
        ("00D7D1070D5408" + "FFFFFFFFFFFFFFFF" + "5301AA", 0x6B00),
        ("00D7D107045302AABB", 0x6A80),
        ("00D7D10706540200005300", 0x6A80),
        ("00B087003F", 0x9000),
    ],
)
def test_k06_nothing_beyond_the_end_of_a_file(command, sw):
    """Offsets beyond the end and wrapping short offsets; nothing of the card moves."""
    card = powered(cps_items()).contact()
    before = snapshot(card)
    card.ok("00A4020C02D107")
    assert card.sw(command) == sw
    assert snapshot(card) == before


def test_k06_every_offset_of_a_short_read():
    """Every offset in P2 × every Le: exactly the bytes that are there, 6282 when they end, 6B00 beyond."""
    card = powered(cps_items()).contact()
    content = bytes(range(SIZE))
    card.ok("00D68700", bytes((SIZE,)), content)
    for offset in range(256):
        for ne in (1, 2, SIZE, 65, 255, 0):
            data, sw = card.send("00B087", bytes((offset, ne)))
            left = max(0, SIZE - offset)
            if not left:
                assert (data, sw) == (b"", 0x6B00)
            elif sw >> 8 == 0x6C:
                assert (data, sw & 0xFF) == (b"", left)
            else:
                assert data == content[offset : offset + (ne or 256)]
                assert sw == (0x9000 if ne in (0, len(data)) else 0x6282)


def test_k06_every_place_a_write_can_start():
    """Writes of 1 to 65 bytes at every offset 0 to 255: inside they are kept, else nothing changes."""
    card = powered(cps_items()).contact()
    content = bytearray(SIZE)
    for offset in range(0, 256, 3):
        for length in (1, 2, 31, SIZE, 65):
            before = snapshot(card)
            sw = card.sw("00D687", bytes((offset, length)), bytes((offset ^ length,)) * length)
            if offset + length <= SIZE:
                assert sw == 0x9000
                content[offset : offset + length] = bytes((offset ^ length,)) * length
                assert card.ok("00B0870000") == bytes(content)
            else:
                assert sw == (0x6B00 if offset >= SIZE else 0x6A84)
                assert snapshot(card) == before


@pytest.mark.parametrize("record", [0, 3, 4, 254, 255])
def test_k06_no_record_beyond_the_last(record):
    """Records that are not there: 6A83 for READ and UPDATE; another size: 6700 (twin: record 2)."""
    card = powered(cps_items()).contact()
    before = snapshot(card)
    assert card.sw("00B2", bytes((record, 0x14)), "00") == 0x6A83
    assert card.sw("00DC", bytes((record, 0x14)), "0A", b"Z" * 10) == 0x6A83
    assert card.sw("00DC02140B", b"Z" * 11) == 0x6700
    assert card.sw("00DC021409", b"Z" * 9) == 0x6700
    assert snapshot(card) == before
    assert card.ok("00B2021400") == b"B" * 10


def test_k06_a_full_file_takes_no_more_records():
    """APPEND to a full linear file gives 6A84; a cyclic one turns and never grows (twin)."""
    card = powered(cps_items()).contact()
    assert [card.sw("00E200100A", b"C" * 10) for _ in range(4)] == [0x9000, 0x9000, 0x6A84, 0x6A84]
    for number in range(9):
        card.ok("00E200180A", b"%d" % number * 10)
    assert card.ok("00B2011D00") == b"8" * 10 + b"7" * 10 + b"6" * 10
    assert len(card.card.memory.get("ias/3F00/0001/D201#")) == 30


@pytest.mark.parametrize("sfi", [0x1F, 0x10, 0x04, 0x0B])
def test_k06_short_identifiers_that_name_nothing(sfi):
    """A short identifier without a file, or the reserved 31: 6A82, and the current file does not change."""
    for card in (powered(cps_items()).contact(), powered(vitale_items())):
        before = card.sw("00B0000000")
        assert card.sw("00B0", bytes((0x80 | sfi, 0)), "00") == 0x6A82
        assert card.sw("00B0000000") == before
    assert powered(vitale_items()).ok("00B0820000") == b"identity"
