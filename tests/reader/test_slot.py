"""A slot: presence, events, who may speak."""

from __future__ import annotations

import threading

import pytest

from card.iso7816.apdu import CommandAPDU
from reader.emulated import EmulatedReader
from reader.errors import CardMute, CardProtocolError, CardRemoved, NoCard, ReaderError, SlotBusy, SlotTaken
from reader.slot import Slot

COMMAND = CommandAPDU(0, 0x84, 0, 0, b"", 8)


def test_every_movement_counts(scripted):
    """Insertion and removal each count one event; removing from an empty slot counts none."""
    slot = Slot("CPS")
    seen = [slot.event_counter]
    for step in (lambda: slot.insert(scripted([])), slot.remove, slot.remove):
        step()
        seen.append(slot.event_counter)
    assert seen == [0, 1, 2, 2]
    assert not slot.is_present


def test_an_empty_slot_says_so():
    """Connecting to an empty slot names the slot and what to do; with a card it works."""
    with pytest.raises(NoCard, match="The CPS slot is empty: insert the card"):
        Slot("CPS").connect()


def test_two_cards_do_not_fit(scripted):
    """A second card is refused, the first one stays."""
    slot = Slot("Vitale")
    slot.insert(scripted(["9000"]))
    with pytest.raises(ReaderError, match="already a card in the Vitale slot"):
        slot.insert(scripted([]))
    assert slot.connect().transmit(COMMAND).sw == 0x9000


def test_a_card_put_back_is_a_new_card(scripted):
    """After removal the old connection stays dead, even with the same card back; a new one works."""
    slot, card = Slot("CPS"), scripted(lambda _c: b"\x90\x00")
    slot.insert(card)
    old = slot.connect()
    assert old.transmit(COMMAND).sw == 0x9000
    slot.remove()
    slot.insert(card)
    for act in (lambda: old.transmit(COMMAND), old.reset, old.check):
        with pytest.raises(
            CardRemoved, match="taken out of the CPS slot: put it back and open the session again"
        ):
            act()
    old.close()
    assert slot.connect().transmit(COMMAND).sw == 0x9000


def test_removal_inside_an_exchange(scripted):
    """A card pulled out while it works never delivers its answer."""
    slot = Slot("CPS")

    def pulled(_command: bytes) -> bytes:
        slot.remove()
        return b"\x90\x00"

    card = scripted(pulled)
    slot.insert(card)
    connection = slot.connect()
    with pytest.raises(CardRemoved):
        connection.transmit(COMMAND)
    assert card.power == 0


def test_removal_during_power_on(scripted):
    """A card pulled out while it powers on gives no connection."""
    slot, card = Slot("CPS"), scripted([])
    slot.insert(card)

    def pulled() -> bytes:
        slot.remove()
        return b"\x3b\x00"

    card.power_on = pulled
    with pytest.raises(CardRemoved):
        slot.connect()


def test_a_new_connection_ends_the_old_one(scripted):
    """The newcomer gets a reset card; the former session is told, and cannot switch the card off."""
    slot, card = Slot("CPS"), scripted(lambda _c: b"\x90\x00")
    slot.insert(card)
    old = slot.connect()
    new = slot.connect()
    with pytest.raises(SlotTaken, match="session on the CPS slot has ended: open it again"):
        old.transmit(COMMAND)
    old.close()
    assert new.transmit(COMMAND).sw == 0x9000
    assert card.power == 1


def test_closing_cuts_the_power(scripted):
    """A closed connection leaves no powered card, and cannot be used again."""
    slot, card = Slot("CPS"), scripted(lambda _c: b"\x90\x00")
    slot.insert(card)
    connection = slot.connect()
    connection.close()
    assert card.power == 0
    with pytest.raises(SlotTaken):
        connection.transmit(COMMAND)
    connection.close()


def test_reset_reads_the_atr_again(scripted):
    """A reset gives the new answer to reset and keeps the connection."""
    slot, card = Slot("CPS"), scripted(lambda _c: b"\x90\x00")
    slot.insert(card)
    connection = slot.connect()
    card.atr = bytes.fromhex("3B0102")
    connection.reset()
    assert (connection.atr, connection.resets) == (card.atr, 1)
    assert connection.transmit(COMMAND).sw == 0x9000


@pytest.mark.parametrize("atr", [b"", b"\x3b", b"\x00" * 8, b"\x3b" + bytes(33), b"\x3b" + bytes(70_000)])
def test_impossible_atr(scripted, atr):
    """An answer to reset that cannot be one is refused at once (attack R13); the twin is a minimal one."""
    slot = Slot("Vitale")
    slot.insert(scripted([], atr))
    with pytest.raises(CardProtocolError, match="Vitale slot"):
        slot.connect()


@pytest.mark.parametrize("atr", [b"\x3b\x00", b"\x3f\x00", b"\x3b" + bytes(32)])
def test_possible_atr(scripted, atr):
    """The shortest and the longest answer to reset are taken."""
    slot = Slot("Vitale")
    slot.insert(scripted([], atr))
    assert slot.connect().atr == atr


@pytest.mark.parametrize("failure", [TimeoutError, ConnectionResetError, OSError])
def test_a_silent_card_is_mute(scripted, failure):
    """A link that fails gives CardMute in one sentence, during power-on and during an exchange."""

    def silent(_command: bytes) -> bytes:
        raise failure

    slot, card = Slot("CPS"), scripted(silent)
    slot.insert(card)
    connection = slot.connect()
    with pytest.raises(CardMute, match="card in the CPS slot does not answer"):
        connection.transmit(COMMAND)
    card.rule = lambda _c: b"\x90\x00"  # R11: a late answer is never taken for the next one
    with pytest.raises(SlotTaken):
        connection.transmit(COMMAND)
    assert slot.connect().transmit(COMMAND).sw == 0x9000
    card.power_on = silent.__get__(b"")
    with pytest.raises(CardMute):
        slot.connect()


def test_exclusive_is_exclusive(scripted):
    """Two threads, one card, many rounds: no command of one falls between the commands of the other."""
    card = scripted(lambda _c: b"\x90\x00")
    slot = Slot("CPS")
    slot.insert(card)
    connection = slot.connect()

    def work(mark: int) -> None:
        for _ in range(50):
            with connection.exclusive():
                for step in range(4):
                    connection.transmit(CommandAPDU(0, 0x84, mark, step))

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rounds = [card.commands[at : at + 4] for at in range(0, len(card.commands), 4)]
    assert len(rounds) == 200
    assert all(len({command[2] for command in one}) == 1 for one in rounds)
    assert all([command[3] for command in one] == [0, 1, 2, 3] for one in rounds)


def test_waiting_for_the_owner_has_an_end(scripted):
    """A thread does not wait for ever for a slot that another keeps, and the other slot stays usable."""
    reader = EmulatedReader()
    for slot in reader.slots:
        slot.insert(scripted(lambda _c: b"\x90\x00"))
    vitale, cps = (slot.connect() for slot in reader.slots)
    cps.exclusive().wait = 0.01
    taken, done = threading.Event(), threading.Event()

    def keep() -> None:
        with cps.exclusive():
            taken.set()
            done.wait(5)

    holder = threading.Thread(target=keep)
    holder.start()
    taken.wait(5)
    with pytest.raises(SlotBusy, match="CPS slot is still in use"):
        cps.transmit(COMMAND)
    assert vitale.transmit(COMMAND).sw == 0x9000
    reader.slot("CPS").remove()  # pulling the card waits for nobody
    done.set()
    holder.join()
    with pytest.raises(CardRemoved):
        cps.transmit(COMMAND)


def test_a_holder_that_fails_gives_the_slot_back(scripted):
    """An error inside exclusive() releases the slot."""
    slot = Slot("CPS")
    slot.insert(scripted(lambda _c: b"\x90\x00"))
    connection = slot.connect()
    with pytest.raises(ZeroDivisionError), connection.exclusive():
        raise ZeroDivisionError
    answers = []
    thread = threading.Thread(target=lambda: answers.append(connection.transmit(COMMAND).sw))
    thread.start()
    thread.join()
    assert answers == [0x9000]


def test_reader_names_its_slots():
    """A slot is found by its name whatever the case; an unknown one is refused with the names there are."""
    reader = EmulatedReader()
    assert reader.slot("cps") is reader.slots[1]
    with pytest.raises(ReaderError, match="no SAM slot: use one of Vitale, CPS"):
        reader.slot("SAM")


def test_reader_takes_cards_out_at_the_end(scripted):
    """Leaving the reader's block empties its slots."""
    with EmulatedReader() as reader:
        reader.insert("Vitale", scripted([]))
        assert reader.slots[0].is_present
    assert not reader.slots[0].is_present
