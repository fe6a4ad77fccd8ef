"""R12 through PC/SC: T=0 leaves 61xx and 6Cxx to the client, so that a card without end reaches the host.

Bounded exchanges and bytes, and the card is given back: such a card keeps no other program out.
"""

import pytest

import reader.pcsc
import reader.transport.pcsc
from card.iso7816.apdu import CommandAPDU
from reader.connection import MAX_ANSWER, MAX_EXCHANGES
from reader.errors import CardProtocolError
from reader.pcsc import PcscReader
from tests.reader.fake_scard import FakeCard, FakeScard

NAME = "Twin 00 00"
READ = CommandAPDU(0, 0xB0, 0, 0, b"", 256)


@pytest.fixture
def scard(monkeypatch):
    fake = FakeScard()
    fake.plug(NAME, FakeCard())
    for module in (reader.transport.pcsc, reader.pcsc):
        monkeypatch.setattr(module, "library", lambda: fake)
    return fake


ENDLESS = {
    "61xx without data": lambda _c: b"\x61\x10",
    "61xx with a byte": lambda _c: b"\x00\x61\x01",
    "61xx with all it may": lambda c: (bytes(c[-1] or 256) if c[1] == 0xC0 else b"") + b"\x61\x00",
    "6Cxx in turn": lambda c: b"\x6c\x05" if c[-1] != 5 else b"\x6c\x06",
    "a megabyte": lambda _c: bytes(1 << 20) + b"\x90\x00",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_r12_pcsc_a_card_without_end(scard, name):
    """One CardProtocolError after a bounded number of exchanges; the transaction has ended."""
    card = scard.readers[NAME].card
    card.rule = ENDLESS[name]
    with PcscReader(["Twin"]) as opened:
        connection = opened.slot("CPS").connect()
        with pytest.raises(CardProtocolError, match="CPS slot"):
            connection.transmit(READ)
        assert len(card.commands) <= MAX_EXCHANGES + 1
        assert scard.readers[NAME].locked_by is None
        assert scard.other(NAME).transmit(b"\0\0\0\0") == 0


def test_r12_pcsc_a_long_answer_with_an_end(scard):
    """Twin: as much as an answer may have, fetched by 256, is collected."""
    left = [MAX_ANSWER]

    def honest(command):
        if command[1] != 0xC0:
            return b"\x61\x00"
        left[0] -= 256
        return bytes(256) + (b"\x61\x00" if left[0] else b"\x90\x00")

    scard.readers[NAME].card.rule = honest
    with PcscReader(["Twin"]) as opened:
        assert len(opened.slot("CPS").connect().transmit(READ).data) == MAX_ANSWER
