"""A card that other programs share is kept for its owner; a reader with a PIN pad asks for the PIN itself."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from card.iso7816.apdu import CommandAPDU
from reader.errors import CardMute, CardRemoved, NoPinPad, ReaderError, SlotBusy, SlotTaken
from reader.reader import Reader
from reader.slot import PadCard, SharedCard, Slot
from reader.trace import Trace

COMMAND = CommandAPDU(0, 0x84, 0, 0, b"", 8)
OK = b"\x90\x00"


class Shared:
    """Keeps a diary of what the slot asks; `failing[call]` is what that call raises."""

    def __init__(self):
        self.diary: list[str] = []
        self.failing: dict[str, BaseException] = {}

    def _note(self, call):
        self.diary.append(call)
        if call in self.failing:
            raise self.failing[call]

    def power_on(self):
        self._note("on")
        return b"\x3b\x00"

    def power_off(self):
        self._note("off")

    def transmit(self, _apdu):
        self._note("apdu")
        return OK

    def begin(self):
        self._note("begin")

    def end(self):
        self._note("end")


@dataclass
class Entry:
    """As much of a PinEntry as a slot looks at."""

    apdu_template: bytes = bytes.fromhex("0020000108") + b"\xff" * 8


class Pad(Shared):
    """Also asks for the PIN."""

    status = OK

    def verify_on_pad(self, _entry):
        self._note("pad")
        return self.status


def slot_with(card):
    slot = Slot("CPS")
    slot.insert(card)
    return slot


def test_the_card_is_kept_at_the_outermost_level_only():
    """One begin and one end around a whole exclusive block, connection included; the reset is power_on's."""
    card = Shared()
    connection = slot_with(card).connect()
    with connection.exclusive():
        connection.transmit(COMMAND)
        with connection.exclusive():
            connection.transmit(COMMAND)
    assert card.diary == ["begin", "on", "end", "begin", "apdu", "apdu", "end"]


def test_a_command_alone_is_kept_too():
    """61xx and its GET RESPONSE belong together: every transmit is exclusive by itself."""
    card = Shared()
    slot_with(card).connect().transmit(COMMAND)
    assert card.diary[3:] == ["begin", "apdu", "end"]


def test_a_card_that_others_keep_is_busy():
    """TimeoutError at begin is SlotBusy, and nothing else was tried; when they let go the session goes on."""
    card = Shared()
    connection = slot_with(card).connect()
    card.failing["begin"] = TimeoutError()
    with pytest.raises(SlotBusy, match="CPS slot is still in use"):
        connection.transmit(COMMAND)
    assert card.diary[3:] == ["begin"]
    card.failing.clear()
    assert connection.transmit(COMMAND).sw == 0x9000


@pytest.mark.parametrize(
    ("failure", "heard"),
    [(SlotTaken("CPS"), SlotTaken), (CardRemoved("CPS"), CardRemoved), (OSError(), CardMute)],
)
def test_what_begin_finds_ends_the_connection(failure, heard):
    """A reset by others, a card gone, a dead link: said by every next call; a new connection works."""
    card = Shared()
    slot = slot_with(card)
    connection = slot.connect()
    card.failing["begin"] = failure
    for act in (lambda: connection.transmit(COMMAND), connection.check):
        with pytest.raises(heard):
            act()
    card.failing.clear()
    with pytest.raises(heard):
        connection.transmit(COMMAND)
    assert "apdu" not in card.diary
    assert slot.connect().transmit(COMMAND).sw == 0x9000


def test_a_new_session_does_not_trip_over_the_old_one():
    """connect() resets the card whatever begin has found out about the former session."""
    card = Shared()
    slot = slot_with(card)
    slot.connect()
    card.failing["begin"] = SlotTaken("CPS")
    assert slot.connect().atr == b"\x3b\x00"


def test_what_a_link_knows_better_is_said():
    """A ReaderError of the card passes as it is and ends the connection; an end that fails is no matter."""
    card = Shared()
    connection = slot_with(card).connect()
    card.failing = {"apdu": ReaderError("The PC/SC service has stopped: start it."), "end": OSError()}
    for _ in range(2):
        with pytest.raises(ReaderError, match=r"^The PC/SC service has stopped"):
            connection.transmit(COMMAND)
    assert card.diary.count("apdu") == 1


def test_the_end_is_said_to_the_card_that_was_kept():
    """A card swapped inside an exclusive block: the one that was begun is let go."""
    first, second = Shared(), Shared()
    slot = slot_with(first)
    connection = slot.connect()
    with connection.exclusive():
        slot.remove()
        slot.insert(second)
        with pytest.raises(CardRemoved):
            connection.transmit(COMMAND)
    assert first.diary[-2:] == ["off", "end"]
    assert not second.diary


def test_a_plain_card_has_neither_ability(scripted):
    """Abilities are found, never assumed; without a pad the sentence says what to do instead."""
    card = scripted([])
    assert not isinstance(card, SharedCard | PadCard)
    connection = slot_with(card).connect()
    assert not connection.has_pad
    with pytest.raises(NoPinPad, match="type the PIN on the keyboard"):
        connection.verify_on_pad(Entry())
    connection.check()


@pytest.mark.parametrize("status", ["9000", "63C2", "6983", "6400", "6401", "6403"])
def test_the_pad_gives_a_status(status):
    """The status word comes back as an answer, kept exclusive, and traced without anything secret."""
    card, trace = Pad(), Trace()
    card.status = bytes.fromhex(status)
    slot = slot_with(card)
    slot.observe(trace)
    connection = slot.connect()
    assert connection.has_pad
    assert connection.verify_on_pad(Entry()).to_bytes().hex().upper() == status
    assert card.diary[3:] == ["begin", "pad", "end"]
    assert trace.lines()[-1].startswith(f"CPS    VERIFY 0001 data **** → {status}")


def test_any_reader_has_named_slots(scripted):
    """Reader is what drivers build on: slots by name, observers, everything let go at the end."""
    with Reader(("CPS",)) as reader:
        reader.slot("cps").insert(scripted([]))
    assert not reader.slots[0].is_present
    with pytest.raises(ReaderError, match="no Vitale slot: use one of CPS"):
        reader.slot("Vitale")
