"""R11 through PC/SC: a call that fails leaves the bytes of the answer before it in the buffer.

Seen with pyscard and pcsc-lite: SCardTransmit after the end of pcscd gives an error code and, as its answer,
the 9000 of the last command. Also: what a card says after it was pulled, and after its service was restarted.
"""

import threading

import pytest

import reader.pcsc
import reader.transport.pcsc
from card.iso7816.apdu import CommandAPDU
from reader.errors import CardRemoved, ReaderError
from reader.pcsc import PcscReader
from reader.pinpad import PinEntry
from tests.reader.fake_scard import ATR_CPS, FakeCard, FakeScard

NAME = "Twin 00 00"
VERIFY = CommandAPDU(0, 0x20, 0, 1, b"9876\xff\xff\xff\xff")
PAD = {0x42000000 + 3400: bytes.fromhex("060442330006"), 0x42330006: b"\x63\xc2"}
CODES = [0x80100016, 0x80100069, 0x8010001D, 0x80100068, 0x8010000B, 0x80100066, 0x80100013]


@pytest.fixture
def scard(monkeypatch):
    fake = FakeScard()
    fake.plug(NAME, FakeCard(ATR_CPS), PAD)
    for module in (reader.transport.pcsc, reader.pcsc):
        monkeypatch.setattr(module, "library", lambda: fake)
    monkeypatch.setattr(reader.pcsc, "RETRY_SECONDS", 0.01)
    return fake


@pytest.fixture
def cps(scard):
    with PcscReader(["Twin"], wait=1) as opened:
        yield opened.slot("CPS")


def test_r11_pcsc_the_answer_that_came_is_taken(cps, scard):
    """Twin: the verdict of the card on this very command."""
    scard.readers[NAME].card.rule = lambda _c: b"\x63\xc2"
    connection = cps.connect()
    assert connection.transmit(VERIFY).sw == 0x63C2
    assert connection.verify_on_pad(PinEntry.for_cps()).sw == 0x63C2


@pytest.mark.parametrize("code", CODES)
def test_r11_pcsc_bytes_of_a_failed_call(cps, scard, code):
    """The buffer says 9000, the code says that it failed: never a verdict, and the connection is over."""
    connection = cps.connect()
    scard.fail["transmit"] = [code]
    with pytest.raises(ReaderError):
        connection.transmit(VERIFY)
    with pytest.raises(ReaderError):
        connection.transmit(VERIFY)
    assert not scard.readers[NAME].card.commands


@pytest.mark.parametrize("code", CODES)
def test_r11_pcsc_bytes_of_a_failed_pin_entry(cps, scard, code):
    """The same for the PIN pad: 9000 in the buffer of a failed SCardControl unlocks nothing."""
    connection = cps.connect()
    scard.fail["control"] = [code]
    with pytest.raises(ReaderError):
        connection.verify_on_pad(PinEntry.for_cps())
    with pytest.raises(ReaderError):
        connection.check()


@pytest.mark.parametrize("event", ["pull", "swap", "restart"])
def test_r11_pcsc_an_answer_after_the_end(cps, scard, event):
    """The card answers 9000 while it is pulled or its service restarted: nobody gets that."""
    seen, moved = threading.Event(), threading.Event()

    def answer(_command):
        seen.set()
        moved.wait(5)
        return b"\x90\x00"

    scard.readers[NAME].card.rule = answer
    connection, events, heard = cps.connect(), cps.event_counter, []

    def ask():
        try:
            heard.append(connection.transmit(VERIFY))
        except ReaderError as wrong:
            heard.append(type(wrong))

    asking = threading.Thread(target=ask)
    asking.start()
    seen.wait(5)
    if event == "pull":
        scard.pull(NAME)
    elif event == "swap":
        scard.swap(NAME, FakeCard(ATR_CPS))
    else:
        with scard.change:
            scard.stop()
            scard.start()
    while cps.event_counter == events:
        threading.Event().wait(0.002)
    moved.set()
    asking.join(5)
    assert heard == [CardRemoved]
