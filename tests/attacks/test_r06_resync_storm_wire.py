"""R6 on the wire: a card that makes a byte-level host start afresh again and again.

ISO/IEC 7816-3:2006, 11.6.3.2 rules 6 and 7. A bounded number of blocks, one clear error, no command twice; a
card that needs one fresh start gets it (twin).
"""

import pytest

from card.iso7816.t1block import S_RESPONSE, S_RESYNCH, Codec
from reader.serial.phoenix import BUDGET
from tests.reader.byte_cards import T1_DEFAULT
from tests.reader.phoenix_lines import listening

READ = bytes.fromhex("00B0000004")
CODEC = Codec()
AGREED, GRANTED = CODEC.encode(0xE1, b"\xfe"), CODEC.encode(S_RESYNCH | S_RESPONSE)
ASK_AGAIN, ASK_RESYNCH, NO_BLOCK = CODEC.encode(0x82), CODEC.encode(S_RESYNCH), CODEC.encode(0x55)


@pytest.mark.parametrize("said", [ASK_AGAIN, ASK_RESYNCH, GRANTED, NO_BLOCK, AGREED, b"\0\0", b""])
def test_r06_the_same_to_everything(said):
    """R-blocks, requests of a host, unasked responses, half blocks or silence: given up in time."""
    held, line = listening(T1_DEFAULT, AGREED, *[said] * 5000)
    held.power_on()
    begun = line.clock.now
    with pytest.raises(OSError, match=r"."):
        held.transmit(READ)
    assert len(line.sent) <= 40
    assert line.clock.now - begun <= BUDGET + 2


def test_r06_granted_every_time_and_nothing_else():
    """Each RESYNCH is granted, no command is ever answered: it is sent once, for it may have run."""
    held, line = listening(T1_DEFAULT, AGREED, *[b""] * 4, GRANTED, *[b""] * 50)
    held.power_on()
    with pytest.raises(OSError, match="may have carried out"):
        held.transmit(READ)
    assert line.sent.count(CODEC.encode(0, READ)) == 1


def test_r06_twin_one_fresh_start_helps():
    """Twin: a card that was confused about S(IFS) is resynchronised and answers."""
    held, line = listening(T1_DEFAULT, *[NO_BLOCK] * 4, GRANTED, CODEC.encode(0, b"DATA\x90\0"))
    held.power_on()
    assert held.transmit(READ) == b"DATA\x90\0"
    assert line.sent.count(CODEC.encode(0, READ)) == 1
