"""K8 to K12: attacks on class bytes, chaining and lengths."""

import pytest

from tests.card.bench import cps_items, powered, vitale_items


@pytest.fixture
def card():
    return powered(cps_items()).contact()


@pytest.mark.parametrize("cla", ["04", "08", "0C", "0F"])
def test_k8_secure_messaging_is_not_ignored(card, cla):
    """K8: a command that claims secure messaging is refused, never carried out in clear."""
    sw = card.sw(cla + "20000108", b"1234\xff\xff\xff\xff")
    assert sw in (0x6882, 0x6881)
    assert card.sw("00200001") == 0x63C3
    assert card.verify() == 0x9000


@pytest.mark.parametrize("other", ["00B0870001", "00A4020C025031", "80000000", "FF", "00C000", "0CB0870001"])
def test_k9_an_answer_dies_with_another_command(card, other):
    """K9: GET RESPONSE after any other command, even a malformed one, gives nothing of the old answer."""
    card.verify()
    card.ok("002241B606800142840181")
    assert card.sw("002A9E9A20", bytes(32)) == 0x6100
    card.send(other)
    assert card.send("00C0000000") == (b"", 0x6985)
    assert card.sw("002A9E9A20", bytes(32)) == 0x6100
    assert len(card.ok("00C0000000")) == 256


def test_k10_a_broken_chain_is_forgotten(card):
    """K10: another plain command ends the chain and is carried out; nothing of the chain is left."""
    card.verify()
    card.ok("002241B606800142840181")
    card.ok("102A9E9A10", bytes(16))
    card.ok("00B0870001")
    assert card.sw("002A9E9A10", bytes(16), "00") == 0x6700
    card.ok("102A9E9A10", bytes(16))
    card.ok("002A9E9A10", bytes(16), "00")


def test_k10_links_of_another_command_are_refused(card):
    """K10: a link with another header gives 6883 and drops the chain; unknown chaining 6884."""
    card.ok("102A9E9A10", bytes(16))
    assert card.sw("102A808610", bytes(16)) == 0x6883
    assert card.sw("10200001", "0431323334") == 0x6884
    card.ok("00B0870001")


def test_k10_an_endless_chain_ends(card):
    """K10: more than 4 KiB are refused (6700), memory does not grow, the card goes on."""
    answers = [card.sw("102A8086FF", bytes(255)) for _ in range(40)]
    assert answers[:16] == [0x9000] * 16
    assert 0x6700 in answers
    card.ok("00B0870001")


def test_k10_a_malformed_command_ends_the_chain(card):
    """K10: bytes that are no APDU drop the chain as well."""
    card.verify()
    card.ok("002241B606800142840181")
    card.ok("102A9E9A10", bytes(16))
    assert card.sw("00B0") == 0x6700
    assert card.sw("002A9E9A10", bytes(16), "00") == 0x6700


@pytest.mark.parametrize(
    "raw",
    [
        bytes.fromhex("00D6870000FFFF") + bytes(65535),
        bytes.fromhex("002A808600FFFF") + bytes(65535) + b"\0\0",
        bytes.fromhex("00D687000000"),
        bytes.fromhex("00D68700000801") + bytes(2049),
    ],
)
def test_k11_extended_lengths_are_bounded(card, raw):
    """K11: 65 535 bytes or a length of zero: 6700; a Le of 65 536 gives the file and no more (twin)."""
    assert card.sw(raw) == 0x6700
    card.ok("00A4020C02A001")
    assert len(card.ok("00B00000000000")) == 1280
    assert powered(vitale_items()).sw(raw) == 0x6700


@pytest.mark.parametrize("cla", ["FF", "20", "3F", "80", "90", "B0", "C0", "E0", "FE"])
def test_k12_reserved_classes(card, cla):
    """K12: CLA FF (kept for PPS), reserved and foreign classes: 6E00, nothing happens."""
    assert card.sw(cla + "20000108", b"1234\xff\xff\xff\xff") == 0x6E00
    assert card.sw("00200001") == 0x63C3
