"""Byte-level host: reset, ATR, convention, PPS, T=0 and T=1 over a line that echoes."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.apdu import CommandAPDU
from card.iso7816.atr import Atr, AtrError
from card.iso7816.reset import (
    AtrCollector,
    atr_length,
    block_waiting_time,
    character_waiting_time,
    inverted,
    waiting_time,
)
from reader.errors import CardMute, CardRemoved, ReaderError
from reader.phoenix import PhoenixReader, open_phoenix
from reader.serial.phoenix import BUDGET, WIRINGS, PhoenixCard, Wire
from reader.serial.phoenix_device import PhoenixDevice
from reader.slot import Slot
from tests.card.factory import card
from tests.reader.byte_cards import BOTH, T1_CRC, T1_DEFAULT, T1_IFSC_254, EchoCard, pattern, with_tck
from tests.reader.phoenix_lines import DeviceLine, SlowClock, listening, phoenix

CPS, VITALE = "cps-gp-sector1", "vitale-family"
VITALE_ATR = bytes.fromhex("3B751300004309EA9000")


def connection(held):
    """A connection to a card in a slot."""
    slot = Slot("CPS")
    slot.insert(held)
    return slot.connect()


# ---- ATR


@pytest.mark.parametrize(
    "atr",
    [
        VITALE_ATR,
        bytes.fromhex("3BAC00402A001225006480000310009000"),
        b"\x3b\0",
        T1_DEFAULT,
        T1_IFSC_254,
        T1_CRC,
        BOTH,
    ],
)
def test_an_atr_is_collected_in_any_pieces(atr):
    """Byte by byte or at once, in both conventions; what follows comes back; its length is known in time."""
    for raw, inverse in ((atr, False), (inverted(b"\x3f" + atr[1:]), True)):
        for size in (1, 3, 40):
            collector, left = AtrCollector(), b""
            for at in range(0, len(raw) + 2, size):
                left += collector.feed((raw + b"xy")[at : at + size])
            assert (collector.is_done, collector.is_inverse, left) == (True, inverse, b"xy")
            assert collector.atr[1:] == atr[1:]
    assert atr_length(atr) == len(atr)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.integers(1, 5))
def test_any_bytes_after_a_reset(data, size):
    """Whatever comes after a reset: no exception, at most 33 bytes, the same in any pieces."""
    ends = []
    for step in (size, len(data) or 1):
        collector, left = AtrCollector(), b""
        for at in range(0, len(data), step):
            left += collector.feed(data[at : at + step])
        assert len(collector.atr) <= 33
        ends.append((collector.atr, collector.is_done, collector.failure, left))
    assert ends[0] == ends[1]


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=2, max_size=33).map(lambda tail: b"\x3b" + tail))
def test_length_agrees_with_the_parser(raw):
    """Every ATR that parses is taken as long as it is."""
    try:
        Atr.parse(raw)
    except AtrError:
        return
    assert atr_length(raw) == len(raw)


def test_times():
    """WT of the Vitale is a second, of the CPS (TC2 2A) four; BWT and CWI of T=1 from TB."""
    assert waiting_time(Atr.parse(VITALE_ATR), 372, 3_571_200.0) == pytest.approx(1.0)
    cps = Atr.parse(bytes.fromhex("3BAC00402A001225006480000310009000"))
    assert waiting_time(cps, 372, 3_571_200.0) == pytest.approx(4.2)
    etu = 1 / 9600
    assert block_waiting_time(Atr.parse(T1_DEFAULT), etu, 3_571_200.0) == pytest.approx(1.6 + 11 * etu)
    assert character_waiting_time(Atr.parse(T1_IFSC_254), etu) == pytest.approx(43 * etu)


# ---- whole cards

CPS_DIALOGUE = (
    "00A40404088025000001FF010000",
    "0020000100",
    "00B09C00C0",
    "00A40904023F0000",
    "00A4040C0DE828BD080F8025000001FF0010",
    "002000010831323335FFFFFFFF",
    "002000010831323334FFFFFFFF",
    "002241B606800142840181",
    "002A9E9A20" + bytes(range(32)).hex() + "00",
    "002A90A0079000" + "8003" + b"lot".hex(),
    "00FF0000",
)
VITALE_DIALOGUE = (
    "00A4000C023F00",
    "00B0820000",
    "00A4000000",
    "00A4040C0BD250000002564954414C45",
    "00B0820000",
)


@pytest.mark.parametrize("wiring", list(WIRINGS))
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(("profile", "dialogue"), [(CPS, CPS_DIALOGUE), (VITALE, VITALE_DIALOGUE)])
def test_our_cards_answer_the_same(profile, dialogue, inverse, wiring):
    """What clients send, over a wire of either convention: the answers a Connection gets without it."""
    held, line = phoenix(card(profile), WIRINGS[wiring], inverse=inverse, piece=7)
    through, straight = connection(held), connection(card(profile))
    assert through.atr[1:] == straight.atr[1:]
    assert through.atr[0] == (0x3F if inverse else 0x3B)
    for text in dialogue:
        command = CommandAPDU.parse(bytes.fromhex(text))
        assert through.transmit(command) == straight.transmit(command), text
    assert line.modes[-1][1] is inverse


def test_speed_of_the_vitale():
    """PPS to 38,400 baud; a port that cannot stays at 9,600; the next reset is at 9,600 again."""
    held, line = phoenix(card(VITALE))
    held.power_on()
    assert line.modes[-1] == (38_400, False)
    assert held.transmit(bytes.fromhex("00A4000C023F00")) == b"\x90\0"
    line.fast = False
    held.power_on()
    assert {speed for speed, _odd in line.modes[2:]} == {9600}
    assert held.transmit(bytes.fromhex("00A4000C023F00")) == b"\x90\0"


def test_a_card_that_breaks_its_promise():
    """Mute or nonsense after the PPS request: one more reset, and the default speed."""
    for answer in (b"", b"\xff\x10\x12\xfd", b"\xff\x10\x13\xfd", b"\x00\x00\x00"):
        held, line = listening(VITALE_ATR, answer, b"\x60\x90\x00")
        assert held.power_on() == VITALE_ATR
        assert line.modes[-1] == (9600, False)
        assert held.transmit(bytes.fromhex("00A4000C")) == b"\x90\0"
        assert line.sent[0] == bytes.fromhex("FF1013FC")


def test_specific_mode_and_unknown_protocols():
    """TA2 fixes T=1 and the speed, no PPS is sent; a card of T=14 only is refused."""
    held, line = phoenix(EchoCard(with_tck("3B9013910101")))
    held.power_on()
    assert line.modes[-1] == (38_400, False)
    assert held.transmit(b"\0\xb0\0\0\4") == pattern(4) + b"\x90\0"
    odd, _line = listening(with_tck("3B800E"))
    with pytest.raises(OSError, match="neither"):
        odd.power_on()


@pytest.mark.parametrize("atr", [T1_DEFAULT, T1_IFSC_254, T1_CRC])
def test_t1_cards(atr):
    """Blocks over the wire: all lengths, as T=1 hosts send them, in pieces of any size."""
    held, _line = phoenix(EchoCard(atr), piece=11)
    held.power_on()
    for size in (*range(1, 40), 253, 254, 255):
        assert held.transmit(bytes((0, 0xB0, 0, 0, size))) == pattern(size) + b"\x90\0"
        assert (
            held.transmit(bytes((0, 0x88, 0, 0, size)) + pattern(size) + b"\0") == pattern(size) + b"\x90\0"
        )


def test_t1_over_a_bad_line():
    """Spoilt bytes of the card are asked for again: right answers, or a clean error and a reset."""
    rng = random.Random(7)
    held, line = phoenix(EchoCard(T1_IFSC_254))
    held.power_on()

    def spoil(data: bytes) -> bytes:
        if not data or rng.randrange(4):
            return data
        at = rng.randrange(len(data))
        return data[:at] + bytes((data[at] ^ 4,)) + data[at + 1 :]

    right = 0
    for size in range(1, 200):
        line.spoil = spoil
        try:
            assert held.transmit(bytes((0, 0xB0, 0, 0, size))) == pattern(size) + b"\x90\0"
            right += 1
        except OSError:
            line.spoil = lambda data: data
            held.power_on()
    assert right > 150


# ---- bad lines


@pytest.mark.parametrize("at", range(5))
def test_every_byte_must_come_back(at):
    """A byte that comes back other than it was sent ends the command; a good mirror does not (twin)."""
    for flip in (0, 1):
        held, line = phoenix(card(VITALE))
        session = connection(held)
        feed = line.device.feed
        line.device.feed = lambda raw, feed=feed, flip=flip: _flipped(feed(raw), at, flip)
        command = CommandAPDU(0, 0xA4, 0, 0x0C, b"\x3f\0")
        if flip:
            with pytest.raises(CardMute):
                session.transmit(command)
        else:
            assert session.transmit(command).sw == 0x9000


def _flipped(data: bytes, at: int, flip: int) -> bytes:
    return data[:at] + bytes((data[at] ^ flip,)) + data[at + 1 :] if at < len(data) else data


def test_no_echo_at_all():
    """A line that does not echo is told from a mute card."""
    held, _line = listening(b"\x3b\0", echo=False)
    held.power_on()
    with pytest.raises(TimeoutError, match="does not come back"):
        held.transmit(b"\0\xa4\0\x0c")
    wire = Wire()
    assert wire.send(b"ab") == b"ab"
    assert wire.awaits_mirror
    assert wire.hear(b"abc") == b"c"


def test_nothing_after_an_error():
    """After a failure the card must be reset: a late answer is never taken for the next one."""
    held, _line = listening(b"\x3b\0", b"\x00")
    held.power_on()
    with pytest.raises(OSError, match="procedure byte"):
        held.transmit(b"\0\xa4\0\x0c")
    with pytest.raises(OSError, match="not powered"):
        held.transmit(b"\0\xa4\0\x0c")


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"\x3b\0", VITALE_ATR, T1_DEFAULT]),
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from([b"\xa4", b"\x60", b"\x90\0", b"\0\x80\0\x80", b"\0\xc3\1\1\xc3"]),
        max_size=12,
    ),
    st.booleans(),
)
def test_any_card_any_bytes(atr, answers, echo):
    """Whatever a card says: an answer with a status word or OSError, within the budget."""
    held, line = listening(atr, *answers, echo=echo)
    try:
        held.power_on()
        for _ in range(3):
            begun = line.clock.now
            try:
                assert 2 <= len(held.transmit(b"\0\xa4\0\x0c")) <= 65_538
            finally:
                assert line.clock.now - begun <= BUDGET + 10
    except OSError:
        pass


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.binary(max_size=30) | st.booleans() | st.sampled_from(["E", "O", "N"]), max_size=12),
    st.booleans(),
)
def test_any_host_any_bytes(moves, inverse):
    """Whatever a host does with the lines and sends: no exception, every byte comes back first."""
    device = PhoenixDevice(inverse=inverse)
    device.insert(EchoCard(VITALE_ATR))
    for move in moves:
        if isinstance(move, bool):
            device.set_reset(move)
        elif isinstance(move, str):
            device.set_mode(9600, move)
        else:
            assert device.feed(move)[: len(move)] == move
            while device.command is not None:
                device.answer(device.carry_out(device.command))


def test_a_host_at_the_wrong_speed_is_not_heard():
    """Another baud rate or parity than the card's: the echo, and silence (twin: the right ones)."""
    for speed, parity, heard in (
        (9600, "E", True),
        (19_200, "E", False),
        (9600, "O", False),
        (9700, "E", True),
    ):
        device = PhoenixDevice()
        device.insert(EchoCard())
        device.set_reset(True)
        assert device.set_reset(False) == b"\x3b\0"
        device.set_mode(speed, parity)
        assert device.feed(b"\0\xb0\0\0\1") == b"\0\xb0\0\0\1"
        assert (device.command is not None) is heard


# ---- the reader


def reader_of(*devices):
    """A reader whose lines end in these interfaces."""
    clock = SlowClock()
    lines = [(DeviceLine(device, clock), WIRINGS["phoenix"]) for device in devices]
    return PhoenixReader(lines, 0.005, clock, clock.sleep)


def waits_for(condition):
    """True as soon as it is so; a test that waits for ever fails."""
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def test_cards_come_and_go():
    """CTS tells: a card there from the start, one put in, one pulled out in use; the other slot stays."""
    vitale, cps = PhoenixDevice(), PhoenixDevice()
    vitale.insert(card(VITALE))
    with reader_of(vitale, cps) as reader:
        assert [slot.is_present for slot in reader.slots] == [True, False]
        session = reader.slot("Vitale").connect()
        cps.insert(card(CPS))
        assert waits_for(lambda: reader.slot("CPS").is_present)
        assert reader.slot("CPS").connect().atr[:2] == b"\x3b\xac"
        vitale.remove()
        assert waits_for(lambda: not reader.slot("Vitale").is_present)
        with pytest.raises(CardRemoved):
            session.transmit(CommandAPDU(0, 0xA4, 0, 0x0C))
        assert reader.slot("CPS").is_present


@pytest.mark.parametrize(
    ("slots", "said"),
    [
        ([], "one port per slot"),
        (["", ""], "one port per slot"),
        (["a", "b", "c"], "one port per slot"),
        (["/dev/ttyX", "/dev/ttyX"], "named twice"),
        (["/dev/ttyX:omnikey"], "no interface 'omnikey'"),
        (["/dev/there-is-no-such-port"], "cannot be opened"),
        (["rfc2217://127.0.0.1:1"], "Nobody answers"),
        (["rfc2217://127.0.0.1:x"], "no interface 'x'"),
        (["nonsense://x"], "cannot be opened"),
    ],
)
def test_what_the_driver_refuses(slots, said):
    """One clear sentence for ports that are missing, doubled, unknown or not there."""
    with pytest.raises(ReaderError, match=said):
        open_phoenix(slots)


def test_power_off_holds_the_card_in_reset():
    """Closing a connection forgets the PIN: the card is held in reset."""
    device = PhoenixDevice()
    device.insert(card(CPS))
    with reader_of(device) as reader:
        session = reader.slots[0].connect()
        verify = CommandAPDU.parse(bytes.fromhex("002000010831323334FFFFFFFF"))
        session.transmit(CommandAPDU.parse(bytes.fromhex("00A4040C0DE828BD080F8025000001FF0010")))
        assert session.transmit(verify).sw == 0x9000
        session.close()
        assert device.state == "in reset"
        assert reader.slots[0].connect().transmit(CommandAPDU(0, 0x20, 0, 1)).sw != 0x9000


def test_smartmouse_is_the_other_way_round():
    """A Phoenix host on a Smartmouse interface gets no ATR; the right wiring does (twin)."""
    for name, works in (("smartmouse", True), ("phoenix", False)):
        clock, device = SlowClock(), PhoenixDevice(WIRINGS["smartmouse"])
        device.insert(EchoCard())
        held = PhoenixCard(DeviceLine(device, clock), WIRINGS[name], clock, clock.sleep)
        if works:
            assert held.power_on() == b"\x3b\0"
        else:
            with pytest.raises(TimeoutError):
                held.power_on()
