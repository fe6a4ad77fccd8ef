"""K9: GET RESPONSE after another command, and reading past what waits.

ISO 7816-3:2006, 12.2.4 and ISO 7816-4:2005, 7.6.1; CVE-2025-49010 (OpenSC: more bytes than announced). What
waits dies with the next other command, even a malformed one; it is given once, and exactly.
"""

import pytest

from tests.card.bench import cps_items, powered


@pytest.fixture
def card():
    return powered(cps_items()).contact()


def waiting(card):
    card.contact()
    card.verify()
    card.ok("002241B606800142840181")
    assert card.sw("002A9E9A20", bytes(32)) == 0x6100
    return card


@pytest.mark.parametrize(
    "other",
    [
        "00B0870001",
        "00A4020C025031",
        "80000000",
        "FF",
        "",
        "00C000",
        "0CB0870001",
        "0CC0000000",
        "01C0000000",
        "10C0000000",
        "A0C0000007",
        "00C0000100",
        "00C0010000",
        "00C00000010000",
        "00200001",
        "FF1013FC",
    ],
)
def test_k09_an_answer_dies_with_another_command(card, other):
    """GET RESPONSE after any other command, even a malformed one, gives nothing of the old answer."""
    waiting(card)
    card.send(other)
    assert card.send("00C0000000") == (b"", 0x6985)
    waiting(card)
    assert len(card.ok("00C0000000")) == 256


@pytest.mark.parametrize("step", [1, 7, 100, 255])
def test_k09_an_answer_is_given_once_and_exactly(card, step):
    """In pieces of any size: 61xx counts down, the pieces join to the whole, then nothing is left."""
    whole = waiting(card).ok("00C0000000")
    waiting(card)
    parts, left = [], 256
    while left:
        data, sw = card.send("00C00000", bytes((step if left > step else left,)))
        left -= len(data)
        parts.append(data)
        assert sw == (0x6100 | left & 0xFF if left else 0x9000)
    assert b"".join(parts) == whole
    assert card.send("00C0000000") == (b"", 0x6985)


def test_k09_asking_for_more_than_waits(card):
    """A Le beyond the rest gets 6Cxx and keeps the answer; it is never filled up with other bytes."""
    waiting(card)
    data, sw = card.send("00C00000F0")
    assert (len(data), sw) == (240, 0x6110)
    assert card.send("00C0000020") == (b"", 0x6C10)
    assert len(card.ok("00C0000010")) == 16


def test_k09_reset_and_power_forget(card):
    """After reset nothing waits; without power nothing answers."""
    waiting(card)
    card.card.power_on()
    assert card.send("00C0000000") == (b"", 0x6985)
    waiting(card)
    card.card.power_off()
    assert card.send("00C0000000") == (b"", 0x6F00)


@pytest.mark.parametrize(
    "other", ["00B0000000", "80000000", "FF", "A0B0000001", "00C0000000", "A0C0", "20000000"]
)
def test_k09_the_second_face_forgets_as_well(other):
    """CPS2ter: information that waits behind 9Fxx dies with any other command too; asked at once it comes."""
    card = powered(cps_items())
    assert card.sw("A0A40000022F02") == 0x9F07
    card.send(other)
    assert card.send("A0C0000007")[0] == b""
    assert card.sw("A0A40000022F02") == 0x9F07
    assert len(card.ok("A0C0000007")) == 7
    assert card.send("A0C0000007")[0] == b""
