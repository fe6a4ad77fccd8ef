"""R2: wrong bSeq. CCID 1.10, 6 (bSeq): an answer carries the number of its command.

The reader gives every number back as it came, also a repeated one; the host takes no answer but the one with
its own number, and gives up a reader that never gives it.
"""

import pytest

from card.iso7816.contacts import TpduLink
from reader.ccid.device import CcidDevice
from reader.ccid.frames import ANSWERED_BY, Answer, Command, Type, power_on, transfer
from reader.ccid.host import MAX_STRANGE, Answered, Broken, CcidHost, Strange
from tests.reader.byte_cards import EchoCard

READ = bytes.fromhex("00B0000004")


def answers(device: CcidDevice, message: bytes) -> list[Answer]:
    return [Answer.parse(event.data) for event in device.feed(message)]


def test_r02_the_reader_gives_every_number_back():
    """All 256 numbers, in and out of order and repeated: one answer each, with that number and that slot."""
    device = CcidDevice(2)
    for slot in (0, 1):
        device.insert(slot, TpduLink(EchoCard()))
        device.feed(power_on(slot, 0).to_bytes())
    for seq in [*range(256), 7, 7, 3, 255, 0]:
        for slot in (0, 1):
            (said,) = answers(device, transfer(slot, seq, READ).to_bytes())
            assert (said.seq, said.slot, said.failed) == (seq, slot, False)


def test_r02_refusals_carry_the_number_too():
    """Unknown commands, empty slots, wrong lengths: the answer still says which command it is about."""
    device = CcidDevice(1)
    for seq, kind in enumerate((*Type, 0x00, 0x7F, 0xFF)):
        said = answers(device, Command(kind, 0, seq).to_bytes())
        if kind in ANSWERED_BY or kind not in tuple(Type):
            assert [(one.seq, one.slot) for one in said] == [(seq, 0)]


@pytest.mark.parametrize("offset", [1, 2, 127, 128, 254, 255])
def test_r02_the_host_takes_no_other_number(offset):
    """An answer with another number is dropped; the right one is still taken after it (twin)."""
    host = CcidHost()
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
    wrong = Answer(Type.DATA_BLOCK, 0, offset, data=b"WRONG\x90\x00").to_bytes()
    right = Answer(Type.DATA_BLOCK, 0, 0, data=b"RIGHT\x90\x00").to_bytes()
    events = host.feed(wrong + right)
    assert [type(event) for event in events] == [Strange, Answered]
    assert events[1].answer.data == b"RIGHT\x90\x00"


def test_r02_numbers_go_round():
    """Twin: a thousand commands, each answered with its own number: the counter wraps at 256 and goes on."""
    host = CcidHost()
    for number in range(1000):
        sent = host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
        assert sent[6] == number & 0xFF
        (event,) = host.feed(Answer(Type.DATA_BLOCK, 0, sent[6], data=b"\x90\x00").to_bytes())
        assert isinstance(event, Answered)


def test_r02_a_reader_that_never_gives_the_number_is_given_up():
    """A reader that answers everything but the command: Broken after a bounded number, then silence."""
    host = CcidHost()
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
    flood = Answer(Type.DATA_BLOCK, 0, 9, data=b"\x90\x00").to_bytes() * 1000
    events = host.feed(flood)
    assert [type(event) for event in events] == [Strange] * MAX_STRANGE + [Broken]
