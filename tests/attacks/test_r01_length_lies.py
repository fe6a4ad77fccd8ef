"""R1: dwLength lies. CCID 1.10, 6 (dwLength); CVE-2010-4530 (libccid believed a crafted length).

A length is a claim of the other end: the emulated reader refuses a message whose length is another, the host
gives up a reader that announces more than a message may have; nobody waits for, or makes, a gigabyte.
"""

import struct

import pytest

from card.iso7816.contacts import TpduLink
from reader.ccid.device import CcidDevice
from reader.ccid.frames import MAX_DATA, Answer, Command, Error, Type, power_on, transfer
from reader.ccid.host import Answered, Broken, CcidHost
from reader.serial.gempc import NAK_FRAME, VARIANTS, GemPcDevice, framed
from tests.reader.byte_cards import EchoCard
from tests.reader.host_bench import emulated

READ = bytes.fromhex("00B0000004")
LENGTHS = [0, 1, 4, 6, 255, MAX_DATA, MAX_DATA + 1, 0x7FFFFFFF, 0x80000000, 1 << 30, 0xFFFFFFFF]


def lying(message: bytes, length: int) -> bytes:
    return message[:1] + struct.pack("<I", length) + message[5:]


@pytest.fixture
def device():
    made = CcidDevice(2)
    made.insert(0, TpduLink(EchoCard()))
    made.feed(power_on(0, 0).to_bytes())
    return made


def answer(events) -> Answer:
    (sent,) = events
    return Answer.parse(sent.data)


@pytest.mark.parametrize("length", LENGTHS)
def test_r01_the_reader_believes_its_eyes(device, length):
    """A message with another dwLength than its data: refused with bError 01, the card hears nothing of it."""
    message = transfer(0, 7, READ).to_bytes()
    refused = answer(device.feed(lying(message, length)))
    assert (refused.failed, refused.error, refused.seq) == (True, Error.BAD_LENGTH, 7)
    assert device._slots[0].link.contacts._card.log == []
    assert answer(device.feed(message)).data == bytes.fromhex("030A1118") + b"\x90\x00"


def test_r01_every_message_cut_anywhere(device):
    """Each kind of message, cut at each byte: a refusal or nothing, never an answer of the card."""
    for kind in Type:
        whole = Command(kind, 0, 3, b"\0\0\0", READ).to_bytes()
        for size in range(len(whole)):
            for event in device.feed(whole[:size]):
                assert Answer.parse(event.data).error == Error.BAD_LENGTH
    assert not answer(device.feed(transfer(0, 7, READ).to_bytes())).failed


@pytest.mark.parametrize("length", [MAX_DATA + 1, 1 << 30, 0xFFFFFFFF])
def test_r01_a_frame_that_claims_a_gigabyte_ends_at_once(length):
    """On the serial line: NAK as soon as the claim is seen, nothing is kept, the next frame is understood."""
    line = GemPcDevice(VARIANTS["gemcoresimpro2"])
    line.insert(0, TpduLink(EchoCard()))
    message = lying(transfer(0, 0, READ).to_bytes(), length)
    said = b"".join(event.data for event in line.feed(b"\x03\x06" + message))
    assert said == NAK_FRAME
    assert not line.is_partial
    _power, sent = line.feed(framed(power_on(0, 1).to_bytes()))
    assert Answer.parse(sent.data[2:-1]).data == b"\x3b\x00"


@pytest.mark.parametrize("length", [1, 100, MAX_DATA])
def test_r01_a_frame_that_claims_too_much_is_given_up(length):
    """A claim within bounds is waited for until the line is quiet: then NAK, and the next frame counts."""
    line = GemPcDevice(VARIANTS["gemcoresimpro2"])
    line.insert(0, TpduLink(EchoCard()))
    frame = b"\x03\x06" + lying(Command(Type.GET_SLOT_STATUS, 0, 0).to_bytes(), length)
    assert line.feed(frame) == []
    assert [event.data for event in line.silence()] == [NAK_FRAME]
    _power, sent = line.feed(framed(power_on(0, 1).to_bytes()))
    assert not Answer.parse(sent.data[2:-1]).failed


@pytest.mark.parametrize("length", [MAX_DATA + 1, 1 << 30, 0xFFFFFFFF])
def test_r01_the_host_gives_a_lying_reader_up(length):
    """An answer that claims a gigabyte breaks the conversation at its header; nothing more is kept."""
    host = CcidHost()
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
    said = Answer(Type.DATA_BLOCK, 0, 0, data=b"\x90\x00").to_bytes()
    events = host.feed(lying(said, length))
    assert [type(event) for event in events] == [Broken]
    assert host.feed(bytes(100_000)) == []
    assert not host._buffer
    host.resynchronise()
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
    said = Answer(Type.DATA_BLOCK, 0, 1, data=b"\x90\x00").to_bytes()
    assert [type(event) for event in host.feed(said)] == [Answered]


def test_r01_a_reader_that_says_less_than_it_claims():
    """A message shorter or longer than its dwLength, given as a whole: the host does not take it."""
    for length in (0, 1, 3, 200):
        host = CcidHost()
        host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
        said = lying(Answer(Type.DATA_BLOCK, 0, 0, data=b"\x90\x00").to_bytes(), length)
        assert isinstance(host.message(said), Broken)


def test_r01_twin_honest_lengths_all_pass():
    """Twin: every length a command can have goes through an honest line, and its answer comes back."""
    stream = emulated("gempctwin", EchoCard())
    host_device = stream.device
    host_device.feed(framed(power_on(0, 0).to_bytes()))
    for size in (1, 2, 100, 254, 255):
        command = b"\0\xd6\0\0" + bytes((size,)) + bytes(size)
        (sent,) = host_device.feed(framed(transfer(0, 1, command).to_bytes()))
        assert sent.data.endswith(framed(Answer(Type.DATA_BLOCK, 0, 1, data=b"\x90\x00").to_bytes()))
