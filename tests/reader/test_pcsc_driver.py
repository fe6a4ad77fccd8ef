"""The PC/SC driver against a service in memory: codes, hot plug, other programs, restarts, PIN pads."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reader.pcsc
import reader.transport.pcsc
from card.iso7816.apdu import CommandAPDU
from reader.errors import (
    CardMute,
    CardProtocolError,
    CardRemoved,
    NoCard,
    NoPinPad,
    ReaderError,
    SlotBusy,
    SlotTaken,
)
from reader.pcsc import PcscReader, open_pcsc
from reader.pcsc_errors import CardInUse, ReaderGone, ServiceStopped
from reader.pinpad import PinEntry
from reader.transport.pcsc import bounded
from tests.reader.fake_scard import ATR_CPS, ATR_VITALE, FakeCard, FakeScard

COMMAND = CommandAPDU(0, 0x84, 0, 0, b"", 8)
FIRST, SECOND = "Twin 00 00", "Twin 00 01"
FEATURES, VERIFY = 0x42000000 + 3400, 0x42330006
PAD = {FEATURES: bytes.fromhex("060442330006")}


@pytest.fixture
def scard(monkeypatch):
    """Two readers, a Vitale in the first and a CPS in the second."""
    fake = FakeScard()
    fake.plug(FIRST, FakeCard(ATR_VITALE))
    fake.plug(SECOND, FakeCard(ATR_CPS))
    monkeypatch.setattr(reader.transport.pcsc, "library", lambda: fake)
    monkeypatch.setattr(reader.pcsc, "library", lambda: fake)
    monkeypatch.setattr(reader.pcsc, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(reader.pcsc, "BREATH", 0.001)
    monkeypatch.setattr(reader.pcsc, "PATIENCE_MS", 300)
    return fake


@pytest.fixture
def two(scard):
    """The driver on both readers; others are waited for a moment only."""
    with PcscReader(["Twin"], wait=0.3) as opened:
        yield opened


def until(what):
    """Wait until the watch has seen it."""
    end = time.monotonic() + 5
    while not what():
        assert time.monotonic() < end, "the watch did not notice"
        time.sleep(0.002)


def test_slots_are_filled_at_once(two):
    """The cards that are there when the driver starts are in their slots when it returns."""
    assert [slot.connect().atr for slot in two.slots] == [ATR_VITALE, ATR_CPS]
    assert two.slot("CPS").connect().transmit(COMMAND).sw == 0x9000


def test_a_connection_starts_with_a_fresh_card(two, scard):
    """Off and on inside a transaction: nobody's PIN is inherited; the end resets the card."""
    card = scard.readers[SECOND].card
    scard.calls.clear()
    connection = two.slot("CPS").connect()
    assert [c for c in scard.calls if c not in ("wait", "list")] == [
        "establish", "connect", "begin", "reset2", "control", "status", "end",
    ]  # fmt: skip
    assert card.resets == 1
    connection.close()
    assert card.resets == 2
    assert not scard.readers[SECOND].handles


def test_a_reader_is_asked_for_its_pad_once(two, scard):
    """What a reader can do is remembered as long as it is plugged in."""
    for _ in range(3):
        two.slot("CPS").connect().close()
    assert scard.calls.count("control") == 1


def test_a_card_pulled_and_put_back_is_new(two, scard):
    """Seen in between or not: the old connection is dead, a new one works."""
    cps = two.slot("CPS")
    for move in (
        lambda: (scard.pull(SECOND), until(lambda: not cps.is_present), scard.insert(SECOND, FakeCard())),
        lambda: scard.swap(SECOND, FakeCard()),
    ):
        old, events = cps.connect(), cps.event_counter
        move()
        until(lambda events=events: cps.event_counter >= events + 2 and cps.is_present)
        with pytest.raises(CardRemoved, match="taken out of the CPS slot"):
            old.transmit(COMMAND)
        assert cps.connect().transmit(COMMAND).sw == 0x9000


def test_a_card_put_back_before_the_watch_looks(two, scard):
    """PC/SC says it before the watch does: never an answer of the new card for the old session."""
    cps = two.slot("CPS")
    connection, card = cps.connect(), FakeCard()
    with scard.change:  # the watch cannot look meanwhile
        scard.pull(SECOND)
        scard.insert(SECOND, card)
        with pytest.raises(CardRemoved):
            connection.transmit(COMMAND)
    assert not card.commands


def test_the_other_slot_is_not_disturbed(two, scard):
    """A card that comes and goes in one slot leaves the session in the other alone."""
    cps = two.slot("CPS").connect()
    for _ in range(5):
        events = two.slot("Vitale").event_counter
        scard.swap(FIRST, FakeCard(ATR_VITALE))
        until(lambda events=events: two.slot("Vitale").event_counter > events)
        assert cps.transmit(COMMAND).sw == 0x9000


def test_readers_come_and_go(scard):
    """Unplugged: the slot says so; plugged in again: it works. Also a driver that starts without readers."""
    scard.unplug(FIRST)
    scard.unplug(SECOND)
    with PcscReader(["Twin"]) as opened:
        cps = opened.slot("CPS")
        with pytest.raises(ReaderError, match="No card reader is connected: plug in the reader of the CPS"):
            cps.connect()
        scard.plug("Other 00 00")
        until(lambda: "choose among Other" in str(cps.emptiness()))
        scard.plug(SECOND, FakeCard())
        until(lambda: cps.is_present)
        connection = cps.connect()
        scard.unplug(SECOND)
        until(lambda: not cps.is_present)
        with pytest.raises(CardRemoved):
            connection.transmit(COMMAND)
        scard.plug(SECOND, FakeCard())
        until(lambda: cps.is_present)
        assert cps.connect().transmit(COMMAND).sw == 0x9000


def test_an_empty_slot_says_to_insert_the_card(two, scard):
    """An empty slot of a reader that is there is simply empty."""
    scard.pull(SECOND)
    until(lambda: not two.slot("CPS").is_present)
    with pytest.raises(NoCard, match="The CPS slot is empty: insert the card"):
        two.slot("CPS").connect()


def test_the_service_stops_and_starts(two, scard):
    """One sentence meanwhile, sessions of before are over, and everything works again without help."""
    cps = two.slot("CPS")
    connection = cps.connect()
    scard.stop()
    with pytest.raises(ReaderError):
        connection.transmit(COMMAND)
    until(lambda: not cps.is_present)
    with pytest.raises(ServiceStopped, match=r"not running: start it \(systemctl start pcscd\)"):
        cps.connect()
    scard.start()
    until(lambda: cps.is_present)
    with pytest.raises(CardRemoved):
        connection.transmit(COMMAND)
    assert cps.connect().transmit(COMMAND).sw == 0x9000


def test_a_restart_between_two_looks(two, scard):
    """Stopped and started at once: the old session is over although the counters look alike."""
    cps = two.slot("CPS")
    connection, events = cps.connect(), cps.event_counter
    with scard.change:
        scard.stop()
        scard.start()
    until(lambda: cps.event_counter >= events + 2)
    with pytest.raises(CardRemoved):
        connection.transmit(COMMAND)
    assert cps.connect().transmit(COMMAND).sw == 0x9000


def test_a_service_that_is_not_there_yet(scard):
    """The driver starts without a service and finds it later."""
    scard.stop()
    with PcscReader(["Twin"]) as opened:
        with pytest.raises(ServiceStopped):
            opened.slot("CPS").connect()
        scard.start()
        until(lambda: opened.slot("CPS").is_present)
        assert opened.slot("CPS").connect().atr == ATR_CPS


def test_closing_ends_the_watch(scard):
    """No thread and no context is left behind, with and without a service; closing twice is fine."""
    for running in (True, False):
        if not running:
            scard.stop()
        opened = PcscReader(["Twin"])
        for slot in opened.slots if running else ():
            slot.connect()
        opened.close()
        opened.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("pcsc")]
    assert not [handle for one in scard.readers.values() for handle in one.handles]


def test_a_cancel_that_comes_too_early(scard, monkeypatch):
    """A cancel is lost when nobody waits yet: closing asks again."""
    monkeypatch.setattr(reader.pcsc, "PATIENCE_MS", 60_000)
    opened = PcscReader(["Twin"])
    until(lambda: scard.waits_long)
    asked, cancel = [], scard.SCardCancel
    monkeypatch.setattr(scard, "SCardCancel", lambda c: asked.append(c) or (cancel(c) if asked[2:] else 0))
    opened.close()
    assert len(asked) == 3


def test_without_pyscard(monkeypatch):
    """One sentence says what to install."""
    monkeypatch.setitem(sys.modules, "smartcard", None)
    with pytest.raises(ReaderError, match=r"need pyscard, .*pip install 'vitale-gateway\[pcsc\]'"):
        open_pcsc(["Twin"])


@pytest.mark.parametrize("patterns", [[], ["a", "b", "c"], [""], ["Twin", " "]])
def test_impossible_patterns(scard, patterns):
    """Neither one nor two patterns, or an empty one, is refused at once."""
    with pytest.raises(ReaderError, match="one for each of Vitale and CPS, or one for all"):
        open_pcsc(patterns)


# other programs


def test_exclusive_keeps_others_out(two, scard):
    """From the first command to the last of an exclusive block nobody else gets a command in (B7)."""
    connection, other = two.slot("CPS").connect(), scard.other(SECOND)
    with connection.exclusive():
        connection.transmit(COMMAND)
        assert other.transmit(b"\0\0\0\0") == 0x8010000B
        connection.transmit(COMMAND)
    assert other.transmit(b"\0\0\0\0") == 0
    assert connection.transmit(COMMAND).sw == 0x9000


def test_alone_nobody_else_connects(scard):
    """With `alone` a session keeps others out between its blocks as well; its end lets them in."""
    with PcscReader(["Twin"], wait=0.3, alone=True) as opened:
        connection = opened.slot("CPS").connect()
        assert connection.transmit(COMMAND).sw == 0x9000
        with pytest.raises(AssertionError):
            scard.other(SECOND)
        assert connection.transmit(COMMAND).sw == 0x9000
        connection.close()
        other = scard.other(SECOND)
        with pytest.raises(CardInUse, match="Another program keeps the card in the CPS slot"):
            opened.slot("CPS").connect()
        scard.SCardDisconnect(other.handle, 0)
        assert opened.slot("CPS").connect().transmit(COMMAND).sw == 0x9000


def test_a_reset_by_others_ends_the_session(two, scard):
    """Not continued in silence: the PIN is gone, so is the session; a new one works at once."""
    connection, other = two.slot("CPS").connect(), scard.other(SECOND)
    assert connection.transmit(COMMAND).sw == 0x9000
    other.reset()
    for act in (lambda: connection.transmit(COMMAND), connection.check, lambda: connection.transmit(COMMAND)):
        with pytest.raises(SlotTaken, match="the card asks for its PIN again"):
            act()
    fresh = two.slot("CPS").connect()
    assert fresh.transmit(COMMAND).sw == 0x9000
    assert other.transmit(b"\0\0\0\0") == 0x80100068  # and the other program is told the same


def test_a_reset_while_nobody_talks_is_no_obstacle(two, scard):
    """A new session after a reset by others needs no second try."""
    two.slot("CPS").connect()
    scard.other(SECOND).reset()
    assert two.slot("CPS").connect().atr == ATR_CPS


def test_waiting_for_others_has_an_end(two, scard):
    """Another program's transaction: SlotBusy after the allowed time, then the session goes on."""
    connection, other = two.slot("CPS").connect(), scard.other(SECOND)
    other.begin()
    with pytest.raises(SlotBusy, match="CPS slot is still in use"):
        connection.transmit(COMMAND)
    other.end()
    assert connection.transmit(COMMAND).sw == 0x9000


def test_who_comes_in_between_is_not_waited_for_without_end(two, scard, monkeypatch):
    """The lock is taken between the look and the call that waits: the watch ends that wait."""
    connection, other = two.slot("CPS").connect(), scard.other(SECOND)
    other.begin()
    monkeypatch.setattr(scard, "SCardGetAttrib", lambda *_: (0, []))
    with pytest.raises(SlotBusy):
        connection.transmit(COMMAND)
    other.end()
    assert two.slot("CPS").connect().transmit(COMMAND).sw == 0x9000


def test_connecting_while_others_keep_the_card(two, scard):
    """SCardConnect waits without end: it is left alone in time, and what it gets later is given back."""
    other = scard.other(SECOND)
    other.begin()
    with pytest.raises(SlotBusy):
        two.slot("CPS").connect()
    other.end()
    until(lambda: not [t for t in threading.enumerate() if t.name == "pcsc-connect"])
    assert len(scard.readers[SECOND].handles) == 1
    assert two.slot("CPS").connect().transmit(COMMAND).sw == 0x9000


def test_a_card_kept_alone_by_another_program(two, scard):
    """An exclusive connection elsewhere is said at once; it works when that program has ended."""
    scard.readers[SECOND].exclusive = 1
    with pytest.raises(CardInUse, match="Another program keeps the card in the CPS slot"):
        two.slot("CPS").connect()
    scard.readers[SECOND].exclusive = None
    assert two.slot("CPS").connect().transmit(COMMAND).sw == 0x9000


def test_closing_while_others_keep_the_card(scard, monkeypatch):
    """Closing does not wait for others without end; the card stays as it is then."""
    monkeypatch.setattr(reader.transport.pcsc, "CLOSE_WAIT", 0.05)
    opened = PcscReader(["Twin"])
    opened.slot("CPS").connect()
    other = scard.other(SECOND)
    other.begin()
    opened.close()
    assert list(scard.readers[SECOND].handles) == [other.handle]


def test_a_pull_ends_a_wait_for_others(two, scard):
    """Who waits for a card that is pulled out hears that it has gone."""
    connection, other = two.slot("CPS").connect(), scard.other(SECOND)
    other.begin()
    heard = []

    def wait():
        try:
            connection.transmit(COMMAND)
        except ReaderError as wrong:
            heard.append(type(wrong))

    waiting = threading.Thread(target=wait)
    waiting.start()
    scard.pull(SECOND)
    waiting.join(5)
    assert heard == [CardRemoved]


# what calls answer


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (0x80100069, CardRemoved),
        (0x8010000C, CardRemoved),
        (0x80100068, SlotTaken),
        (0x80100016, CardMute),
        (0x80100067, CardMute),
        (0x8010001D, ServiceStopped),
        (0x80100003, ServiceStopped),
        (0x80100017, ReaderGone),
        (0x80100009, ReaderGone),
        (0x80100008, CardProtocolError),
        (-2146434967, CardRemoved),  # the same code with a sign, as older pyscard gives it
        (0x80100004, ReaderError),
        (0x80101234, ReaderError),
    ],
)
def test_a_failed_exchange(two, scard, code, error):
    """Each code is one error, the bytes that came with it are nobody's answer; a new session works."""
    connection = two.slot("CPS").connect()
    assert connection.transmit(COMMAND).sw == 0x9000
    scard.fail["transmit"] = [code]
    with pytest.raises(error):
        connection.transmit(COMMAND)
    with pytest.raises(ReaderError):
        connection.transmit(COMMAND)
    until(lambda: two.slot("CPS").is_present)
    assert two.slot("CPS").connect().transmit(COMMAND).sw == 0x9000


@pytest.mark.parametrize("call", ["connect", "begin", "reset2", "status", "establish", "end", "disconnect2"])
@pytest.mark.parametrize("code", [0x80100069, 0x80100016, 0x8010001D, 0x8010000F, 0x80100017, 0x80101234])
def test_any_call_may_fail(two, scard, call, code):
    """Every call, every kind of code: one ReaderError or none, and the next session works."""
    scard.fail[call] = [code]
    try:
        two.slot("CPS").connect().close()
    except ReaderError as wrong:
        assert str(wrong).endswith(".")
    scard.fail.clear()
    until(lambda: two.slot("CPS").is_present)
    assert two.slot("CPS").connect().transmit(COMMAND).sw == 0x9000


def test_a_reader_that_cannot_switch_off(two, scard):
    """Without UNPOWER the card is reset in the driver's own way; still nothing is inherited."""
    scard.fail["reset2"] = [0x80100022]
    assert two.slot("CPS").connect().transmit(COMMAND).sw == 0x9000
    assert "reset1" in scard.calls
    assert scard.readers[SECOND].card.resets == 1


def test_a_mute_card(scard):
    """A card the wrong way up is in its reader, and said to be mute."""
    scard.swap(SECOND, FakeCard(mute=True))
    with (
        PcscReader([FIRST, SECOND]) as opened,
        pytest.raises(CardMute, match="take it out, check which way up"),
    ):
        opened.slot("CPS").connect()


def test_a_long_answer_is_refused(two, scard):
    """The host never keeps more than an answer can have."""
    connection = two.slot("CPS").connect()
    scard.readers[SECOND].card.rule = lambda _c: bytes(70_000)
    with pytest.raises(CardProtocolError):
        connection.transmit(COMMAND)


def test_late_results_are_undone():
    """What comes after the time allowed is given to `late`, what comes in time to the caller."""
    undone, go = [], threading.Event()
    assert bounded(lambda: 7, 5, undone.append) == 7
    assert bounded(lambda: go.wait(5), 0.01, undone.append) is None
    go.set()
    until(lambda: undone)
    assert undone == [True]
    with pytest.raises(ValueError, match="as it is"):
        bounded(lambda: int("as it is"), 5, undone.append)


# PIN pads


@pytest.mark.parametrize("status", ["9000", "63C2", "6983", "6400", "6401"])
def test_a_pin_entry_goes_to_the_reader(scard, status):
    """The reader gets the description of the entry, the host a status word and nothing else."""
    scard.readers[SECOND].controls = PAD | {VERIFY: bytes.fromhex(status)}
    with PcscReader(["Twin"]) as opened:
        connection = opened.slot("CPS").connect()
        assert connection.has_pad
        entry = PinEntry.for_cps()
        assert connection.verify_on_pad(entry).sw == int(status, 16)
        assert scard.controlled[-1] == (VERIFY, entry.to_part10())


def test_no_pad_is_no_reason_to_end_the_session(two):
    """Without a pad one sentence, and the session goes on with the keyboard."""
    connection = two.slot("CPS").connect()
    assert not connection.has_pad
    with pytest.raises(NoPinPad):
        connection.verify_on_pad(PinEntry.for_cps())
    assert connection.transmit(COMMAND).sw == 0x9000


@pytest.mark.parametrize("answer", ["", "90", "319000", "31323334" * 8])
def test_a_pad_that_says_too_much(scard, answer):
    """Anything but a status word is refused: a reader that echoes digits is not listened to."""
    scard.readers[SECOND].controls = PAD | {VERIFY: bytes.fromhex(answer)}
    with PcscReader(["Twin"]) as opened, pytest.raises(CardProtocolError, match="CPS slot"):
        opened.slot("CPS").connect().verify_on_pad(PinEntry.for_cps())


# everything at once

MOVES = st.lists(
    st.sampled_from(
        ["pull", "insert", "swap", "unplug", "plug", "restart", "stop", "start", "reset", "talk"]
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(moves=MOVES)
def test_any_order_of_events(moves):
    """After any events: the slot is as the reader is, a session never outlives its card, a new one works."""
    fake = FakeScard()
    fake.plug(SECOND, FakeCard())
    with pytest.MonkeyPatch.context() as patch:
        for module in (reader.transport.pcsc, reader.pcsc):
            patch.setattr(module, "library", lambda: fake)
        patch.setattr(reader.pcsc, "RETRY_SECONDS", 0.002)
        patch.setattr(reader.pcsc, "BREATH", 0.0005)
        with PcscReader(["Twin"], wait=1) as opened:
            cps = opened.slot("CPS")
            connection = cps.connect()
            harmless = True
            for move in moves:
                harmless = _happen(fake, move) and harmless
            try:
                connection.transmit(COMMAND)
            except ReaderError:
                assert not harmless
            else:
                assert harmless
            is_there = fake.running and SECOND in fake.readers and fake.readers[SECOND].card is not None
            until(lambda: cps.is_present == is_there)
            if is_there:
                _eventually_works(cps)


def _happen(fake, move):
    """One event of the world; True when a session may survive it."""
    there = SECOND in fake.readers
    has_card = there and fake.readers[SECOND].card is not None
    if move == "pull" and has_card:
        fake.pull(SECOND)
    elif move == "insert" and there and not has_card:
        fake.insert(SECOND, FakeCard())
    elif move == "swap" and has_card:
        fake.swap(SECOND, FakeCard())
    elif move == "unplug" and there:
        fake.unplug(SECOND)
    elif move == "plug" and not there:
        fake.plug(SECOND, FakeCard())
    elif move == "restart" and fake.running:
        fake.stop()
        fake.start()
    elif move == "stop" and fake.running:
        fake.stop()
    elif move == "start" and not fake.running:
        fake.start()
    elif move == "reset" and has_card and fake.running:
        fake.other(SECOND).reset()
    else:
        return True
    return False


def _eventually_works(slot):
    """A new session works as soon as the watch has seen the last event."""

    def works():
        try:
            return slot.connect().transmit(COMMAND).sw == 0x9000
        except ReaderError:
            return False

    until(works)
