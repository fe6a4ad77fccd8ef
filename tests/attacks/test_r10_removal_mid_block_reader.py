"""R10 at a reader: the card is pulled out in the middle of a frame, a chain, a PIN entry, an exchange.

libccid and pcsc-lite: transmit_card_removed; promise B6. The host is told, the other slot goes on, a card put
back is another card, and no PIN, answer or half command crosses from one to the other.
"""

import pytest

from card.iso7816.apdu import CommandAPDU
from card.iso7816.contacts import TpduLink
from reader.ccid.device import CcidDevice
from reader.ccid.events import EntryEnded, Send
from reader.ccid.frames import Answer, Error, Icc, power_on, secure, transfer
from reader.errors import CardRemoved
from reader.pinpad import Digits, Entered, PinEntry
from reader.reader import Reader
from reader.serial.gempc import VARIANTS, GemPcDevice, framed
from tests.card.bench import PIN_1234, cps_items, powered
from tests.reader.byte_cards import EchoCard
from tests.reader.host_bench import emulated, reader_on

READ = bytes.fromhex("00B0000004")
VERIFY = b"\0\x20\0\1\x08" + PIN_1234
ASK_TRIES = b"\0\x20\0\1\0"


def answers(events) -> list[Answer]:
    return [Answer.parse(event.data) for event in events if isinstance(event, Send)]


@pytest.fixture
def device():
    made = CcidDevice(2, pad=True)
    for slot in (0, 1):
        made.insert(slot, TpduLink(powered(cps_items()).card))
        made.feed(power_on(slot, 0).to_bytes())
    return made


def sent(device: CcidDevice, slot: int, command: bytes) -> Answer:
    return answers(device.feed(transfer(slot, 9, command).to_bytes()))[0]


def test_r10_between_two_commands(device):
    """Verified, pulled, put back: absent, without power, then a card that knows of no PIN; slot 1 goes on."""
    assert sent(device, 0, VERIFY).data == b"\x90\x00"
    device.remove(0)
    gone = sent(device, 0, READ)
    assert (gone.icc, gone.error) == (Icc.ABSENT, Error.ICC_MUTE)
    device.insert(0, TpduLink(powered(cps_items()).card))
    cold = sent(device, 0, READ)
    assert (cold.icc, cold.failed) == (Icc.INACTIVE, True)
    device.feed(power_on(0, 4).to_bytes())
    assert sent(device, 0, ASK_TRIES).data == b"\x63\xc3"
    assert sent(device, 1, VERIFY).data == b"\x90\x00"


def test_r10_in_the_middle_of_a_pin_entry(device):
    """The host is told at once; digits typed late go nowhere, neither to the next card nor the other slot."""
    device.feed(secure(0, 7, PinEntry.for_cps().to_ccid()).to_bytes())
    events = device.remove(0)
    (failed,) = answers(events)
    assert (failed.seq, failed.icc, failed.failed) == (7, Icc.ABSENT, True)
    assert any(isinstance(event, EntryEnded) for event in events)
    device.insert(0, TpduLink(powered(cps_items()).card))
    device.feed(power_on(0, 8).to_bytes())
    assert device.enter(0, Entered(Digits("1234"))) == []
    assert [sent(device, slot, ASK_TRIES).data for slot in (0, 1)] == [b"\x63\xc3"] * 2
    device.feed(secure(0, 10, PinEntry.for_cps().to_ccid()).to_bytes())  # twin
    assert answers(device.enter(0, Entered(Digits("1234"))))[0].data == b"\x90\x00"


@pytest.mark.parametrize("size", range(18))
def test_r10_in_the_middle_of_a_frame(size):
    """Pulled after any byte of a frame: no notice inside it, an answer that says absent; slot 1 goes on."""
    line = GemPcDevice(VARIANTS["gemcoresimpro2"])
    for slot in (0, 1):
        line.insert(slot, TpduLink(EchoCard()))
        line.feed(framed(power_on(slot, 0).to_bytes()))
    frame = framed(transfer(0, 5, READ).to_bytes())
    assert size < len(frame)
    assert line.feed(frame[:size]) == []
    moved = b"".join(event.data for event in line.remove(0) if isinstance(event, Send))
    assert moved == (b"\x50\x06" if size == 0 else b"")
    said = b"".join(event.data for event in line.feed(frame[size:]) if isinstance(event, Send))
    at = said.index(b"\x03\x06")
    assert said[:at] == (b"" if size == 0 else b"\x50\x06")
    answer = Answer.parse(said[at + 2 : -1])
    assert (answer.seq, answer.icc, answer.failed) == (5, Icc.ABSENT, True)
    said = b"".join(event.data for event in line.feed(framed(transfer(1, 6, READ).to_bytes())))
    assert not Answer.parse(said[2:-1]).failed


class PulledInside(EchoCard):
    """Is pulled while it works on a command."""

    def __init__(self) -> None:
        super().__init__()
        self.pull = lambda: None

    def transmit(self, apdu: bytes) -> bytes:
        answer = super().transmit(apdu)
        self.pull()
        return answer


def test_r10_while_the_card_works():
    """Pulled inside an exchange: that answer is not given, CardRemoved; put back it is a new card (twin)."""
    slot, card = Reader().slot("CPS"), PulledInside()
    slot.insert(card)
    connection = slot.connect()
    card.pull = slot.remove
    read = CommandAPDU(0, 0xB0, 0, 0, b"", 4)
    with pytest.raises(CardRemoved, match="taken out of the CPS slot"):
        connection.transmit(read)
    card.pull = lambda: None
    slot.insert(card)
    with pytest.raises(CardRemoved):
        connection.transmit(read)
    assert slot.connect().transmit(read).sw == 0x9000


def test_r10_in_the_middle_of_a_chain():
    """Pulled between two links of a chain: CardRemoved, and the new card knows nothing of the first link."""
    slot, host = Reader().slot("CPS"), powered(cps_items())
    slot.insert(host.card)
    connection = slot.connect()

    def pull(_slot: str, command: bytes, _answer: bytes) -> None:
        if command and command[0] & 0x10:
            slot.remove()

    slot.observe(pull)
    with pytest.raises(CardRemoved):
        connection.transmit(CommandAPDU(0, 0x2A, 0x80, 0x86, bytes(600), 256))
    slot.insert(host.card)
    assert slot.connect().transmit(CommandAPDU(0, 0x2A, 0x80, 0x86, bytes(2), 256)).sw == 0x6985


@pytest.mark.parametrize("variant", ["gempctwin", "gemcoresimpro2", "sec1210", "gemcorepospro"])
def test_r10_through_the_whole_driver(variant):
    """Both ends on a line: pulled and put back between two commands is CardRemoved, however quickly."""
    stream = emulated(variant, EchoCard())
    with reader_on(stream) as reader:
        connection = reader.slots[0].connect()
        read = CommandAPDU(0, 0xB0, 0, 0, b"", 4)
        assert connection.transmit(read).sw == 0x9000
        stream.remove(0)
        stream.insert(0, EchoCard())
        for _ in range(2):
            with pytest.raises(CardRemoved):
                connection.transmit(read)
