"""R7: wrong check bytes. ISO 7816-3:2006, 11.4.4 (LRC, CRC) and 11.6.3.2; LRC of the serial line (libccid).

A block or frame with any one bit wrong is never taken for what it was: no command is carried out, no PIN is
compared, no answer believed. It is asked for again, and the whole one is taken (twin).
"""

import pytest

from card.iso7816.contacts import CardContacts
from card.iso7816.t1 import T1Card
from card.iso7816.t1block import BadBlock, Codec, crc, lrc
from card.iso7816.t1host import T1Host
from reader.ccid.frames import Answer, Type, transfer
from reader.serial.gempc import NAK_FRAME, VARIANTS, GemPcDevice, framed
from reader.serial.gempc_host import GemPcHost, Reply
from tests.card.bench import PIN_1234, cps_items, powered
from tests.reader.byte_cards import with_tck

VERIFY = b"\0\x20\0\1\x08" + PIN_1234
READ = bytes.fromhex("00B0000004")


def one_bit_wrong(raw: bytes):
    for at in range(len(raw)):
        for bit in range(8):
            yield raw[:at] + bytes((raw[at] ^ 1 << bit,)) + raw[at + 1 :]


@pytest.mark.parametrize("use_crc", [False, True])
def test_r07_no_block_with_a_bit_wrong_is_a_command(use_crc):
    """Every bit of a VERIFY block: the card has no command, and asks again; the whole block is one (twin)."""
    codec = Codec(use_crc=use_crc)
    block = codec.encode(0, VERIFY)
    for wrong in one_bit_wrong(block):
        card = T1Card(254, use_crc=use_crc)
        card.feed(wrong)
        card.silence()
        assert card.command is None
        if len(wrong) == len(block) and wrong[2] == block[2]:
            card.feed(block)
            assert card.command == VERIFY


@pytest.mark.parametrize("use_crc", [False, True])
def test_r07_no_answer_with_a_bit_wrong_is_believed(use_crc):
    """Every bit of an answer block: the host has no answer; the whole one is taken after it (twin)."""
    codec = Codec(use_crc=use_crc)
    good = codec.encode(0, b"\x63\xc2")
    for wrong in one_bit_wrong(good):
        host = T1Host(254, use_crc=use_crc)
        host.start(READ)
        host.feed(codec.encode(0xE1, b"\xfe"))
        host.feed(wrong)
        host.timeout()
        assert host.answer is None
        host.feed(good)
        assert host.answer == b"\x63\xc2"


def test_r07_our_card_compares_no_pin_of_a_spoilt_block():
    """Our CPS over T=1: after every spoilt VERIFY there are three tries left and nothing is verified."""
    card = powered(cps_items()).card
    atr = with_tck("3B808131FE45")

    class Link:
        transmit, power_off = card.transmit, card.power_off

        @staticmethod
        def power_on() -> bytes:
            card.power_on()
            return atr

    contacts, codec = CardContacts(Link()), Codec()
    block = codec.encode(0, VERIFY)
    for wrong in one_bit_wrong(block):
        contacts.reset()
        contacts.feed(wrong)
        contacts.silence()
        assert card.transmit(b"\0\x20\0\1") == b"\x63\xc3"
    contacts.reset()
    assert contacts.feed(block)[3:5] == b"\x90\x00"


def test_r07_two_bits_in_one_column_pass_the_lrc_and_not_the_crc():
    """What the checks can do: an LRC misses two bits in one column, a CRC does not."""
    body = b"\0\0\4" + READ[:4]
    twice = bytes((body[3] ^ 1, body[4] ^ 1))
    spoilt = body[:3] + twice + body[5:]
    assert lrc(spoilt) == lrc(body)
    assert crc(spoilt) != crc(body)
    codec = Codec(use_crc=True)
    codec.feed(spoilt + crc(body))
    assert isinstance(codec.next(), BadBlock)


@pytest.mark.parametrize("variant", ["gempctwin", "gemcoresimpro2"])
def test_r07_no_frame_with_a_bit_wrong_reaches_the_card(variant):
    """Serial line, every bit of a frame: never an answer to what was not sent; the whole frame has one."""
    frame = framed(transfer(0, 5, READ).to_bytes())
    line = GemPcDevice(VARIANTS[variant])
    good = line.feed(frame)[-1].data
    for wrong in one_bit_wrong(frame):
        line = GemPcDevice(VARIANTS[variant])
        said = [event.data for event in (*line.feed(wrong), *line.silence())]
        assert all(one == NAK_FRAME for one in said)
        assert line.feed(frame)[-1].data == good


@pytest.mark.parametrize("echo", [True, False])
def test_r07_no_spoilt_frame_is_an_answer(echo):
    """The host's end, every bit of the answer's frame: asked for again; the whole one is taken (twin)."""
    answer = framed(Answer(Type.DATA_BLOCK, 0, 0, data=b"\x63\xc2").to_bytes())
    for wrong in one_bit_wrong(answer):
        host = GemPcHost(echo=echo)
        sent = host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
        events = [*host.feed((sent if echo else b"") + wrong), *host.silence()]
        assert not any(getattr(event, "answer", None) for event in events)
        events = host.feed(answer)
        if not host.is_partial and events:
            assert events[-1].answer.data == b"\x63\xc2"


def test_r07_a_wrong_check_is_answered_by_a_request_to_repeat():
    """The host's own words after a wrong LRC: the three bytes 03 15 16, no more than a few times."""
    answer = framed(Answer(Type.DATA_BLOCK, 0, 0, data=b"\x63\xc2").to_bytes())
    host = GemPcHost(echo=False)
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", READ)
    events = host.feed((answer[:-1] + b"\0") * 10)
    asked = [event.data for event in events if isinstance(event, Reply)]
    assert 1 <= len(asked) <= 4
    assert set(asked) == {NAK_FRAME}
