"""A card pulled out at any moment: one sentence naming the slot, then everything works again (B6).

The whole work is counted once, then replayed with a pull at every single exchange: before the command reaches
the card, while the card works on it, and of the other card. Enumerated, not sampled.
"""

from __future__ import annotations

import hashlib
import re

import pytest

from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.errors import CardRefusal
from reader.errors import CardRemoved, NoCard, ReaderError

DIGEST = hashlib.sha256(b"a care sheet").digest()
SENTENCES = {
    CardRemoved: "The card was taken out of the {slot} slot: put it back and open the session again",
    NoCard: "The {slot} slot is empty: insert the card",  # pulled before its session was opened
}
OTHER = {"Vitale": "CPS", "CPS": "Vitale"}


class Watched:
    """A card that counts its commands on a common counter and calls `at(count, moment)` around each."""

    def __init__(self, card, name, counter, at):
        self.card, self.name, self.counter, self.at = card, name, counter, at

    def power_on(self):
        return self.card.power_on()

    def power_off(self):
        self.card.power_off()

    def transmit(self, apdu):
        self.counter[0] += 1
        self.at(self.counter[0], "before", self.name)
        answer = self.card.transmit(apdu)
        self.at(self.counter[0], "inside", self.name)
        return answer


def watch(bench, at):
    """Put both cards of the bench behind a watch; the common counter."""
    counter = [0]
    for name, card in bench.cards.items():
        bench.pull(name)
        bench.reader.insert(name, Watched(card, name, counter, at))
    return counter


def work(bench):
    """Open, PIN, card-to-card, rights, seal, signature: what one care sheet asks of the cards."""
    with CpsSession.open(bench.connect("CPS")) as cps, VitaleSession.open(bench.connect("Vitale")) as vitale:
        cps.verify_pin(bench.pin)
        vitale.authenticate(cps)
        rights = vitale.read_rights()
        return rights, vitale.seal(DIGEST), cps.sign_digest(DIGEST)


def outcome(bench):
    """What the work gives, or the error that ended it."""
    try:
        return work(bench)
    except (CardRemoved, NoCard) as removed:
        return removed


def exchanges(bench) -> int:
    counter = watch(bench, lambda *_: None)
    work(bench)
    return counter[0]


@pytest.mark.parametrize("moment", ["before", "inside"])
@pytest.mark.parametrize("which", ["addressed", "other"])
def test_pulled_at_every_exchange(bench, moment, which):
    """A pull at each exchange gives CardRemoved, or the work is whole; the PIN is asked anew."""
    pulled: list[str] = []
    target = [0]

    def pull(count: int, when: str, name: str) -> None:
        if count == target[0] and when == moment:
            pulled.append(name if which == "addressed" else OTHER[name])
            bench.pull(pulled[-1])

    count = exchanges(bench)
    assert count > 40
    expected = work(bench)
    for at in range(1, count + 1):
        counter = watch(bench, pull)
        pulled.clear()
        target[0] = at
        done = outcome(bench)
        if isinstance(done, ReaderError):
            assert re.match(SENTENCES[type(done)].format(slot=pulled[0]), str(done))
        else:
            assert done == expected
            assert which == "other"
        assert pulled
        assert counter[0] <= count
        bench.put_back(pulled[0])
        following = CpsSession.open(bench.connect("CPS"))
        with pytest.raises(CardRefusal, match="present the PIN"):
            following.sign_digest(DIGEST)
        assert work(bench) == expected


@pytest.mark.parametrize("name", ["CPS", "Vitale"])
def test_no_session_survives_a_pull(bench, name):
    """Every call of an open session raises CardRemoved after a pull, also with the card back in its slot."""
    cps, vitale = bench.verified_cps(), VitaleSession.open(bench.connect("Vitale"))
    vitale.authenticate(cps)
    bench.pull(name)
    calls = {
        "CPS": [
            lambda: cps.sign_digest(DIGEST),
            lambda: cps.authenticate(b"x"),
            lambda: cps.verify_pin(bench.pin),
        ],
        "Vitale": [vitale.read_rights, lambda: vitale.seal(DIGEST)],
    }[name]
    for back in (False, True):
        if back:
            bench.put_back(name)
        for call in (*calls, lambda: vitale.authenticate(cps)):
            with pytest.raises(CardRemoved, match=f"out of the {name} slot"):
                call()
    (cps if name == "CPS" else vitale).close()
    assert work(bench)


def test_the_other_slot_keeps_working(bench):
    """Pulling the Vitale leaves the verified CPS session as it is."""
    cps = bench.verified_cps()
    vitale = VitaleSession.open(bench.connect("Vitale"))
    bench.pull("Vitale")
    with pytest.raises(CardRemoved):
        vitale.read_rights()
    assert len(cps.sign_digest(DIGEST)) == 256
