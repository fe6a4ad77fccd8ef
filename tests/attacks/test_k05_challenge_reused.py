"""K5: a challenge used twice, guessed, shortened or fixed. ISO 7816-4:2005, 7.5.3 and 7.5.4: a challenge is
valid at least for the next command; here at most for one EXTERNAL AUTHENTICATE, right or wrong.
"""

import pytest

from card.applets.assembly import assemble
from card.kernel.memory import Memory
from card.kernel.storage import MemoryStorage
from tests.card.bench import AID_VITALE, Host, vitale_items
from tests.card.dialogue import (
    CA,
    OTHER,
    SERIAL_VITALE,
    authenticate,
    certificate,
    present,
    proof,
    rights,
    vitale_card_trusting_the_authority,
)


@pytest.fixture
def card():
    host = vitale_card_trusting_the_authority()
    present(host)
    return host


def test_k05_a_challenge_serves_once(card):
    """The same signature a second time, and one over an older challenge, are refused."""
    challenge = card.ok("0084000010")
    answer = proof(challenge)
    assert card.chained("00820000", answer)[1] == 0x9000
    assert card.chained("00820000", answer)[1] == 0x6985
    card.ok("0084000010")
    assert card.chained("00820000", answer)[1] == 0x6300


def test_k05_a_wrong_answer_uses_the_challenge_up(card):
    """No second guess on one challenge; a fresh one works (twin)."""
    challenge = card.ok("0084000010")
    assert card.chained("00820000", bytes(256))[1] == 0x6300
    assert card.chained("00820000", proof(challenge))[1] == 0x6985
    assert rights(card) == 0x6982
    assert authenticate(card) == 0x9000


@pytest.mark.parametrize("length", [1, 255, 128])
def test_k05_a_malformed_answer_uses_it_up_too(card, length):
    """A signature of another length, wrong P1-P2: the challenge is gone all the same."""
    challenge = card.ok("0084000010")
    assert card.sw("00820000", bytes((length,)), bytes(length)) == 0x6700
    assert card.chained("00820000", proof(challenge))[1] == 0x6985
    challenge = card.ok("0084000010")
    assert card.sw("0082000101AA") == 0x6A86
    assert card.chained("00820000", proof(challenge))[1] == 0x6985
    assert authenticate(card) == 0x9000


@pytest.mark.parametrize("size", [1, 2, 8, 15, 17, 32, 255])
def test_k05_a_short_or_long_challenge_authenticates_nobody(card, size):
    """An attacker who asks for one byte meets every value soon: only the full 16 bytes count."""
    challenge = card.ok("00840000", bytes((size,)))
    assert len(challenge) == size
    assert card.chained("00820000", proof(challenge))[1] == 0x6985
    assert rights(card) == 0x6982
    assert authenticate(card) == 0x9000


@pytest.mark.parametrize("between", ["reset", "application", "mf", "second challenge"])
def test_k05_a_challenge_does_not_wait(card, between):
    """Reset, another application, another challenge: the old one is over."""
    challenge = card.ok("0084000010")
    answer = proof(challenge)
    if between == "reset":
        card.card.power_on()
    elif between == "mf":
        card.ok("00A4000C023F00")
    elif between == "second challenge":
        card.ok("0084000010")
        assert card.chained("00820000", answer)[1] == 0x6300
        return
    card.ok("00A4040C0B", AID_VITALE)
    present(card)
    assert card.chained("00820000", answer)[1] == 0x6985
    assert authenticate(card) == 0x9000


def test_k05_a_signature_for_another_card_or_by_another_key(card):
    """The signature covers the serial of this card and the certified key only."""
    challenge = card.ok("0084000010")
    assert (
        card.chained("00820000", proof(challenge, serial=b"\x80" + SERIAL_VITALE[1:-1] + b"\x77"))[1]
        == 0x6300
    )
    challenge = card.ok("0084000010")
    assert card.chained("00820000", proof(challenge, key=OTHER))[1] == 0x6300
    assert rights(card) == 0x6982
    assert authenticate(card) == 0x9000


def test_k05_a_refused_certificate_ends_the_former_one(card):
    """Showing a certificate that is refused leaves no key behind: not even the good one shown before."""
    assert present(card, certificate(issuer=OTHER, name="AC CPS TEST")) == 0x6988
    assert authenticate(card) == 0x6985
    assert present(card, certificate(key=CA, usage="c", ca=True)) == 0x6985
    assert authenticate(card) == 0x6985
    present(card)
    assert authenticate(card) == 0x9000


def test_k05_challenges_come_from_the_random_source_and_differ():
    """Two thousand challenges are all different; the bytes are those of the source, nothing is kept back."""
    asked: list[int] = []

    def rng(size: int) -> bytes:
        asked.append(size)
        return len(asked).to_bytes(size, "big")

    made = assemble(Memory.create(MemoryStorage(), vitale_items()), rng)
    made.power_on()
    host = Host(made)
    challenges = [host.ok("0084000010") for _ in range(2000)]
    assert challenges == [number.to_bytes(16, "big") for number in range(1, 2001)]
    assert asked == [16] * 2000
    real = vitale_card_trusting_the_authority()
    assert len({real.ok("0084000010") for _ in range(2000)}) == 2000
