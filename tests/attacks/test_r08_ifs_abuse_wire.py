"""R8 on the wire: impossible and tiny information field sizes in ATR and S(IFS), and blocks beyond them.

ISO/IEC 7816-3:2006, 11.4.2. The host sends no more than the card takes and takes no more than it said.
"""

import pytest

from card.iso7816.t1 import DEFAULT_IFS
from card.iso7816.t1block import S_IFS, S_RESPONSE, Codec
from reader.serial.phoenix import BUDGET
from tests.reader.byte_cards import T1_DEFAULT, EchoCard, pattern, with_tck
from tests.reader.phoenix_lines import listening, phoenix

UPDATE = b"\0\x88\0\0\xff" + pattern(255) + b"\0"
CODEC = Codec()
AGREED = CODEC.encode(0xE1, b"\xfe")


@pytest.mark.parametrize(("ta3", "size"), [(0, DEFAULT_IFS), (255, DEFAULT_IFS), (1, 1), (254, 254)])
def test_r08_sizes_in_the_atr(ta3, size):
    """IFSC 0 and 255 are none: 32 is used; 1 is slow and works; no block is longer than the card takes."""
    held, line = phoenix(EchoCard(with_tck(f"3B808111{ta3:02X}")))
    sent, send = [], line.send
    line.send = lambda data: (sent.append(data), send(data))
    held.power_on()
    assert held.transmit(UPDATE) == pattern(255) + b"\x90\0"
    assert max(block[2] for block in sent[1:]) == min(size, len(UPDATE))


@pytest.mark.parametrize("size", [0, 255])
def test_r08_sizes_that_are_none(size):
    """S(IFS request) of 0 or 255: never granted, the card is given up in time."""
    held, line = listening(T1_DEFAULT, AGREED, *[CODEC.encode(S_IFS, bytes((size,)))] * 500)
    held.power_on()
    with pytest.raises(OSError, match=r"."):
        held.transmit(UPDATE)
    assert CODEC.encode(S_IFS | S_RESPONSE, bytes((size,))) not in line.sent


def test_r08_a_storm_of_sizes():
    """S(IFS request) for ever: granted a bounded number of times, then given up."""
    held, line = listening(T1_DEFAULT, AGREED, *[CODEC.encode(S_IFS, b"\x20")] * 5000)
    held.power_on()
    begun = line.clock.now
    with pytest.raises(OSError, match="without end"):
        held.transmit(UPDATE)
    assert len(line.sent) < 110
    assert line.clock.now - begun <= BUDGET


def test_r08_a_block_longer_than_agreed():
    """A card that never answered S(IFS) sends 200 bytes at once: not taken, asked again; 32 are (twin)."""
    silent = [b""] * 4
    granted = CODEC.encode(0xE0)
    long, short = CODEC.encode(0, bytes(198) + b"\x90\0"), CODEC.encode(0, bytes(30) + b"\x90\0")
    held, line = listening(T1_DEFAULT, *silent, granted, long, short)
    held.power_on()
    assert held.transmit(b"\0\xb0\0\0\0") == bytes(30) + b"\x90\0"
    assert line.sent[-1] == CODEC.encode(0x82)


def test_r08_twin_a_larger_size_is_used():
    """Twin: a card that asks for 254 gets the whole command in one block from then on."""
    held, line = listening(
        T1_DEFAULT, AGREED, CODEC.encode(S_IFS, b"\xfe"), CODEC.encode(0x90), CODEC.encode(0, b"\x90\0")
    )
    held.power_on()
    assert held.transmit(UPDATE) == b"\x90\0"
    assert [block[2] for block in line.sent] == [1, 32, 1, 229]
