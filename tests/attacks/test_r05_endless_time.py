"""R5: endless requests for more time. ISO 7816-3:2006, 10.3.3 (NULL) and 11.6.2.3 (WTX); CCID 1.10, 6.2.6.

Every protocol lets the other end say "not yet". Each request is granted, within a total that has an end; the
clock of these tests is their own.
"""

import pytest

from card.iso7816.t0 import MAX_NULLS, NULL, T0Host
from card.iso7816.t1 import T1Card
from card.iso7816.t1block import S_RESPONSE, S_WTX, Codec
from card.iso7816.t1host import MAX_EXTENSION, MAX_REQUESTS, T1Host
from reader.ccid.frames import Answer, Type
from reader.ccid.host import MAX_EXTENSIONS, Answered, Broken, CcidHost, MoreTime
from reader.errors import CardMute, CardProtocolError, ReaderError
from reader.serial.gempc import VARIANTS
from reader.serial.gempc_line import GemPcLine
from reader.slot import Slot
from tests.reader.byte_cards import T1_IFSC_254, EchoCard
from tests.reader.host_bench import HostileStream, card_in

READ = bytes.fromhex("00B0000004")


def started(host: T1Host) -> Codec:
    """The host has agreed on sizes and sent its command."""
    codec = Codec()
    host.start(READ)
    host.feed(codec.encode(0xE1, b"\xfe"))
    return codec


@pytest.mark.parametrize("multiple", [1, 2, 60, 255])
def test_r05_t1_waiting_time_extensions_end(multiple):
    """S(WTX) for ever: each is granted, until sum or number is too much; then one failure."""
    host = T1Host(254)
    codec = started(host)
    granted = 0
    for _ in range(10_000):
        said = host.feed(codec.encode(S_WTX, bytes((multiple,))))
        if host.failure:
            break
        assert said == codec.encode(S_WTX | S_RESPONSE, bytes((multiple,)))
        granted += 1
    assert host.failure
    assert granted <= MAX_REQUESTS
    assert granted * multiple <= MAX_EXTENSION


def test_r05_t1_twin_a_slow_card_is_waited_for():
    """Twin: twenty extensions and then the answer: it is taken; a multiple of 0 is no request."""
    host = T1Host(254)
    codec = started(host)
    for _ in range(20):
        host.feed(codec.encode(S_WTX, b"\1"))
    host.feed(codec.encode(0, b"DATA\x90\x00"))
    assert host.answer == b"DATA\x90\x00"
    host = T1Host(254)
    codec = started(host)
    assert host.feed(codec.encode(S_WTX, b"\0")) != codec.encode(S_WTX | S_RESPONSE, b"\0")


def test_r05_t0_null_bytes_end():
    """NULL for ever: a bounded number is swallowed; a card that then answers is heard (twin)."""
    host = T0Host()
    host.start(READ)
    for _ in range(MAX_NULLS // 100 + 1):
        host.feed(bytes((NULL,)) * 100)
    assert "without end" in host.failure
    host = T0Host()
    host.start(READ)
    host.feed(bytes((NULL,)) * 500 + b"\xb0DATA\x90\x00")
    assert host.answer == b"DATA\x90\x00"


@pytest.mark.parametrize("multiplier", [0, 1, 255])
def test_r05_ccid_time_extensions_end(multiplier):
    """Time extensions: MoreTime a bounded number of times, then Broken; an answer ends them (twin)."""
    later = Answer(Type.DATA_BLOCK, 0, 0, status=0x80, error=multiplier).to_bytes()
    host = CcidHost()
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
    events = host.feed(later * 1000)
    assert [type(event) for event in events] == [MoreTime] * MAX_EXTENSIONS + [Broken]
    assert all(event.multiplier >= 1 for event in events[:-1])
    host = CcidHost()
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
    events = host.feed(later * 20 + Answer(Type.DATA_BLOCK, 0, 0, data=b"\x90\x00").to_bytes())
    assert isinstance(events[-1], Answered)


@pytest.mark.parametrize("every", [0.0, 0.01, 1.0, 4.0, 4.99])
def test_r05_a_reader_that_asks_for_time_for_ever_is_let_go(every):
    """One byte 80 after the other, however spaced: an exchange of 20 s is over after 21 s."""
    stream = HostileStream(lambda _frame: [(every, b"\x80")] * 100_000)
    line = GemPcLine(stream.connect, VARIANTS["gemcoresimpro2"], stream.clock)
    line._greet = lambda _stream: None
    with pytest.raises(OSError):
        line.ask(0, Type.XFR_BLOCK, b"\0\0\0", READ, 20.0)
    assert stream.now <= 21.0


class Waiting(EchoCard):
    """A T=1 card link that answers every block with S(WTX request)."""

    def __init__(self) -> None:
        super().__init__(T1_IFSC_254)
        self.blocks = 0


def test_r05_a_card_that_never_stops_waiting_is_mute():
    """Through the driver: the card in the reader asks for time for ever; the slot says so."""
    card, ask = card_in(Waiting())
    slot = Slot("CPS")
    slot.insert(card)
    connection = slot.connect()
    codec, blocks = Codec(), 0
    link = ask.device._slots[0].link

    def for_ever(data: bytes) -> bytes:
        nonlocal blocks
        blocks += 1
        return codec.encode(S_WTX, b"\1")

    link.exchange, honest = for_ever, link.exchange
    from card.iso7816.apdu import CommandAPDU

    with pytest.raises((CardMute, CardProtocolError)):
        connection.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4))
    assert blocks <= MAX_REQUESTS + 20
    link.exchange = honest
    with pytest.raises(ReaderError):
        connection.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4))
    assert slot.connect().transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4)).sw == 0x9000


def test_r05_a_host_that_never_grants_time_gets_the_answer():
    """The other way round: a card whose request is never granted gives up asking and says its answer."""
    card, codec = T1Card(254), Codec()
    card.feed(codec.encode(0, READ))
    assert card.busy() == codec.encode(S_WTX, b"\1")
    assert card.answer(b"\x90\x00") == b""
    said = b"".join(card.feed(codec.encode(0x80)) for _ in range(10))
    assert codec.encode(0, b"\x90\x00") in said
