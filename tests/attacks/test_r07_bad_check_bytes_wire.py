"""R7 on the wire: wrong TCK, PCK, LRC and CRC, and bytes that come back other than they were sent.

ISO/IEC 7816-3:2006, 8.2.5 (TCK), 9.2 (PCK), 11.4.4 (LRC, CRC). Nothing that fails its check is believed; the
same with the right check is (twin).
"""

import pytest

from card.iso7816.contacts import CardContacts
from card.iso7816.t1block import Codec
from tests.reader.byte_cards import BOTH, T1_CRC, T1_DEFAULT, EchoCard
from tests.reader.phoenix_lines import listening, phoenix

READ = bytes.fromhex("00B0000004")


@pytest.mark.parametrize("atr", [T1_DEFAULT, T1_CRC, BOTH])
def test_r07_tck(atr):
    """An ATR with a wrong TCK is refused by the host; with the right one it is not (twin)."""
    for bit in range(8):
        held, _line = listening(atr[:-1] + bytes((atr[-1] ^ 1 << bit,)))
        with pytest.raises(OSError, match="TCK"):
            held.power_on()
    held, _line = phoenix(EchoCard(atr))
    assert held.power_on() == atr


def test_r07_pck():
    """A wrong PCK: the card is mute and keeps its speed; the host does not believe such a response."""
    right = bytes.fromhex("FF1013FC")
    for bit in range(8):
        wrong = right[:3] + bytes((right[3] ^ 1 << bit,))
        contacts = CardContacts(EchoCard(bytes.fromhex("3B751300004309EA9000")))
        contacts.reset()
        assert contacts.feed(wrong) == b""
        assert contacts.speed == (372, 1)
        assert contacts.feed(right) == right
        held, line = listening(bytes.fromhex("3B751300004309EA9000"), wrong)
        held.power_on()
        assert line.modes[-1] == (9600, False)
    held, line = listening(bytes.fromhex("3B751300004309EA9000"), right)
    held.power_on()
    assert line.modes[-1] == (38_400, False)


@pytest.mark.parametrize(("atr", "use_crc"), [(T1_DEFAULT, False), (T1_CRC, True)])
def test_r07_blocks(atr, use_crc):
    """Every bit of an answer block spoilt once: asked for again, and only the right one is believed."""
    codec = Codec(use_crc=use_crc)
    agreed, answer = codec.encode(0xE1, b"\xfe"), codec.encode(0, b"GOOD\x90\0")
    for at in (1, 3, 7, len(answer) - 1):
        for bit in range(8):
            wrong = answer[:at] + bytes((answer[at] ^ 1 << bit,)) + answer[at + 1 :]
            held, line = listening(atr, agreed, wrong, answer)
            held.power_on()
            assert held.transmit(READ) == b"GOOD\x90\0"
            assert line.sent[-1] == codec.encode(0x81)


def test_r07_the_mirror():
    """A byte that comes back changed ends the command: the card may have heard something else."""
    held, line = listening(b"\x3b\0", b"", echo=False)
    held.power_on()
    for at in range(5):
        back = bytearray(READ)
        back[at] ^= 0x10
        line.after_reset, line.answers = b"\x3b\0", iter([bytes(back) + b"\xb0DATA\x90\0"])
        held.power_on()
        with pytest.raises(OSError, match="came back"):
            held.transmit(READ)
    line.answers = iter([READ + b"\xb0DATA\x90\0"])
    held.power_on()
    assert held.transmit(READ) == b"DATA\x90\0"
