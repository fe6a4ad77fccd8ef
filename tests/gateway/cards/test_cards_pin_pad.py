"""The PIN typed on a reader's own pad: unlocked no PIN passes here, each refusal a sentence."""

from __future__ import annotations

import pytest

from gateway.cards.cps import CpsSession, PinRefusal
from gateway.desk import Desk
from gateway.errors import CardRefusal
from gateway.secret import Secret
from reader.errors import NoPinPad
from reader.pinpad import Digits

DIGEST = bytes(range(32))


class PadReader:
    """A card in a reader with a pad: gives what is typed to the card, or a status word of its own."""

    def __init__(self, card, typed):
        self.card, self.typed = card, typed
        self.power_on, self.power_off, self.transmit = card.power_on, card.power_off, card.transmit

    def verify_on_pad(self, entry):
        typed = self.typed.pop(0)
        return typed if isinstance(typed, bytes) else self.card.transmit(entry.fill(typed))[-2:]


@pytest.fixture
def typing(bench):
    """`typing(*entries)`: the CPS is behind a pad on which these are typed (digits, or a status word)."""

    def put(*entries):
        bench.pull("CPS")
        typed = [bytes.fromhex(entry[2:]) if entry.startswith("SW") else Digits(entry) for entry in entries]
        bench.reader.insert("CPS", PadReader(bench.cards["CPS"], typed))
        return bench

    return put


def test_the_right_pin_on_the_pad_unlocks(typing):
    """After it both keys work and the situations are read, as with a PIN from the keyboard."""
    session = CpsSession.open(typing("1234").connect("CPS"))
    session.verify_pin_on_pad()
    assert session.pin_verified
    assert session.situations
    assert len(session.sign_digest(DIGEST)) == len(session.authenticate(b"x")) == 256


@pytest.mark.parametrize(
    ("typed", "code", "words"),
    [
        ("SW6400", "pin-timeout", "No PIN was typed in time on the pad of the reader of the CPS in the CPS"),
        ("SW6401", "pin-cancelled", "The PIN entry was cancelled on the pad"),
        ("SW6403", "pin-format", "Too few or too many digits were typed"),
        ("9876", "wrong-pin", "2 tries are left"),
        ("SW6983", "pin-blocked", "is blocked: unblock it with its PUK"),
    ],
)
def test_refusals_are_sentences(typing, typed, code, words):
    """Each outcome has its sentence and code; the session is not unlocked, and the next entry works."""
    session = CpsSession.open(typing(typed, "1234").connect("CPS"))
    with pytest.raises(CardRefusal, match=words) as refused:
        session.verify_pin_on_pad()
    assert refused.value.code == code
    assert not session.pin_verified
    with pytest.raises(CardRefusal, match="present the PIN"):
        session.sign_digest(DIGEST)
    session.verify_pin_on_pad()
    assert session.pin_verified


def test_what_the_pad_refuses_costs_no_try(typing):
    """Time-out and cancel are not seen by the card: three tries are still there."""
    session = CpsSession.open(typing("SW6400", "SW6401", "9876").connect("CPS"))
    for _ in range(2):
        with pytest.raises(CardRefusal):
            session.verify_pin_on_pad()
    with pytest.raises(PinRefusal) as refused:
        session.verify_pin_on_pad()
    assert refused.value.remaining_tries == 2


def test_a_desk_with_a_pad(typing):
    """`unlock()` without a PIN asks on the pad; a PIN that is given is used as ever."""
    desk = Desk(typing("1234").reader)
    desk.unlock()
    assert desk.is_unlocked
    desk.unlock(Secret("1234"))
    assert desk.is_unlocked


def test_a_desk_without_a_pad(bench):
    """One sentence says to use the keyboard; the desk stays locked."""
    desk = Desk(bench.reader)
    with pytest.raises(NoPinPad, match="type the PIN on the keyboard"):
        desk.unlock()
    assert not desk.is_unlocked


def test_nothing_typed_is_traced(typing):
    """The trace shows that a PIN was verified, and no digit of it."""
    bench = typing("1234")
    CpsSession.open(bench.connect("CPS")).verify_pin_on_pad()
    said = [line for line in bench.trace.lines() if "VERIFY" in line]
    assert said == ["CPS    VERIFY 0001 data **** → 9000 normal processing"]
