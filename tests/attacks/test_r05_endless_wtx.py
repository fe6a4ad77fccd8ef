"""R5 on the wire: a card that asks a byte-level host for more time, for ever.

ISO/IEC 7816-3:2006, 10.3.3 (NULL restarts the waiting time) and 11.6.2.3 (S(WTX)). Each request is granted,
the whole command has an end; a slow card that answers at last is waited for (twin).
"""

import pytest

from card.iso7816.t1block import S_RESPONSE, S_WTX, Codec
from reader.serial.phoenix import BUDGET, LATENCY
from tests.reader.byte_cards import T1_DEFAULT
from tests.reader.phoenix_lines import listening

READ = bytes.fromhex("00B0000004")
CODEC = Codec()


class Trickle:
    """The same bytes again and again, so many seconds apart."""

    def __init__(self, line, said, every):
        self.line, self.said, self.every = line, said, every

    def receive(self, seconds):
        if self.line.waiting:
            said, self.line.waiting = self.line.waiting, b""
            return said
        self.line.clock.now += min(self.every, seconds)
        return self.said if self.every <= seconds else b""


@pytest.mark.parametrize("every", [0.001, 0.3, 0.9, 1.4])
def test_r05_nulls_for_ever(every):
    """A NULL just in time, again and again: over within the budget, whatever the distance."""
    held, line = listening(b"\x3b\0")
    held.power_on()
    line.receive = Trickle(line, b"\x60", every).receive
    begun = line.clock.now
    with pytest.raises(OSError, match=r"without end|in time|mute"):
        held.transmit(READ)
    assert line.clock.now - begun <= BUDGET + 2


@pytest.mark.parametrize("multiple", [1, 10, 255])
def test_r05_wtx_for_ever(multiple):
    """S(WTX) to every block: granted a bounded number of times, then the card is given up."""
    asked = CODEC.encode(S_WTX, bytes((multiple,)))
    held, line = listening(T1_DEFAULT, CODEC.encode(0xE1, b"\xfe"), *[asked] * 10_000)
    held.power_on()
    with pytest.raises(OSError, match="without end"):
        held.transmit(READ)
    assert line.sent[2:] == [CODEC.encode(S_WTX | S_RESPONSE, bytes((multiple,)))] * (len(line.sent) - 2)
    assert len(line.sent) <= 105


def test_r05_wtx_and_then_nothing():
    """A long extension and then silence: what was granted is waited for, but not beyond the budget."""
    held, line = listening(T1_DEFAULT, CODEC.encode(0xE1, b"\xfe"), CODEC.encode(S_WTX, b"\xff"))
    held.power_on()
    begun = line.clock.now
    with pytest.raises(OSError, match="in time"):
        held.transmit(READ)
    assert line.clock.now - begun <= BUDGET + LATENCY


def test_r05_twin_a_slow_card_is_waited_for():
    """Twin: half a minute of NULLs, or ten extensions, and then the answer."""
    held, _line = listening(b"\x3b\0", b"\x60" * 100 + b"\xb0DATA\x90\0")
    held.power_on()
    assert held.transmit(READ) == b"DATA\x90\0"
    asked = [CODEC.encode(S_WTX, b"\x02")] * 10
    held, _line = listening(T1_DEFAULT, CODEC.encode(0xE1, b"\xfe"), *asked, CODEC.encode(0, b"DATA\x90\0"))
    held.power_on()
    assert held.transmit(READ) == b"DATA\x90\0"
