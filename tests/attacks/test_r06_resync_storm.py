"""R6: storms of resynchronisation. ISO 7816-3:2006, 11.6.3.2 rule 6 (S(RESYNCH)); NAK of the serial line.

Starting afresh is allowed at any time and costs who asks more than who answers: no state piles up, no command
runs twice, no try of a PIN is given back, and whoever never does anything else is let go.
"""

import pytest

from card.iso7816.contacts import CardContacts
from card.iso7816.t1 import MAX_TRIES, T1Card
from card.iso7816.t1block import S_RESPONSE, S_RESYNCH, Codec
from card.iso7816.t1host import MAX_RESYNCHS, T1Host
from reader.ccid.frames import Answer, Type
from reader.serial.gempc import NAK_FRAME, VARIANTS, GemPcDevice, framed
from reader.serial.gempc_host import MAX_REPEATS, GemPcHost
from tests.card.bench import PIN_1234, PIN_9999, cps_items, powered
from tests.reader.byte_cards import T1_IFSC_254, EchoCard
from tests.reader.measures import kept

READ = bytes.fromhex("00B0000004")
RESYNCH = Codec().encode(S_RESYNCH)
RESYNCHED = Codec().encode(S_RESYNCH | S_RESPONSE)


def test_r06_a_storm_leaves_nothing_behind():
    """Ten thousand S(RESYNCH), also inside chains: one response each, nothing kept, the card works."""
    card, codec = T1Card(254), Codec()
    for _ in range(5000):
        assert card.feed(RESYNCH) == RESYNCHED
        card.feed(codec.encode(0x20, bytes(200)))
        assert card.feed(RESYNCH) == RESYNCHED
    assert kept(card) < 1000
    card.feed(codec.encode(0, READ))
    assert card.command == READ


def test_r06_a_command_made_void_is_not_answered():
    """RESYNCH while the card works: the late answer is dropped, the next command gets its own (twin)."""
    card, codec = T1Card(254), Codec()
    card.feed(codec.encode(0, READ))
    card.busy()
    card.feed(RESYNCH)
    assert card.answer(b"LATE\x90\x00") == b""
    card.feed(codec.encode(0, READ))
    assert card.answer(b"\x90\x00") == codec.encode(0, b"\x90\x00")


class T1Os:
    """The CPS of the bench behind an ATR of T=1."""

    def __init__(self) -> None:
        self.card = powered(cps_items()).card
        self.transmit, self.power_off = self.card.transmit, self.card.power_off

    def power_on(self) -> bytes:
        self.card.power_on()
        return T1_IFSC_254


def test_r06_resynchronising_gives_no_try_back():
    """Guess, RESYNCH, guess, …: three comparisons and then 6983; the status of a right PIN stays (twin)."""
    contacts, codec = CardContacts(T1Os()), Codec()
    contacts.reset()
    said = []
    for _ in range(6):
        contacts.feed(RESYNCH)
        said.append(contacts.feed(codec.encode(0, b"\0\x20\0\1\x08" + PIN_9999))[3:5].hex())
    assert said == ["63c2", "63c1", "63c0", "6983", "6983", "6983"]
    contacts = CardContacts(T1Os())
    contacts.reset()
    assert contacts.feed(codec.encode(0, b"\0\x20\0\1\x08" + PIN_1234))[3:5] == b"\x90\x00"
    contacts.feed(RESYNCH)
    assert contacts.feed(codec.encode(0, b"\0\x20\0\1"))[3:5] == b"\x90\x00"


@pytest.mark.parametrize("says", ["nothing usable", "resynchs for ever", "silence"])
def test_r06_a_host_gives_a_card_up_that_never_comes_to_the_point(says):
    """R-blocks, RESYNCH requests or silence to everything: an end after a bounded number of blocks."""
    host, codec = T1Host(254), Codec()
    sent, blocks = host.start(READ), 0
    while sent and blocks < 1000:
        blocks += 1
        if says == "silence":
            sent = host.timeout()
        elif says == "nothing usable":
            sent = host.feed(codec.encode(S_RESYNCH | S_RESPONSE if sent == RESYNCH else 0x92))
        else:
            sent = host.feed(RESYNCH)
    assert host.failure
    assert blocks <= (MAX_RESYNCHS + 2) * (MAX_TRIES + 2) * 2


def test_r06_a_command_that_ran_is_not_run_again():
    """The answer is lost and the host resynchronises: the command is not sent a second time, it fails."""
    host, card, echo, codec = T1Host(254), T1Card(254), EchoCard(), Codec()
    write = b"\0\xd6\0\0\1A"
    sent = host.start(write)
    sent = host.feed(card.feed(sent))  # S(IFS)
    for _ in range(50):
        said = card.feed(sent) if sent else b""
        while card.command is not None:
            said += card.answer(echo.transmit(card.command))
        spoilt = said if said.startswith((RESYNCHED, codec.encode(0xE1, b"\xfe"))) else b""
        sent = host.feed(spoilt) if spoilt else host.timeout()
        if host.failure or host.answer:
            break
    assert "may have carried out" in host.failure
    assert echo.log == [write]
    sent = host.start(READ)  # twin: the next command goes through
    for _ in range(10):
        said = card.feed(sent)
        while card.command is not None:
            said += card.answer(echo.transmit(card.command))
        sent = host.feed(said)
    assert host.answer is not None


def test_r06_a_storm_of_naks_repeats_and_repeats_nothing_else():
    """Serial line, the reader's end: every NAK gets the last answer again, no command runs twice."""
    line = GemPcDevice(VARIANTS["gemcoresimpro2"])
    first = b"".join(event.data for event in line.feed(framed(b"\x65" + bytes(9))))
    again = b"".join(event.data for event in line.feed(NAK_FRAME * 500))
    assert again == first * 500
    assert kept(line) < 5000


def test_r06_a_reader_that_naks_for_ever_is_given_up():
    """Serial line, the host's end: the command goes out again a few times, then Broken."""
    host = GemPcHost(echo=False)
    sent = host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
    events = host.feed(NAK_FRAME * 100)
    assert [event.data for event in events[:MAX_REPEATS]] == [sent] * MAX_REPEATS
    assert len(events) == MAX_REPEATS + 1
    assert "without end" in events[-1].why
    host = GemPcHost(echo=False)  # twin: one NAK, then the answer
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
    host.feed(NAK_FRAME)
    answer = Answer(Type.DATA_BLOCK, 0, 0, data=b"\x90\x00").to_bytes()
    assert host.feed(framed(answer))[0].answer.data == b"\x90\x00"
