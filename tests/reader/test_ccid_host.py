"""The host's end of CCID: one command, its answer, and nothing that only looks like it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.atr import Atr
from reader.ccid.card import Abilities, t0_parameters, t1_parameters
from reader.ccid.frames import FAILED, MAX_MESSAGE, TIME_EXTENSION, Answer, Error, Icc, Type
from reader.ccid.host import MAX_EXTENSIONS, MAX_STRANGE, Answered, Broken, CcidHost, MoreTime, Strange
from reader.errors import CardProtocolError, CardRemoved, NoPinPad, ReaderError
from reader.pinpad import CANCELLED, TIMED_OUT, Digits, Entered, PinEntry
from tests.reader.byte_cards import BOTH, T1_CRC, T1_DEFAULT, T1_IFSC_254, EchoCard, pattern
from tests.reader.host_bench import card_in

VITALE_ATR = bytes.fromhex("3B751300004309EA9000")
CPS_ATR = bytes.fromhex("3BAC00402A001225006480000310009000")


def status(slot: int = 0, seq: int = 0, bits: int = 0, error: int = 0, data: bytes = b"") -> bytes:
    kind = Type.DATA_BLOCK if data else Type.SLOT_STATUS
    return Answer(kind, slot, seq, bits, error, 0, data).to_bytes()


def asked(kind: int = Type.GET_SLOT_STATUS, slot: int = 0) -> CcidHost:
    host = CcidHost()
    host.command(kind, slot)
    return host


# ---- the machine


def test_one_command_one_answer():
    """Sequence numbers count commands and wrap; the answer with the same number is the answer."""
    host = CcidHost()
    for number in range(300):
        sent = host.command(Type.GET_SLOT_STATUS, 1)
        assert sent == bytes((0x65, 0, 0, 0, 0, 1, number & 0xFF, 0, 0, 0))
        assert host.feed(status(1, number & 0xFF)) == [Answered(Answer(0x81, 1, number & 0xFF))]


@pytest.mark.parametrize(
    "wrong",
    [status(seq=1), status(slot=1), status(data=b"\x90\0"), Answer(Type.PARAMETERS, 0, 0).to_bytes()],
    ids=["other bSeq", "other slot", "other type", "parameters"],
)
def test_what_answers_something_else(wrong):
    """Another sequence number, slot or type is told apart and dropped; the true answer after it is taken."""
    host = asked()
    assert isinstance(host.feed(wrong)[0], Strange)
    assert isinstance(host.feed(status())[0], Answered)
    assert isinstance(host.feed(status())[0], Strange), "an answer is taken once"


def test_a_failure_may_come_as_slot_status():
    """A failed command may be answered by a slot status whatever its type (readers do)."""
    host = asked(Type.POWER_ON)
    (event,) = host.feed(status(bits=FAILED | Icc.ABSENT, error=Error.ICC_MUTE))
    assert isinstance(event, Answered)
    assert event.answer.failed


def test_time_is_granted_but_not_for_ever():
    """Time extensions are told one by one; after MAX_EXTENSIONS the conversation is broken off."""
    host = asked(Type.XFR_BLOCK)
    extension = Answer(Type.DATA_BLOCK, 0, 0, TIME_EXTENSION, 7).to_bytes()
    assert host.feed(extension * MAX_EXTENSIONS) == [MoreTime(7)] * MAX_EXTENSIONS
    assert isinstance(host.feed(extension)[0], Broken)
    assert host.feed(status()) == [], "nothing is taken after that"
    host.resynchronise()
    host.command(Type.GET_SLOT_STATUS, 0)
    assert isinstance(host.feed(status(seq=1))[0], Answered)


def test_strangers_are_counted():
    """Wrong answers without end break the conversation off; a new command starts the count afresh."""
    host = asked()
    assert all(isinstance(event, Strange) for event in host.feed(status(seq=9) * MAX_STRANGE))
    assert isinstance(host.feed(status(seq=9))[0], Broken)


@pytest.mark.parametrize(
    "raw", [b"\x81\xff\xff\xff\xff" + bytes(5), b"\x81\x06\x01\0\0" + bytes(5), b"\x65" + bytes(9), bytes(10)]
)
def test_lengths_that_lie(raw):
    """dwLength beyond the longest message, or a type that is none: broken at once, nothing is kept."""
    host = asked()
    (event,) = host.feed(raw)
    assert isinstance(event, Broken)
    assert len(host._buffer) == 0


def test_a_whole_message_must_be_whole():
    """`message` takes framed messages: a dwLength that disagrees breaks off, a good one is taken."""
    for raw in (b"", status()[:9], status() + b"\0"):
        assert isinstance(asked().message(raw), Broken)
    host = asked()
    assert isinstance(host.message(status()), Answered)


answers = st.one_of(
    st.builds(
        lambda kind, slot, seq, bits, error, data: Answer(kind, slot, seq, bits, error, 0, data).to_bytes(),
        st.sampled_from([0x80, 0x81, 0x82, 0x83, 0x84]),
        st.integers(0, 1),
        st.integers(0, 2),
        st.sampled_from([0, 1, 2, 0x40, 0x41, 0x80, 0xC0]),
        st.integers(0, 255),
        st.binary(max_size=MAX_MESSAGE - 10),
    ),
    st.binary(max_size=40),
)


@given(st.lists(answers, max_size=30), st.data())
@settings(max_examples=200, deadline=None)
def test_any_bytes_in_any_chunks(pieces, data):
    """Whole, byte by byte, random splits: the same events, no exception, at most one message held."""
    stream = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    splits = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    results = []
    for chunks in ([stream], [stream[at : at + 1] for at in range(len(stream))], splits):
        host = asked(Type.XFR_BLOCK)
        events = []
        for chunk in chunks:
            events += host.feed(chunk)
            assert len(host._buffer) < MAX_MESSAGE
        results.append(events)
    assert results[0] == results[1] == results[2]


# ---- the card in the slot


def test_a_vitale_is_sped_up():
    """TA1 13: PPS as XfrBlock, then SetParameters with the agreed speed, as libccid does."""
    card, ask = card_in(EchoCard(VITALE_ATR))
    assert card.power_on() == VITALE_ATR
    assert ask.asked == [
        (Type.POWER_ON, b""),
        (Type.XFR_BLOCK, bytes.fromhex("FF1013FC")),
        (Type.SET_PARAMETERS, bytes.fromhex("1300000A00")),
    ]
    assert card.transmit(bytes.fromhex("00B0000004")) == pattern(4) + b"\x90\x00"


def test_a_cps_keeps_the_default_speed():
    """No TA1: no PPS, and the waiting time of TC2 goes into the parameters."""
    card, ask = card_in(EchoCard(CPS_ATR))
    card.power_on()
    assert ask.asked[1:] == [(Type.SET_PARAMETERS, bytes.fromhex("1100002A00"))]


@pytest.mark.parametrize("abilities", [Abilities(features=0x000100B2), Abilities(max_rate=20_000)])
def test_no_pps_when_the_reader_does_it_or_cannot_follow(abilities):
    """A reader with automatic PPS, and one too slow for TA1, are sent none; commands work."""
    card, ask = card_in(EchoCard(VITALE_ATR), abilities=abilities)
    card.power_on()
    assert [kind for kind, _data in ask.asked] == [Type.POWER_ON, Type.SET_PARAMETERS]
    assert card.transmit(bytes.fromhex("00B0000004")) == pattern(4) + b"\x90\x00"


def test_a_refused_pps_means_the_default_speed():
    """A card mute to PPS, or answering nonsense, is reset and spoken to at the default speed."""
    for said in (
        Answer(Type.DATA_BLOCK, 0, 1, FAILED, Error.ICC_MUTE),
        Answer(Type.DATA_BLOCK, 0, 1, data=b"?"),
    ):
        card, ask = card_in(EchoCard(VITALE_ATR))
        ask.device.feed = _but_pps(ask.device.feed, said)
        card.power_on()
        assert [kind for kind, _data in ask.asked][2:] == [Type.POWER_ON, Type.SET_PARAMETERS]
        assert ask.asked[-1][1] == bytes.fromhex("1100000A00")
        assert card.transmit(bytes.fromhex("00B0000004")) == pattern(4) + b"\x90\x00"


def _but_pps(feed, answer: Answer):
    return lambda message: [_sent(answer.to_bytes())] if message[10:11] == b"\xff" else feed(message)


@pytest.mark.parametrize("atr", [T1_DEFAULT, T1_IFSC_254, T1_CRC])
@pytest.mark.parametrize("size", [1, 31, 32, 33, 250, 254, 255])
def test_t1_blocks(atr, size):
    """A T=1 card is spoken to in blocks, IFSD 254, with LRC or CRC; chained both ways when it must."""
    card, ask = card_in(EchoCard(atr))
    card.power_on()
    assert len(ask.asked[-1][1]) == 7
    command = bytes((0, 0x88, 0, 0, size)) + pattern(size) + b"\0"
    for _ in range(2):
        assert card.transmit(command) == pattern(size) + b"\x90\x00"
    assert card.transmit(bytes.fromhex("00B0000000")) == pattern(256) + b"\x90\x00"


def test_the_first_protocol_is_spoken():
    """A card of both protocols is spoken to in the first one it offers."""
    card, ask = card_in(EchoCard(BOTH))
    card.power_on()
    assert len(ask.asked[-1][1]) == 5
    assert card.transmit(bytes.fromhex("00B0000004")) == pattern(4) + b"\x90\x00"


def test_parameters_of_the_standard():
    """T=0 and T=1 parameters hold what the ATR says (CCID 1.10, 6.1.7)."""
    assert t0_parameters(Atr.parse(CPS_ATR), 0x11).to_bytes().hex() == "1100002a00"
    assert t0_parameters(Atr.parse(bytes.fromhex("3F4005")), 0x11).to_bytes().hex() == "1102050a00"
    assert t1_parameters(Atr.parse(T1_IFSC_254), 0x11).to_bytes().hex() == "1110004500fe00"
    assert t1_parameters(Atr.parse(T1_CRC), 0x11).to_bytes().hex()[:4] == "1111"


def test_a_card_that_leaves():
    """An answer that says absent, or inactive when there was power, is a removal; it is told once."""
    for bits in (Icc.ABSENT, Icc.INACTIVE):
        card, ask = card_in(EchoCard())
        gone: list[int] = []
        card._gone = lambda gone=gone: gone.append(1)
        card.power_on()
        if bits == Icc.ABSENT:
            ask.device.remove(0)
        else:
            ask.device.feed(ask.host.command(Type.POWER_OFF, 0))
        for _ in range(2):
            with pytest.raises(CardRemoved):
                card.transmit(bytes.fromhex("00B0000004"))
        card.power_off()
        assert gone == [1]


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (Error.ICC_MUTE, TimeoutError),
        (Error.PARITY, TimeoutError),
        (Error.BAD_ATR_TS, CardProtocolError),
        (Error.PROTOCOL_NOT_SUPPORTED, CardProtocolError),
        (Error.BAD_SLOT, CardProtocolError),
        (0x0A, CardProtocolError),
        (0xC3, CardProtocolError),
    ],
)
def test_error_bytes(error, wanted):
    """Each bError becomes a silent card or one sentence, never anything else."""
    card, ask = card_in(EchoCard())
    card.power_on()
    ask.device.feed = lambda message: [
        _sent(Answer(Type.DATA_BLOCK, 0, message[6], FAILED, error).to_bytes()),
    ]
    with pytest.raises(wanted) as said:
        card.transmit(bytes.fromhex("00B0000004"))
    assert isinstance(said.value, OSError | ReaderError)


def _sent(data: bytes):
    from reader.ccid.events import Send

    return Send(data)


def test_voltages_are_tried_in_turn():
    """A card mute at 5 V is tried at 3 V, then 1.8 V; the first ATR counts."""
    card, ask = card_in(EchoCard())
    real = ask.device.feed
    ask.device.feed = lambda message: real(
        message[:7] + b"\x09" + message[8:] if message[0] == 0x62 and message[7] < 3 else message
    )
    assert card.power_on() == bytes.fromhex("3B00")
    assert [kind for kind, _data in ask.asked].count(Type.POWER_ON) == 3


@pytest.mark.parametrize("protocol", [2, 14, 15])
def test_other_protocols(protocol):
    """A card that speaks T=2 or T=14 only is refused in one sentence."""
    atr = bytes((0x3B, 0x80, protocol, 0x80 ^ protocol))
    card, _ask = card_in(EchoCard(atr))
    with pytest.raises(CardProtocolError, match=f"T={protocol} only"):
        card.power_on()


class PinCard(EchoCard):
    """VERIFY: 9000 for 1234, else 63C2."""

    def transmit(self, apdu: bytes) -> bytes:
        if apdu[1] == 0x20:
            return b"\x90\x00" if apdu[5:] == b"1234" + b"\xff" * 4 else b"\x63\xc2"
        return super().transmit(apdu)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Entered(Digits("1234")), "9000"),
        (Entered(Digits("4321")), "63c2"),
        (Entered(Digits("123")), "6403"),
        (CANCELLED, "6401"),
        (TIMED_OUT, "6400"),
    ],
)
def test_pin_on_the_pad(outcome, word):
    """The status word of the card, or of the pad; the host's messages hold no digit."""
    card, ask = card_in(PinCard(CPS_ATR), outcome=outcome)
    card.power_on()
    assert card.verify_on_pad(PinEntry.for_cps()).hex() == word
    assert b"1234" not in b"".join(data for _kind, data in ask.asked)


def test_no_pad_for_t1():
    """The numbers of T=1 blocks would be out of step: said, and the card goes on working."""
    card, _ask = card_in(EchoCard(T1_DEFAULT), outcome=CANCELLED)
    card.power_on()
    with pytest.raises(NoPinPad):
        card.verify_on_pad(PinEntry.for_cps())
    assert card.transmit(bytes.fromhex("00B0000004")) == pattern(4) + b"\x90\x00"


@given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from([b"\x3b\0", T1_DEFAULT, VITALE_ATR]))
@settings(max_examples=200, deadline=None)
def test_any_answer_of_the_card_is_survived(said, atr):
    """Whatever data blocks a reader gives, a call ends with bytes, OSError or a ReaderError."""
    card, ask = card_in(EchoCard(atr))
    with suppress(OSError, ReaderError):
        card.power_on()
    waiting = list(said)
    ask.device.feed = lambda message: [
        _sent(Answer(Type.DATA_BLOCK, 0, message[6], 0, 0, 0, waiting.pop() if waiting else b"").to_bytes())
    ]
    for act in (
        card.power_on,
        lambda: card.transmit(b"\0\xb0\0\0\4"),
        lambda: card.transmit(b"\0\x88\0\0\1\1\0"),
    ):
        with suppress(OSError, ReaderError):
            assert isinstance(act(), bytes)
