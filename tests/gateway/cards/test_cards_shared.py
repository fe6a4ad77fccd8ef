"""Cards that other programs use as well: what they select or take away is noticed, never built upon."""

from __future__ import annotations

import pytest

from card.layout import cps as layout
from gateway.cards.cps import CpsSession
from gateway.desk import Desk
from gateway.errors import CardRefusal
from gateway.secret import Secret
from reader.errors import SlotTaken

DIGEST = bytes(range(32))


class SharedCard:
    """A card that another program uses whenever it is free: `between()` is called at each begin."""

    def __init__(self, card):
        self.card, self.between = card, lambda: None
        self.power_on, self.transmit, self.power_off = self._power_on, card.transmit, card.power_off

    def _power_on(self):
        self.card.power_off()
        return self.card.power_on()

    def begin(self):
        self.between()

    def end(self):
        pass


@pytest.fixture
def shared(bench):
    """The bench with its CPS behind a link that other programs share, and that link."""
    bench.pull("CPS")
    card = SharedCard(bench.cards["CPS"])
    bench.reader.insert("CPS", card)
    return bench, card


def select(card, aid):
    """What another program does."""
    return lambda: card.transmit(bytes((0, 0xA4, 4, 0x0C, len(aid))) + aid)


def test_another_selection_is_undone(shared):
    """Whatever others have selected, signing and authenticating work, without the PIN being asked again."""
    bench, card = shared
    session = bench.verified_cps()
    for aid in (layout.AID_MF, layout.AID_CONTACT):
        card.between = select(card, aid)
        assert len(session.sign_digest(DIGEST)) == len(session.authenticate(b"x")) == 256
    session.verify_pin(bench.pin)
    assert session.situations


def test_undisturbed_costs_nothing(bench):
    """Twin: a card that nobody shares is told its environment once, and nothing is selected again."""
    session = bench.verified_cps()
    session.sign_digest(DIGEST)
    before = len(bench.trace.lines())
    session.sign_digest(DIGEST)
    assert len(bench.trace.lines()) == before + 1


def test_one_block_is_one_return(shared):
    """Inside one exclusive block the way back is gone once, not at every step."""
    bench, card = shared
    session = bench.verified_cps()
    card.between = select(card, layout.AID_MF)
    with session.exclusive():
        session.sign_digest(DIGEST)
        before = len(bench.trace.lines())
        session.sign_digest(DIGEST)
    assert len(bench.trace.lines()) == before + 1


def test_a_pin_taken_away_by_others_locks_the_desk(shared):
    """A wrong PIN tried by another program: the next signature is refused, and the desk asks for the PIN."""
    bench, card = shared
    desk = Desk(bench.reader)
    cps = desk.unlock(Secret("1234"))
    assert desk.is_unlocked
    card.between = lambda: card.transmit(bytes.fromhex("0020000108") + b"9876\xff\xff\xff\xff")
    with pytest.raises(CardRefusal, match="present the PIN"):
        cps.sign_digest(DIGEST)
    card.between = lambda: None
    assert not desk.is_unlocked
    desk.unlock(Secret("1234"))
    assert desk.is_unlocked


def test_a_reset_by_others_locks_the_desk(shared):
    """The desk notices a reset before it promises a signature; unlocking again works."""
    bench, card = shared
    desk = Desk(bench.reader)
    desk.unlock(Secret("1234"))

    def reset():
        raise SlotTaken("CPS")

    card.between = reset
    assert not desk.is_unlocked
    card.between = lambda: None
    desk.unlock(Secret("1234"))
    assert desk.is_unlocked


def test_a_busy_card_is_not_a_locked_desk(shared):
    """Another program that has the CPS for a moment does not cost the PIN."""
    bench, card = shared
    desk = Desk(bench.reader)
    cps = desk.unlock(Secret("1234"))

    def busy():
        raise TimeoutError

    card.between = busy
    assert desk.is_unlocked
    card.between = lambda: None
    assert len(cps.sign_digest(DIGEST)) == 256


def test_a_visit_is_one_block(shared):
    """From the opening of the Vitale to its end the CPS is kept: others get in before and after (B7)."""
    bench, card = shared
    desk = Desk(bench.reader)
    cps = desk.unlock(Secret("1234"))
    turns = []
    card.between = lambda: turns.append(1)
    with desk.vitale() as vitale:
        vitale.authenticate(cps)
        vitale.read_rights()
        vitale.seal(DIGEST)
        cps.sign_digest(DIGEST)
    assert len(turns) == 1


def test_sessions_begin_where_they_are(shared):
    """A session opened on a shared card needs no detour: open, PIN, sign."""
    bench, _ = shared
    with CpsSession.open(bench.connect("CPS")) as session:
        session.verify_pin(bench.pin)
        assert len(session.sign_digest(DIGEST)) == 256
