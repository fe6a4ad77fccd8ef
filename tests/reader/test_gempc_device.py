"""The emulated reader's serial line: frames, echo, notices, escapes, and everything that is not a frame."""

from __future__ import annotations

import functools
import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.check import exclusive_or as lrc
from card.iso7816.contacts import TpduLink
from reader.ccid import frames
from reader.ccid.events import AskPin, EntryEnded, Send
from reader.ccid.frames import Answer, Command, Error, Icc, Type
from reader.pinpad import Digits, Entered, PinEntry
from reader.serial.gempc import FIRMWARE, NAK_FRAME, TIME_REQUEST, VARIANTS, GemPcDevice, framed
from tests.reader.byte_cards import EchoCard

STATUS = Command(Type.GET_SLOT_STATUS, 0, 5)
VERIFY = frames.secure(0, 6, PinEntry.for_cps().to_ccid())
SYNCHRONOUS = Command(Type.ESCAPE, 0, 1, b"\0\0\0", b"\x01\x01\x01")


def device(variant="gemcoresimpro2", *, card=True, powered=False):
    made = GemPcDevice(VARIANTS[variant])
    if card:
        made.insert(0, TpduLink(EchoCard()))
    if powered:
        made.feed(framed(frames.power_on(0, 0).to_bytes()))
    return made


def sent(events):
    return b"".join(event.data for event in events if isinstance(event, Send))


def ask(made, command):
    """The answer to one command; the echo is checked and taken away, notices too."""
    frame = framed(command.to_bytes())
    said = sent(made.feed(frame))
    if made.variant.echo:
        assert said.startswith(frame)
        said = said[len(frame) :]
    while said.startswith(b"\x50"):
        said = said[2:]
    assert lrc(said) == 0
    return Answer.parse(said[2:-1])


@given(st.binary(max_size=600))
@settings(max_examples=200, deadline=None)
def test_lrc_is_the_exclusive_or_of_all_bytes(data):
    """Whatever the length; and a frame with its LRC gives 0."""
    assert lrc(data) == functools.reduce(operator.xor, data, 0)
    assert lrc(framed(data)) == 0


def test_a_frame_is_these_bytes():
    """SYNC, ACK, message, LRC: what a host sends and gets for GetSlotStatus."""
    frame = bytes.fromhex("03066500000000000500000065")
    assert framed(STATUS.to_bytes()) == frame
    said = sent(device().feed(frame))
    assert said.hex() == "0306" + "81000000000005010001" + "81"


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_answers_in_its_slots(variant):
    """Slots of the table, echo of the table; every slot answers, an empty one is absent."""
    made = device(variant)
    expected = {"gempctwin": 1, "gempcpinpad": 1, "gemcorepospro": 5, "gemcoresimpro2": 2, "sec1210": 2}
    assert made.variant.slots == expected[variant]
    assert made.variant.echo is (variant in ("gempctwin", "gempcpinpad"))
    assert ask(made, STATUS).icc == Icc.INACTIVE
    for slot in range(1, made.variant.slots):
        assert ask(made, Command(Type.GET_SLOT_STATUS, slot, 1)).icc == Icc.ABSENT
    assert ask(made, Command(Type.GET_SLOT_STATUS, made.variant.slots, 1)).error == Error.BAD_SLOT


def test_echo_and_answer_are_one_write():
    """One Send per command, so that the line is written once."""
    assert len(device("gempctwin").feed(framed(STATUS.to_bytes()))) == 1


def test_the_long_escape_of_the_pinpad_is_echoed_by_its_header():
    """Ten texts of sixteen characters: the echo has dwLength 0; short ones come whole."""
    made = device("gempcpinpad")
    texts = Command(Type.ESCAPE, 0, 9, b"\0\0\0", bytes.fromhex("B2A0004D4C") + b"TEXT".ljust(16) * 10)
    said = sent(made.feed(framed(texts.to_bytes())))
    echo, answer = said[:13], said[13:]
    assert echo == framed(Command(Type.ESCAPE, 0, 9).to_bytes())
    assert not Answer.parse(answer[2:-1]).failed
    assert ask(made, Command(Type.ESCAPE, 0, 10, b"\0\0\0", b"\x02")).data == FIRMWARE


@pytest.mark.parametrize(
    ("variant", "data", "known"),
    [
        ("gempctwin", "02", True),
        ("sec1210", "06", True),
        ("gempctwin", "010101", True),
        ("gempctwin", "010100", True),
        ("gemcoresimpro2", "011020", True),
        ("gempctwin", "6A", False),
        ("gempctwin", "A002", False),
        ("gempctwin", "B2A0004D4C" + "20" * 160, False),
        ("gempctwin", "", False),
    ],
)
def test_escapes(variant, data, known):
    """What hosts of this family send at the beginning is understood, anything else is 'not supported'."""
    escape = Command(Type.ESCAPE, 0, 1, b"\0\0\0", bytes.fromhex(data))
    said = sent(device(variant).feed(framed(escape.to_bytes())))
    answer = Answer.parse(said[-(len(FIRMWARE) + 11) if data in ("02", "06") else -11 : -1])
    assert answer.failed is not known
    assert len(FIRMWARE) < 50  # the host's buffer


# ---- movement


def test_movement_is_told_at_once_or_before_the_next_answer():
    """Asynchronous at first; after 01 01 01 between echo and answer; once each."""
    made = device("gempctwin", card=False)
    assert sent(made.insert(0, TpduLink(EchoCard()))) == b"\x50\x03"
    assert sent(made.remove(0)) == b"\x50\x02"
    ask(made, SYNCHRONOUS)
    assert sent(made.insert(0, TpduLink(EchoCard()))) == b""
    frame = framed(STATUS.to_bytes())
    said = sent(made.feed(frame))
    assert said.startswith(frame + b"\x50\x03\x03\x06\x81")
    assert ask(made, STATUS).icc == Icc.INACTIVE


def test_movement_never_inside_a_frame_of_the_host():
    """While half a command is there the notice waits for the answer."""
    made = device(card=False)
    frame = framed(STATUS.to_bytes())
    made.feed(frame[:7])
    assert sent(made.insert(0, TpduLink(EchoCard()))) == b""
    assert sent(made.feed(frame[7:])).startswith(b"\x50\x03\x03\x06")


def test_each_slot_has_its_two_bits():
    """CCID 6.3.1: presence of all, change of the one that moved; a fifth slot has no room and no notice."""
    made = device("gemcorepospro", card=False)
    assert sent(made.insert(1, TpduLink(EchoCard()))) == bytes((0x50, 0b1100))
    assert sent(made.insert(0, TpduLink(EchoCard()))) == bytes((0x50, 0b0111))
    assert sent(made.remove(1)) == bytes((0x50, 0b1001))
    assert sent(made.insert(4, TpduLink(EchoCard()))) == b""
    assert sent(made.remove(3)) == b""  # nothing was in it


# ---- what is not a frame


def test_a_wrong_lrc_is_refused_and_the_next_frame_understood():
    """NAK without echo; the card hears nothing; the repeated frame is carried out."""
    made = device("gempctwin")
    frame = framed(STATUS.to_bytes())
    assert sent(made.feed(frame[:-1] + b"\xff")) == NAK_FRAME
    assert ask(made, STATUS).icc == Icc.INACTIVE


def test_a_host_that_did_not_understand_gets_the_answer_again():
    """NAK of the host: the last answer without echo; the command is not carried out twice."""
    made = device("gempctwin", powered=True)
    card = made._ccid._slots[0].link.contacts._card
    read = framed(frames.transfer(0, 8, bytes.fromhex("00B0000004")).to_bytes())
    first = sent(made.feed(read))
    heard = len(card.log)
    assert sent(made.feed(NAK_FRAME)) == first[len(read) :]
    assert len(card.log) == heard
    assert sent(device().feed(NAK_FRAME)) == b""


@pytest.mark.parametrize(
    "noise", [b"\xff\x00garbage", b"\x03", b"\x03\x03", b"\x03\x00", b"\x03\x15\x00", b"\x06\x03"]
)
def test_resynchronisation_after_garbage(noise):
    """Noise before a frame is skipped."""
    assert sent(device().feed(noise + framed(STATUS.to_bytes()))).endswith(b"\x81")


def test_silence_gives_half_a_frame_up():
    """Nothing more comes: NAK, and the next frame counts; otherwise nothing is said."""
    made = device()
    assert made.silence() == []
    made.feed(framed(STATUS.to_bytes())[:9])
    assert made.is_partial
    assert sent(made.silence()) == NAK_FRAME
    assert not made.is_partial
    assert ask(made, STATUS).icc == Icc.INACTIVE


# ---- digits


def test_digits_on_the_line():
    """Echo at once, a byte now and then asks for time, the answer comes when the digits do."""
    made = device("gempcpinpad", powered=True)
    frame = framed(VERIFY.to_bytes())
    echo, asked = made.feed(frame)
    assert echo == Send(frame)
    assert isinstance(asked, AskPin)
    assert sent(made.extend()) == TIME_REQUEST
    ended, answer = made.enter(0, Entered(Digits("1234")))
    assert ended == EntryEnded(0, b"\x6d\x00")  # this card knows no VERIFY
    assert Answer.parse(answer.data[2:-1]).data == b"\x6d\x00"
    assert made.extend() == []
    assert b"1234" not in answer.data


def test_a_new_host_ends_the_entry_of_the_former():
    """The first escape of a host that opens the line: nobody waits for digits any more."""
    made = device("gempcpinpad", powered=True)
    made.feed(framed(VERIFY.to_bytes()))
    events = made.feed(framed(Command(Type.ESCAPE, 0, 0, b"\0\0\0", b"\x02").to_bytes()))
    assert EntryEnded(0) in events
    assert made.pending(0) is None
    assert not ask(made, frames.power_on(0, 1)).failed


# ---- anything, in any pieces

piece = st.one_of(
    st.binary(max_size=20),
    st.just(NAK_FRAME),
    st.sampled_from([framed(command.to_bytes()) for command in (STATUS, VERIFY, SYNCHRONOUS)]),
    st.builds(
        lambda kind, data: framed(Command(kind, 0, 1, b"\0\0\0", data).to_bytes()),
        st.sampled_from(list(Type)),
        st.binary(max_size=30),
    ),
)


@given(
    pieces=st.lists(piece, max_size=12),
    cuts=st.lists(st.integers(1, 40), min_size=1),
    variant=st.sampled_from(list(VARIANTS)),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_in_any_chunks(pieces, cuts, variant):
    """The same events whole and in pieces, no exception, at most one frame kept."""
    stream = b"".join(pieces)
    whole = device(variant, powered=True).feed(stream)
    made, said, at, turn = device(variant, powered=True), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        said += made.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
        assert len(made._buffer) <= 274
    assert said == whole
