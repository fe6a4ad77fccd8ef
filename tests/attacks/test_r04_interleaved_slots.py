"""R4: slots interleaved. pcsc-lite 2.5.0 mixed up the slots of readers with several; CCID 1.10, 6 (bSlot).

Two cards in one reader, commands in any order, chains and PIN entries half done in one slot: each card hears
only its own commands, each answer carries its slot, and what happens to one card is nothing to the other.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.contacts import TpduLink
from reader.ccid.device import CcidDevice
from reader.ccid.events import AskPin, Send
from reader.ccid.frames import Answer, Command, Error, Type, power_on, secure, transfer
from reader.pinpad import CANCELLED, Digits, Entered, PinEntry
from tests.card.bench import cps_items, powered, vitale_items
from tests.reader.byte_cards import EchoCard
from tests.reader.host_bench import emulated, reader_on


class Marked(EchoCard):
    """Answers READ with its own mark."""

    def __init__(self, mark: int) -> None:
        super().__init__()
        self.mark = bytes((mark,))

    def transmit(self, apdu: bytes) -> bytes:
        self.log.append(apdu)
        return self.mark * (apdu[4] or 256) + b"\x90\x00" if apdu[1] == 0xB0 else b"\x90\x00"


def two_cards() -> tuple[CcidDevice, list[Marked]]:
    device, cards = CcidDevice(2, pad=True), [Marked(0xA0), Marked(0xB1)]
    for slot, card in enumerate(cards):
        device.insert(slot, TpduLink(card))
        device.feed(power_on(slot, 0).to_bytes())
    return device, cards


def said(events) -> Answer:
    return Answer.parse(next(event.data for event in events if isinstance(event, Send)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 255), st.integers(1, 255)), max_size=40))
def test_r04_each_card_hears_its_own_commands(steps):
    """Any order of slots, numbers, lengths: the right mark, slot and number in each answer."""
    device, cards = two_cards()
    expected: list[list[bytes]] = [[], []]
    for slot, seq, size in steps:
        command = b"\0\xb0\0\0" + bytes((size,))
        expected[slot].append(command)
        answer = said(device.feed(transfer(slot, seq, command).to_bytes()))
        assert (answer.slot, answer.seq) == (slot, seq)
        assert answer.data == cards[slot].mark * size + b"\x90\x00"
    assert [card.log for card in cards] == expected


def test_r04_a_pin_entry_in_one_slot_leaves_the_other_alone():
    """While a person types for slot 0, slot 1 works; slot 0 says busy (twin: then not)."""
    device, cards = two_cards()
    events = device.feed(secure(0, 5, PinEntry.for_cps().to_ccid()).to_bytes())
    assert [type(event) for event in events] == [AskPin]
    for seq in range(20):
        assert said(device.feed(transfer(1, seq, b"\0\xb0\0\0\1").to_bytes())).data == b"\xb1\x90\x00"
        busy = said(device.feed(transfer(0, seq, b"\0\xb0\0\0\1").to_bytes()))
        assert (busy.error, busy.slot) == (Error.SLOT_BUSY, 0)
    answer = said([event for event in device.enter(0, Entered(Digits("1234"))) if isinstance(event, Send)])
    assert (answer.slot, answer.seq, answer.data) == (0, 5, b"\x90\x00")
    assert cards[0].log == [b"\0\x20\0\1\x08" + b"1234" + b"\xff" * 4]
    assert not any(command[1] == 0x20 for command in cards[1].log)


def test_r04_digits_go_to_the_slot_that_asked():
    """Two entries at once: each outcome belongs to its own slot, in any order."""
    device, cards = two_cards()
    for slot in (0, 1):
        device.feed(secure(slot, 10 + slot, PinEntry.for_cps().to_ccid()).to_bytes())
    second = device.enter(1, Entered(Digits("4321")))
    assert (said(second).slot, said(second).seq) == (1, 11)
    first = device.enter(0, CANCELLED)
    assert (said(first).slot, said(first).error) == (0, Error.PIN_CANCELLED)
    assert [len(card.log) for card in cards] == [0, 1]
    assert device.enter(0, Entered(Digits("1111"))) == []  # nobody asks any more


def test_r04_power_and_removal_are_per_slot():
    """Power off, removal and insertion of one card: the other keeps its power and goes on."""
    device, cards = two_cards()
    device.feed(Command(Type.POWER_OFF, 0, 1).to_bytes())
    assert not said(device.feed(transfer(1, 2, b"\0\xb0\0\0\1").to_bytes())).failed
    device.remove(0)
    device.insert(0, TpduLink(Marked(0xC2)))
    assert not said(device.feed(transfer(1, 3, b"\0\xb0\0\0\1").to_bytes())).failed
    assert said(device.feed(transfer(0, 4, b"\0\xb0\0\0\1").to_bytes())).failed
    assert len(cards[1].log) == 2


def test_r04_a_vitale_and_a_cps_interleaved():
    """Our own cards: a chain and a waiting answer in one are not disturbed by commands to the other."""
    device = CcidDevice(2)
    device.insert(0, TpduLink(powered(vitale_items()).card))
    device.insert(1, TpduLink(powered(cps_items()).card))

    def send(slot: int, command: str) -> bytes:
        return said(device.feed(transfer(slot, 0, bytes.fromhex(command)).to_bytes())).data

    for slot in (0, 1):
        device.feed(power_on(slot, 0).to_bytes())
    assert send(1, "00A4040C0DE828BD080F8025000001FF0010") == b"\x90\x00"
    assert send(1, "002000010831323334FFFFFFFF") == b"\x90\x00"
    assert send(1, "002241B606800142840181") == b"\x90\x00"
    assert send(1, "102A9E9A10" + "11" * 16) == b"\x90\x00"
    assert send(0, "00B0820008") == b"identity\x90\x00"
    assert send(1, "002A9E9A10" + "11" * 16) == b"\x61\x00"
    assert send(0, "00C0000000") == b"\x69\x85"
    assert len(send(1, "00C0000000")) == 258


@pytest.mark.parametrize("seed", range(3))
def test_r04_through_the_whole_driver(seed):
    """Both ends: the gempc driver on our two-slot reader, sessions of both slots in random order."""
    cards = [Marked(0xA0), Marked(0xB1)]
    rng = random.Random(seed)
    from card.iso7816.apdu import CommandAPDU

    with reader_on(emulated("sec1210", *cards)) as reader:
        connections = [reader.slot(name).connect() for name in ("Vitale", "CPS")]
        for _ in range(100):
            slot, size = rng.randrange(2), rng.randrange(1, 257)
            answer = connections[slot].transmit(CommandAPDU(0, 0xB0, 0, 0, b"", size))
            assert answer.data == cards[slot].mark * size
