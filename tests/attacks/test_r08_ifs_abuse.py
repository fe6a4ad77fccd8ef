"""R8: abuse of information field sizes. ISO 7816-3:2006, 11.4.2 (IFSC, IFSD) and 11.6.2.3 (S(IFS)).

Sizes are 1 to 254: 0 and 255 are none. A size of one makes commands slow, not endless; a storm of changes
changes nothing else; a block longer than agreed is not taken.
"""

import pytest

from card.iso7816.atr import Atr
from card.iso7816.t1 import DEFAULT_IFS, T1Card, ifsc_of
from card.iso7816.t1block import S_IFS, S_RESPONSE, Codec
from card.iso7816.t1host import MAX_REQUESTS, T1Host
from tests.reader.byte_cards import EchoCard, pattern, run_t1, with_tck
from tests.reader.measures import kept

READ_ALL = bytes.fromhex("00B0000000")


@pytest.mark.parametrize("size", [0, 255])
def test_r08_what_is_no_size_is_refused_by_the_card(size):
    """S(IFS) of 0 and 255, and without or with two bytes: an R-block, and the old size stays in force."""
    card, codec = T1Card(254), Codec()
    for inf in (bytes((size,)), b"", b"\x20\x20"):
        assert card.feed(codec.encode(S_IFS, inf))[1] & 0xC0 == 0x80
    card.feed(codec.encode(0, READ_ALL))
    first = card.answer(pattern(256) + b"\x90\x00")
    assert first[2] == DEFAULT_IFS


@pytest.mark.parametrize("size", [0, 255])
def test_r08_what_is_no_size_is_refused_by_the_host(size):
    """A card that asks the host for such sizes gets an R-block; its honest answer is taken (twin)."""
    host, codec = T1Host(254), Codec()
    host.start(READ_ALL)
    host.feed(codec.encode(0xE1, b"\xfe"))
    assert host.feed(codec.encode(S_IFS, bytes((size,))))[1] & 0xC0 == 0x80
    host.feed(codec.encode(0, b"DATA\x90\x00"))
    assert host.answer == b"DATA\x90\x00"


@pytest.mark.parametrize("ifsc", ["00", "FF"])
def test_r08_an_atr_with_no_size(ifsc):
    """TA3 of 00 or FF is reserved: the host keeps to 32 bytes."""
    assert ifsc_of(Atr.parse(with_tck("3B808131" + ifsc + "45"))) == DEFAULT_IFS


@pytest.mark.parametrize("ifsd", [1, 2, 3, 254])
@pytest.mark.parametrize("ifsc", [1, 2, 254])
def test_r08_the_smallest_sizes_are_slow_and_end(ifsc, ifsd):
    """One byte a block both ways: 256 bytes still come whole, in about as many blocks."""
    blocks: list[int] = []
    card, echo = T1Card(ifsc), EchoCard()

    def counted(data: bytes) -> bytes:
        blocks.append(len(data))
        return data

    host = run_t1(T1Host(ifsc, ifsd=ifsd), card, READ_ALL, echo.transmit, counted)
    assert host.answer == pattern(256) + b"\x90\x00"
    assert len(blocks) <= 5 + 258 + 10


def test_r08_a_storm_of_changes_is_granted_and_forgotten():
    """Ten thousand S(IFS) to the card: each is granted at once, nothing is kept, the last one counts."""
    card, codec = T1Card(254), Codec()
    for number in range(10_000):
        size = bytes((1 + number % 254,))
        assert card.feed(codec.encode(S_IFS, size)) == codec.encode(S_IFS | S_RESPONSE, size)
    assert kept(card) < 1000
    card.feed(codec.encode(S_IFS, b"\x10"))
    card.feed(codec.encode(0, READ_ALL))
    assert card.answer(pattern(256) + b"\x90\x00")[2] == 0x10


def test_r08_a_card_that_only_changes_sizes_is_let_go():
    """The other way: a card that asks for sizes for ever fails after a bounded number."""
    host, codec = T1Host(254), Codec()
    host.start(READ_ALL)
    host.feed(codec.encode(0xE1, b"\xfe"))
    granted = 0
    while not host.failure and granted < 10_000:
        host.feed(codec.encode(S_IFS, b"\x20"))
        granted += 1
    assert granted <= MAX_REQUESTS + 1


def test_r08_a_change_in_the_middle_of_an_answer():
    """Sizes that change between the blocks of one answer: not a byte is lost or doubled."""
    card, codec = T1Card(254), Codec()
    whole = pattern(256) + b"\x90\x00"
    card.feed(codec.encode(0, READ_ALL))
    said, got, number = card.answer(whole), b"", 0
    while True:
        assert (said[1] >> 6 & 1) == number & 1
        got += said[3 : 3 + said[2]]
        if not said[1] & 0x20:
            break
        number += 1
        size = bytes((1 + number * 37 % 254,))
        assert card.feed(codec.encode(S_IFS, size)) == codec.encode(S_IFS | S_RESPONSE, size)
        said = card.feed(codec.encode(0x80 | (number & 1) << 4))
    assert got == whole


def test_r08_longer_blocks_than_agreed_are_not_taken():
    """33 bytes to a card that takes 32: asked again, no command; 32 bytes are taken (twin)."""
    card, codec = T1Card(32), Codec()
    long = b"\0\xd6\0\0\x1c" + bytes(28)
    assert card.feed(codec.encode(0, long))[1] & 0xC0 == 0x80
    assert card.command is None
    card.feed(codec.encode(0, b"\0\xd6\0\0\x1b" + bytes(27)))
    assert card.command is not None


@pytest.mark.parametrize("length", [255])
def test_r08_a_block_of_255_bytes_does_not_exist(length):
    """LEN FF is reserved (11.3.2.3): a whole block with it and a right check byte is refused by both ends."""
    codec = Codec()
    block = bytes((0, 0, length)) + bytes(length)
    for machine in (T1Card(254), T1Host(254)):
        if isinstance(machine, T1Host):
            machine.start(READ_ALL)
            machine.feed(codec.encode(0xE1, b"\xfe"))
            machine.feed(block + b"\xff")
            assert machine.answer is None
        else:
            machine.feed(block + b"\xff")
            assert machine.command is None
