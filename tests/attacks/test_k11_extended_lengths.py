"""K11: extended lengths up to 65,535. ISO 7816-3:2006, 12.1.3; ISO 7816-4:2005, 5.1.

Lengths are claims: a card with short lengths refuses extended ones, a card with extended ones keeps to what
it advertises (2,048 here), and Lc or Le never make it read, keep or answer more than there is.
"""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.card.bench import cps_items, powered, vitale_items


@pytest.fixture
def card():
    return powered(cps_items()).contact()


@pytest.mark.parametrize(
    "raw",
    [
        bytes.fromhex("00D6870000FFFF") + bytes(65535),
        bytes.fromhex("002A808600FFFF") + bytes(65535) + b"\0\0",
        bytes.fromhex("002000010 0FFFF".replace(" ", "")) + bytes(65535),
        bytes.fromhex("102A808600FFFF") + bytes(65535),
        bytes.fromhex("00D687000000"),
        bytes.fromhex("00D68700000801") + bytes(2049),
        bytes.fromhex("00D687000000010000"),
        bytes.fromhex("00D6870000FFFF") + bytes(65534),
        bytes.fromhex("00D6870000FFFF") + bytes(65536),
        bytes.fromhex("00D6870000000000"),
    ],
    ids=range(10),
)
def test_k11_extended_lengths_are_bounded(card, raw):
    """65 535 bytes, lengths of zero, lengths that lie: 6700; a Le of 65 536 gives the file alone (twin)."""
    assert card.sw(raw) == 0x6700
    card.ok("00A4020C02A001")
    assert len(card.ok("00B00000000000")) == 1280
    assert powered(vitale_items()).sw(raw) == 0x6700


def test_k11_a_card_with_short_lengths_knows_no_others():
    """The Vitale answers 6700 to every extended form, the smallest too; the short twin works."""
    card = powered(vitale_items())
    for raw in ("00B08200000008", "00A4000C0000023F00", "00A4000C0000023F000000", "00B0820000FFFF"):
        assert card.sw(raw) == 0x6700
    assert card.ok("00B0820008") == b"identity"


@pytest.mark.parametrize("length", [1, 255, 256, 257, 1279, 1280, 1281, 2048, 2049, 65535, 0])
def test_k11_le_never_gives_more_than_the_file(card, length):
    """Every Le: never more bytes than asked, than the file has, or than the card advertises."""
    card.ok("00A4020C02A001")
    data, sw = card.send("00B0000000", length.to_bytes(2, "big"))
    assert len(data) <= min(length or 65536, 1280)
    assert data == (bytes(range(256)) * 5)[: len(data)]
    assert sw in (0x9000, 0x6282)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 2047, 2048])
def test_k11_extended_data_up_to_the_advertised_size(card, size):
    """Twin: up to 2,048 bytes of data reach the command whole; 2,049 do not."""
    card.verify()
    card.ok("002241AA03800140")
    field = bytes.fromhex("900080") + (bytes((0x82,)) + max(0, size - 6).to_bytes(2, "big")) + bytes(size)
    if size >= 6:
        exact = field[:size]
        assert card.sw("002A90A000", len(exact).to_bytes(2, "big"), exact) == 0x9000
    assert card.sw("002A90A000", (2049).to_bytes(2, "big"), bytes(2049)) == 0x6700


def test_k11_a_storm_of_long_commands_leaves_nothing_behind(card):
    """Three hundred commands of 64 KiB: the card holds no more afterwards (1 MB at most)."""
    raw = bytes.fromhex("00D6870000FFFF") + bytes(65535)
    tracemalloc.start()
    for _ in range(300):
        assert card.sw(raw) == 0x6700
    held, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1_000_000
    card.ok("00B0870001")


@settings(max_examples=200, deadline=None)
@given(
    head=st.sampled_from(
        ["00B08700", "00D68700", "002A9E9A", "00200001", "00CB3FFF", "A0B00000", "102A8086"]
    ),
    lc=st.integers(0, 65535),
    there=st.integers(0, 3000),
    tail=st.binary(max_size=3),
)
def test_k11_lengths_that_lie(head, lc, there, tail):
    """Any extended Lc with any number of bytes behind it: a status word, never more than 2,049 bytes."""
    card = powered(cps_items()).contact()
    data, _sw = card.send(head + "00", lc.to_bytes(2, "big"), bytes(there), tail)
    assert len(data) <= 2049
    card.contact().ok("00B0870001")
