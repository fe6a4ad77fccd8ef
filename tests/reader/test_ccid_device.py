"""The emulated reader at CCID level: every command answered as the standard says, whatever happens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.contacts import TpduLink
from reader.ccid import frames
from reader.ccid.device import CcidDevice
from reader.ccid.events import AskPin, EntryEnded, PowerChanged, Send
from reader.ccid.frames import Answer, Command, Error, Icc, ParametersT0, ParametersT1, Type
from reader.pinpad import CANCELLED, TIMED_OUT, Digits, Entered, PinEntry
from tests.reader.byte_cards import EchoCard

VITALE_ATR = bytes.fromhex("3B751300004309EA9000")
SPEEDY = bytes.fromhex("FF1013FC")


class FakeLink:
    """Answers with a rule; notes what was done to it."""

    def __init__(self, rule=lambda data: b"\x90\x00", atr=VITALE_ATR):
        self.rule, self.atr, self.protocol = rule, atr, 0
        self.seen: list[bytes] = []
        self.power = 0

    def power_on(self):
        self.power += 1
        return self.atr

    def power_off(self):
        self.power = 0

    def set_protocol(self, number):
        self.protocol = number

    def exchange(self, data):
        self.seen.append(data)
        answer = self.rule(data)
        if isinstance(answer, Exception):
            raise answer
        return answer


def told(events):
    """The only answer among the events."""
    (sent,) = [event for event in events if isinstance(event, Send)]
    return Answer.parse(sent.data)


def ask(device, command):
    return told(device.feed(command.to_bytes()))


@pytest.fixture
def link():
    return FakeLink()


@pytest.fixture
def device(link):
    """Two slots, the first with a card, a keypad."""
    device = CcidDevice(2, pad=True)
    device.insert(0, link)
    return device


@pytest.fixture
def powered(device):
    assert ask(device, frames.power_on(0, 0)).data == VITALE_ATR
    return device


def test_power_and_state(device, link):
    """Absent, inactive, active and back; the caller hears of power once."""
    assert ask(device, Command(Type.GET_SLOT_STATUS, 1, 1)).icc == Icc.ABSENT
    state = ask(device, Command(Type.GET_SLOT_STATUS, 0, 2))
    assert (state.type, state.icc, state.specific) == (Type.SLOT_STATUS, Icc.INACTIVE, 1)
    events = device.feed(frames.power_on(0, 3).to_bytes())
    assert PowerChanged(0, True) in events
    assert (told(events).data, told(events).icc, told(events).seq) == (VITALE_ATR, Icc.ACTIVE, 3)
    assert device.feed(frames.power_on(0, 4).to_bytes())[0].__class__ is Send  # a reset is no news
    off = device.feed(Command(Type.POWER_OFF, 0, 5).to_bytes())
    assert PowerChanged(0, False) in off
    assert (told(off).icc, told(off).failed, link.power) == (Icc.INACTIVE, False, 0)
    assert ask(device, Command(Type.POWER_OFF, 1, 6)).icc == Icc.ABSENT


@pytest.mark.parametrize(
    ("atr", "error"),
    [
        (b"", Error.ICC_MUTE),
        (b"\x3b", Error.ICC_MUTE),
        (bytes(34), Error.ICC_MUTE),
        (b"\x03\x00", Error.BAD_ATR_TS),
    ],
)
def test_an_impossible_atr_leaves_the_card_without_power(atr, error):
    """Mute, too long or no TS: the command fails, the card is inactive; a good one is active."""
    device = CcidDevice(1)
    device.insert(0, FakeLink(atr=atr))
    answer = ask(device, frames.power_on(0, 1))
    assert (answer.failed, answer.error, answer.icc) == (True, error, Icc.INACTIVE)
    assert not device.is_active(0)


def test_a_transfer_reaches_the_card(powered, link):
    """XfrBlock carries a TPDU to the card and the answer back under the same bSeq."""
    link.rule = lambda data: b"AB\x90\x00"
    answer = ask(powered, frames.transfer(0, 77, bytes.fromhex("00B0000002")))
    assert (answer.type, answer.seq, answer.data, link.seen[-1].hex()) == (
        0x80,
        77,
        b"AB\x90\x00",
        "00b0000002",
    )


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (lambda data: TimeoutError(), Error.ICC_MUTE),
        (lambda data: OSError("gone"), Error.ICC_MUTE),
        (lambda data: b"", Error.ICC_MUTE),
        (lambda data: bytes(260), Error.OVERRUN),
    ],
)
def test_what_a_bad_card_does_becomes_an_error(powered, link, rule, error):
    """A mute, broken or talkative card: bError, and the next command works again."""
    good, link.rule = link.rule, rule
    assert ask(powered, frames.transfer(0, 1, b"\0" * 5)).error == error
    link.rule = good
    assert ask(powered, frames.transfer(0, 2, b"\0" * 5)).data == b"\x90\x00"


REFUSED = [
    (Command(Type.XFR_BLOCK, 0, 1), Error.BAD_LENGTH),
    (frames.transfer(0, 1, b"\0" * 5, level=1), Error.BAD_LEVEL),
    (frames.transfer(1, 1, b"\0" * 5), Error.ICC_MUTE),
    (frames.power_on(0, 1, 4), Error.BAD_PARAMETER_7),
    (frames.power_on(1, 1), Error.ICC_MUTE),
    (Command(Type.SET_PARAMETERS, 0, 1, b"\x02\0\0", bytes(5)), Error.BAD_PARAMETER_7),
    (Command(Type.SET_PARAMETERS, 0, 1, b"\0\0\0", bytes(7)), Error.BAD_LENGTH),
    (frames.set_parameters(0, 1, ParametersT0(speed=0x73)), 10),
    (frames.set_parameters(0, 1, ParametersT0(convention=0xFF)), 11),
    (frames.set_parameters(0, 1, ParametersT0(clock_stop=4)), 14),
    (frames.set_parameters(0, 1, ParametersT1()), Error.PROTOCOL_NOT_SUPPORTED),
    (frames.set_parameters(0, 1, ParametersT1(checksum=0)), 11),
    (frames.set_parameters(0, 1, ParametersT1(ifsc=255)), 15),
    (Command(Type.GET_PARAMETERS, 1, 1), Error.ICC_MUTE),
    (Command(Type.ICC_CLOCK, 0, 1, b"\x02\0\0"), Error.BAD_PARAMETER_7),
    (Command(Type.ESCAPE, 0, 1, b"\0\0\0", b"\x99"), Error.NOT_SUPPORTED),
    (Command(Type.T0_APDU, 0, 1), Error.NOT_SUPPORTED),
    (Command(Type.MECHANICAL, 0, 1), Error.NOT_SUPPORTED),
    (Command(Type.ABORT, 0, 1), Error.NOT_SUPPORTED),
    (Command(Type.SET_DATA_RATE, 0, 1, b"\0\0\0", bytes(8)), Error.NOT_SUPPORTED),
    (Command(0x00, 0, 1), Error.NOT_SUPPORTED),
    (frames.secure(0, 1, b"\x00"), 1),
    (frames.secure(0, 1, b"\x02" + bytes(20)), 10),
    (frames.secure(1, 1, PinEntry.for_cps().to_ccid()), Error.ICC_MUTE),
]


@pytest.mark.parametrize(("command", "error"), REFUSED)
def test_refusals_have_the_right_error(powered, command, error):
    """What cannot be done fails with the offset or reason of 6.2.6, in the answer of its own command."""
    answer = ask(powered, command)
    assert (answer.failed, answer.error, answer.seq, answer.slot) == (True, error, 1, command.slot)
    assert answer.type == frames.ANSWERED_BY.get(command.type, Type.SLOT_STATUS)
    assert ask(powered, frames.transfer(0, 2, b"\0" * 5)).data == b"\x90\x00"


def test_parameters_are_kept_and_reset(powered, link):
    """SetParameters is answered with what is in force; Get says it, Reset forgets it; T=1 only if offered."""
    fast = ParametersT0(0x13)
    assert ask(powered, frames.set_parameters(0, 1, fast)).data == fast.to_bytes()
    kept = ask(powered, Command(Type.GET_PARAMETERS, 0, 2))
    assert (kept.type, kept.specific, kept.data) == (Type.PARAMETERS, 0, fast.to_bytes())
    assert ask(powered, Command(Type.RESET_PARAMETERS, 0, 3)).data == ParametersT0().to_bytes()
    link.atr = bytes.fromhex("3B800181")
    assert ask(powered, frames.power_on(0, 4)).data == link.atr
    assert ask(powered, frames.set_parameters(0, 5, ParametersT1())).specific == 1
    assert link.protocol == 1


def test_the_clock_is_said(powered):
    """IccClock stops and restarts; without power it has nothing to stop."""
    assert ask(powered, Command(Type.ICC_CLOCK, 0, 1, b"\x01\0\0")).specific == 1
    assert ask(powered, Command(Type.ICC_CLOCK, 0, 2)).specific == 0
    assert ask(powered, Command(Type.ICC_CLOCK, 1, 3)).error == Error.ICC_MUTE


def test_a_reader_that_negotiates_by_itself():
    """With automatic PPS the reader asks for the speed of TA1 at power-on; a refusing card stays at 372."""
    for rule, speed in (
        (lambda data: data, 0x13),
        (lambda data: TimeoutError(), 0x11),
        (lambda data: b"?", 0x11),
    ):
        link = FakeLink(rule)
        device = CcidDevice(1, auto=True)
        device.insert(0, link)
        assert ask(device, frames.power_on(0, 1)).data == VITALE_ATR
        assert link.seen == [SPEEDY]
        assert ask(device, Command(Type.GET_PARAMETERS, 0, 2)).data[0] == speed


# ---- PIN entry

VERIFY = PinEntry.for_cps().to_ccid()


def asked(device, seq=9, slot=0, data=VERIFY):
    events = device.feed(frames.secure(slot, seq, data).to_bytes())
    assert [type(event) for event in events] == [AskPin]
    return events[0].entry


def test_digits_go_to_the_card_and_not_to_the_host(powered, link):
    """The command is filled with the digits, the host gets the status word under the bSeq of its Secure."""
    assert asked(powered) == PinEntry.for_cps()
    digits = Digits("1234")
    events = powered.enter(0, Entered(digits))
    assert EntryEnded(0, b"\x90\x00") in events
    assert (told(events).seq, told(events).data) == (9, b"\x90\x00")
    assert link.seen[-1] == bytes.fromhex("002000010831323334FFFFFFFF")
    assert digits.reveal() == bytes(4)
    assert powered.enter(0, Entered(Digits("1234"))) == []


@pytest.mark.parametrize(("outcome", "error"), [(CANCELLED, 0xEF), (TIMED_OUT, 0xF0)])
def test_no_digits(powered, link, outcome, error):
    """Cancelled is EF, nothing in time F0; the card has seen nothing."""
    asked(powered)
    answer = told(powered.enter(0, outcome))
    assert (answer.failed, answer.error, answer.seq, link.seen) == (True, error, 9, [])


def test_wrong_digits_never_reach_the_card(powered, link):
    """Too few digits and different new PINs get 6403 and 6402 of the reader itself."""
    asked(powered)
    assert told(powered.enter(0, Entered(Digits("123")))).data == b"\x64\x03"
    change = PinEntry("modify", bytes.fromhex("0024000110") + b"\xff" * 16, block_string=8, maximum=4)
    asked(powered, data=change.to_ccid())
    typed = Entered(Digits("1234"), Digits("5678"), Digits("5679"))
    assert told(powered.enter(0, typed)).data == b"\x64\x02"
    assert link.seen == []


def test_while_digits_are_awaited_the_card_is_busy(powered):
    """Every use of the card is 'slot busy', its state can be asked, the other slot works."""
    powered.insert(1, FakeLink())
    asked(powered)
    busy = [
        frames.power_on(0, 1),
        Command(Type.POWER_OFF, 0, 1),
        frames.transfer(0, 1, b"\0" * 5),
        frames.secure(0, 1, VERIFY),
        Command(Type.GET_PARAMETERS, 0, 1),
        Command(Type.RESET_PARAMETERS, 0, 1),
        frames.set_parameters(0, 1, ParametersT0()),
    ]
    for command in busy:
        assert ask(powered, command).error == Error.SLOT_BUSY
    assert not ask(powered, Command(Type.GET_SLOT_STATUS, 0, 2)).failed
    assert ask(powered, frames.power_on(1, 3)).data == VITALE_ATR
    more = told(powered.extend())
    assert (more.wants_time, more.seq) == (True, 9)
    assert told(powered.enter(0, Entered(Digits("1234")))).data == b"\x90\x00"


def test_pulling_the_card_ends_the_entry(powered):
    """The card leaves while digits are awaited: mute and absent; a host that is gone is told nothing."""
    asked(powered)
    events = powered.remove(0)
    assert EntryEnded(0) in events
    assert (told(events).error, told(events).icc) == (Error.ICC_MUTE, Icc.ABSENT)
    powered.insert(0, FakeLink())
    ask(powered, frames.power_on(0, 1))
    asked(powered)
    assert powered.give_up_entries() == [EntryEnded(0)]


def test_a_t1_card_gets_its_pin_in_a_block(device, link):
    """bTeoPrologue gives NAD and PCB, the reader length and check byte."""
    link.atr = bytes.fromhex("3B800181")
    link.rule = lambda data: bytes.fromhex("000002900092")
    ask(device, frames.power_on(0, 0))
    ask(device, frames.set_parameters(0, 1, ParametersT1()))
    data = bytearray(VERIFY)
    data[12:15] = b"\x00\x40\x0d"
    asked(device, data=bytes(data))
    events = device.enter(0, Entered(Digits("1234")))
    block = link.seen[-1]
    assert block[:3] == b"\x00\x40\x0d"
    assert block[3:-1] == bytes.fromhex("002000010831323334FFFFFFFF")
    check = 0
    for byte in block:
        check ^= byte
    assert check == 0
    assert EntryEnded(0, b"\x90\x00") in events


def test_a_reader_without_keypad_has_no_secure_command():
    """Secure is not supported there; with a keypad it is."""
    device = CcidDevice(1)
    device.insert(0, FakeLink())
    ask(device, frames.power_on(0, 0))
    assert ask(device, frames.secure(0, 1, VERIFY)).error == Error.NOT_SUPPORTED


# ---- anything at all

message = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda kind, slot, seq, rest, data: Command(kind, slot, seq, rest, data).to_bytes(),
        st.sampled_from(list(Type)),
        st.integers(0, 3),
        st.integers(0, 255),
        st.binary(min_size=3, max_size=3),
        st.one_of(st.binary(max_size=30), st.just(VERIFY), st.just(SPEEDY)),
    ),
)


@given(steps=st.lists(st.one_of(message, st.sampled_from(["in", "out", "pin", "cancel"])), max_size=25))
@settings(max_examples=150, deadline=None)
def test_any_host_gets_one_answer_to_each_command(steps):
    """Whatever comes, in any order, with cards moving: each command is answered once, with its own seq."""
    device = CcidDevice(2, pad=True)
    card = EchoCard()
    for step in steps:
        if step == "in":
            device.insert(0, TpduLink(card))
        elif step == "out":
            device.remove(0)
        elif step == "pin":
            device.enter(0, Entered(Digits("1234")))
        elif step == "cancel":
            device.enter(0, CANCELLED)
        else:
            waiting = device.pending(0), device.pending(1)
            events = device.feed(step)
            sent = [Answer.parse(event.data) for event in events if isinstance(event, Send)]
            asks = [event for event in events if isinstance(event, AskPin)]
            assert len(sent) + len(asks) == (len(step) >= 7)
            assert all((answer.slot, answer.seq) == (step[5], step[6]) for answer in sent)
            assert not asks or waiting[asks[0].slot] is None
