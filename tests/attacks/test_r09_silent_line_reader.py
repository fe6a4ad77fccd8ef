"""R9 at a reader: a line that falls silent: nothing, half a frame, half a block, a byte every nine seconds.

CCID 1.10 over a serial line; promise B5. Every wait has an end by the tests' own clock; afterwards the line
works again, and nothing of the half-said is taken for something else.
"""

import pytest

from card.iso7816.apdu import CommandAPDU
from card.iso7816.contacts import CardContacts, TpduLink
from card.iso7816.t1host import T1Host
from reader.ccid.frames import Answer, Type, power_on, transfer
from reader.errors import CardMute, SlotTaken
from reader.serial.gempc import NAK_FRAME, VARIANTS, GemPcDevice, framed
from reader.serial.gempc_line import GemPcLine
from reader.slot import Slot
from tests.card.bench import PIN_1234, cps_items, powered
from tests.reader.byte_cards import EchoCard
from tests.reader.host_bench import HostileStream

READ = bytes.fromhex("00B0000004")


def line_to(script) -> tuple[GemPcLine, HostileStream]:
    stream = HostileStream(script)
    line = GemPcLine(stream.connect, VARIANTS["gemcoresimpro2"], stream.clock)
    line._greet = lambda _stream: None
    return line, stream


def answer(frame: bytes) -> bytes:
    return framed(Answer(Type.DATA_BLOCK, frame[7], frame[8], data=b"DATA\x90\x00").to_bytes())


@pytest.mark.parametrize("size", range(0, 19, 3))
def test_r09_an_answer_that_stops_anywhere(size):
    """The reader stops after `size` bytes of its answer: OSError in time; the next exchange works (twin)."""
    line, stream = line_to(lambda frame: [(0.1, answer(frame)[:size])])
    with pytest.raises(OSError):
        line.ask(0, Type.XFR_BLOCK, b"\0\0\0", READ, 20.0)
    assert stream.now <= 21.0
    stream.script = lambda frame: [(0.1, answer(frame))]
    assert line.ask(0, Type.XFR_BLOCK, b"\0\0\0", READ, 20.0).data == b"DATA\x90\x00"


@pytest.mark.parametrize("every", [0.6, 3.0, 4.9, 9.0])
def test_r09_a_byte_now_and_then(every):
    """A byte every so many seconds, for ever: released when the exchange's own time is over."""
    line, stream = line_to(lambda frame: [(every, bytes((byte,))) for byte in answer(frame) * 50])
    with pytest.raises(OSError):
        line.ask(0, Type.XFR_BLOCK, b"\0\0\0", READ, 10.0)
    assert stream.now <= 11.0


@pytest.mark.parametrize("size", [1, 2, 3, 7, 12, 15])
def test_r09_half_a_frame_of_the_host(size):
    """The emulated reader: half a frame, then quiet: NAK, and the frame after it is understood (twin)."""
    line = GemPcDevice(VARIANTS["gempctwin"])
    line.insert(0, TpduLink(EchoCard()))
    line.feed(framed(power_on(0, 0).to_bytes()))
    frame = framed(transfer(0, 5, READ).to_bytes())
    assert line.feed(frame[:size]) == []
    assert [event.data for event in line.silence()] == [NAK_FRAME]
    assert line.silence() == []
    assert line.feed(frame)[-1].data[-3:-1] == b"\x90\x00"


@pytest.mark.parametrize("size", range(1, 13))
def test_r09_half_a_pin_command_spends_no_try(size):
    """T=0: the host stops in the middle of VERIFY: after the silence our card starts afresh."""
    contacts = CardContacts(powered(cps_items()).card)
    contacts.reset()
    verify = b"\0\x20\0\1\x08" + PIN_1234
    contacts.feed(verify[:size])
    assert contacts.silence() == b""
    assert contacts.feed(b"\0\x20\0\1\0") == b"\x63\xc3"
    assert contacts.feed(verify)[-2:] == b"\x90\x00"


def test_r09_a_mute_card_of_t1_is_asked_a_few_times():
    """The host's machine: silence to everything ends in a failure after a few blocks."""
    host = T1Host(254)
    sent, asked = host.start(READ), 0
    while sent and asked < 100:
        asked += 1
        sent = host.timeout()
    assert host.failure
    assert asked <= 15


class OneAnswer(EchoCard):
    """Answers one command and then nothing any more."""

    def transmit(self, apdu: bytes) -> bytes:
        if self.log:
            raise TimeoutError
        return super().transmit(apdu)


def test_r09_a_card_that_falls_silent_ends_its_session():
    """A slot: CardMute, then SlotTaken for the old session; a new connection resets the card (twin)."""
    slot, card = Slot("CPS"), OneAnswer()
    slot.insert(card)
    connection = slot.connect()
    read = CommandAPDU(0, 0xB0, 0, 0, b"", 4)
    assert connection.transmit(read).sw == 0x9000
    with pytest.raises(CardMute, match="CPS slot does not answer"):
        connection.transmit(read)
    with pytest.raises(SlotTaken):
        connection.transmit(read)
    card.log.clear()
    assert slot.connect().transmit(read).sw == 0x9000
