"""The PIN of a CPS: an impossible one is never sent, refusals are sentences, nothing outlives a session."""

from __future__ import annotations

import pytest

from gateway.cards.cps import CpsSession, PinRefusal
from gateway.errors import CardRefusal
from gateway.secret import Secret
from reader.errors import SlotTaken

DIGEST = bytes(range(32))


@pytest.mark.parametrize("pin", ["", "123", "12345", "12a4", "١٢٣٤", " 234", "12345678"])
def test_an_impossible_pin_is_never_sent(bench, pin):
    """An empty PIN, or one that cannot be right, costs no exchange and no try (K1, CVE-2023-40660)."""
    session = CpsSession.open(bench.connect("CPS"))
    before = len(bench.trace.lines())
    with pytest.raises(CardRefusal, match="nothing was sent to the card in the CPS slot") as refused:
        session.verify_pin(Secret(pin))
    assert refused.value.code == "pin-format"
    assert len(bench.trace.lines()) == before
    session.verify_pin(bench.pin)


def test_wrong_pin_counts_down_to_blocked(bench):
    """Each wrong PIN says how many tries are left; the third blocks; the right one no longer helps."""
    session = CpsSession.open(bench.connect("CPS"))
    expected = [
        ("wrong-pin", 2, "2 tries are left"),
        ("wrong-pin", 1, "1 try is left"),
        ("pin-blocked", 0, "is blocked"),
    ]
    for code, left, words in expected:
        with pytest.raises(PinRefusal, match=words) as refused:
            session.verify_pin(Secret("9876"))
        assert (refused.value.code, refused.value.remaining_tries) == (code, left)
        assert "CPS in the CPS slot" in str(refused.value)
        assert "9876" not in str(refused.value)
    with pytest.raises(PinRefusal, match="unblock it with its PUK") as refused:
        session.verify_pin(bench.pin)
    assert refused.value.code == "pin-blocked"


def test_the_right_pin_restores_the_tries(bench):
    """After a success the count starts again at three."""
    session = CpsSession.open(bench.connect("CPS"))
    for _ in range(2):
        with pytest.raises(PinRefusal, match="2 tries are left"):
            session.verify_pin(Secret("9876"))
        session.verify_pin(bench.pin)
    assert session.pin_verified


def test_signing_needs_the_pin(bench):
    """Without the PIN neither key works; with it both do."""
    session = CpsSession.open(bench.connect("CPS"))
    for act in (lambda: session.sign_digest(DIGEST), lambda: session.authenticate(b"x")):
        with pytest.raises(CardRefusal, match="present the PIN") as refused:
            act()
        assert refused.value.code == "access-refused"
    session.verify_pin(bench.pin)
    assert len(session.sign_digest(DIGEST)) == len(session.authenticate(b"x")) == 256


def test_a_wrong_pin_takes_the_status_away(bench):
    """A wrong PIN in a verified session ends the right to sign."""
    session = CpsSession.open(bench.connect("CPS"))
    session.verify_pin(bench.pin)
    session.sign_digest(DIGEST)
    assert session.pin_verified
    with pytest.raises(PinRefusal):
        session.verify_pin(Secret("9876"))
    assert not session.pin_verified
    with pytest.raises(CardRefusal, match="present the PIN"):
        session.sign_digest(DIGEST)


def test_no_signature_after_the_session(bench):
    """A closed session cannot sign, and the next one starts without the PIN (B7)."""
    with CpsSession.open(bench.connect("CPS")) as session:
        session.verify_pin(bench.pin)
        session.sign_digest(DIGEST)
    with pytest.raises(SlotTaken):
        session.sign_digest(DIGEST)
    with (
        CpsSession.open(bench.connect("CPS")) as following,
        pytest.raises(CardRefusal, match="present the PIN"),
    ):
        following.sign_digest(DIGEST)


def test_a_second_session_inherits_nothing(bench):
    """A second session opened beside a verified one cannot sign without a PIN of its own (B7)."""
    first = CpsSession.open(bench.connect("CPS"))
    first.verify_pin(bench.pin)
    second = CpsSession.open(bench.connect("CPS"))
    with pytest.raises(CardRefusal, match="present the PIN"):
        second.sign_digest(DIGEST)
    with pytest.raises(SlotTaken):
        first.sign_digest(DIGEST)
    second.verify_pin(bench.pin)
    assert len(second.sign_digest(DIGEST)) == 256


def test_a_reset_ends_the_session(bench):
    """A reset asked on the connection is noticed: the session ends instead of using a forgetful card."""
    session = CpsSession.open(bench.connect("CPS"))
    session.verify_pin(bench.pin)
    session.connection.reset()
    with pytest.raises(SlotTaken):
        session.sign_digest(DIGEST)
