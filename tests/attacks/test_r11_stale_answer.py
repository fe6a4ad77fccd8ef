"""R11: a stale answer: the late one of an earlier command, of a former session, of a card that is gone.

The worst a reader can do quietly: 9000 of the last command taken for the verdict on this one. Numbers,
counters and closed connections see to it; what arrives late is dropped or ends the line.
"""

from contextlib import suppress

import pytest

from card.iso7816.apdu import CommandAPDU
from reader.ccid.frames import Answer, Type
from reader.ccid.host import Answered, CcidHost, Strange
from reader.errors import CardMute, CardRemoved, SlotTaken
from reader.galss import LadCard, Order, Report
from reader.serial.gempc import VARIANTS, framed
from reader.serial.gempc_host import GemPcHost
from reader.serial.gempc_line import GemPcLine
from reader.slot import Slot
from reader.transport.galss import GalssLink
from reader.transport.galss import framed as galss_framed
from tests.reader.byte_cards import EchoCard
from tests.reader.host_bench import HostileStream

READ = bytes.fromhex("00B0000004")


def block(seq: int, data: bytes, slot: int = 0) -> bytes:
    return Answer(Type.DATA_BLOCK, slot, seq, data=data).to_bytes()


def test_r11_an_answer_that_waits_before_its_command():
    """Bytes that were there before the command went out are not its answer, whatever they say."""
    host = CcidHost()
    assert [type(event) for event in host.feed(block(0, b"\x90\x00"))] == [Strange]
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
    assert not any(isinstance(event, Answered) for event in host.feed(block(255, b"\x90\x00")))
    (event,) = host.feed(block(0, b"\x63\xc2"))
    assert event.answer.data == b"\x63\xc2"


def test_r11_the_answer_of_a_command_given_up():
    """A command is given up, the next one goes out, the old answer arrives first: dropped."""
    host = GemPcHost(echo=False)
    first = host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)[8]
    second = host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)[8]
    events = host.feed(framed(block(first, b"OLD\x90\x00")) + framed(block(second, b"\x63\xc2")))
    assert [type(event) for event in events] == [Strange, Answered]
    assert events[1].answer.data == b"\x63\xc2"


def test_r11_an_answer_after_its_time():
    """Through the line: the answer to the first comes after its time, with the second: never mixed up."""
    delayed: list[bytes] = []

    def script(frame: bytes):
        said = framed(block(frame[8], b"OLD\x90\x00" if not delayed else b"\x63\xc2"))
        if not delayed:
            delayed.append(said)
            return []
        return [(0.1, delayed[0]), (0.1, said)]

    stream = HostileStream(script)
    line = GemPcLine(stream.connect, VARIANTS["gemcoresimpro2"], stream.clock)
    line._greet = lambda _stream: None
    with pytest.raises(OSError):
        line.ask(0, Type.XFR_BLOCK, b"\0\0\0", READ, 5.0)
    assert line.ask(0, Type.XFR_BLOCK, b"\0\0\0", READ, 5.0).data == b"\x63\xc2"


class Late(EchoCard):
    """Its first answer does not come in time; then it gives each answer one command late."""

    def __init__(self) -> None:
        super().__init__()
        self.owed: list[bytes] = []

    def transmit(self, apdu: bytes) -> bytes:
        self.owed.append(super().transmit(apdu))
        if len(self.owed) == 1:
            raise TimeoutError
        return self.owed.pop(0)


def test_r11_a_session_ends_with_its_first_silence():
    """After one silence the session is over: the late 9000 is never given for another command."""
    slot = Slot("CPS")
    slot.insert(Late())
    connection = slot.connect()
    with pytest.raises(CardMute):
        connection.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4))
    for _ in range(3):
        with pytest.raises(SlotTaken):
            connection.transmit(CommandAPDU(0, 0x20, 0, 1))


def test_r11_a_connection_never_speaks_for_another_card():
    """A card is exchanged under an open connection: CardRemoved, also when the new one has the same ATR."""
    slot = Slot("CPS")
    slot.insert(EchoCard())
    old = slot.connect()
    slot.remove()
    slot.insert(EchoCard())
    new = slot.connect()
    with pytest.raises(CardRemoved):
        old.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4))
    assert new.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4)).sw == 0x9000


def test_r11_a_wrong_count_of_a_lad_is_another_card():
    """GALSS: CR 16 with a card that lost its power is another card: nothing is repeated to it."""
    asked: list[bytes] = []

    def exchange(_order: Order, question: bytes) -> bytes:
        asked.append(question)
        return bytes((Report.WRONG_COUNTER, 1, 9))

    card = LadCard(exchange, 1, 4, lambda: None)
    with suppress(OSError):
        card.transmit(b"\0\x20\0\1")
    assert card.has_left
    assert len(asked) == 1
    with pytest.raises(OSError):
        card.transmit(b"\0\x20\0\1")
    assert len(asked) == 1


class Talkative:
    """A GALSS line that says two answers to one question, or one before any question."""

    def __init__(self, said: bytes) -> None:
        self.said, self.closed = said, False

    def send(self, data: bytes) -> None:
        pass

    def receive(self, seconds: float) -> bytes:
        said, self.said = self.said, b""
        return said

    def close(self) -> None:
        self.closed = True


def test_r11_a_line_that_says_more_than_it_was_asked_is_closed():
    """GALSS: a second answer in the same breath would be the next question's: the line is closed."""
    good = galss_framed(b"\0\0" + b"\0\3\1\x90\x00")
    streams = [Talkative(good + good), Talkative(good + good[:3]), Talkative(good)]
    for stream in streams[:2]:
        link = GalssLink(lambda stream=stream: stream)
        with pytest.raises(OSError):
            link.exchange(Order.INCOMING, b"\0\1\0\1\0\x20\0\1")
        assert stream.closed
    link = GalssLink(lambda: streams[2])  # twin
    assert link.exchange(Order.INCOMING, b"\0\1\0\1\0\x20\0\1")[-2:] == b"\x90\x00"
