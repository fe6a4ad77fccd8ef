"""K8: secure messaging asked for and silently ignored, or stripped on the way. ISO 7816-4:2005, 5.1.1 table 2
(CLA b4 b3) and 6: a card without the keys says 6882; carrying the command out in clear would be a downgrade.
"""

import pytest

from tests.card.bench import AID_VITALE, PIN_1234, cps_items, powered, vitale_items

WITH_MESSAGING = [cla for cla in range(0x80) if cla & 0xE0 == 0 and cla & 0x0C]
FURTHER = [cla for cla in range(0x40, 0x80) if cla & 0x20]


@pytest.fixture
def card():
    return powered(cps_items()).contact()


@pytest.mark.parametrize("cla", ["04", "08", "0C", "0F"])
def test_k08_secure_messaging_is_not_ignored(card, cla):
    """A command that claims secure messaging is refused, never carried out in clear."""
    sw = card.sw(cla + "20000108", PIN_1234)
    assert sw in (0x6882, 0x6881)
    assert card.sw("00200001") == 0x63C3
    assert card.verify() == 0x9000


@pytest.mark.parametrize("cla", WITH_MESSAGING + FURTHER)
def test_k08_every_class_with_messaging_bits(card, cla):
    """All 56 such classes of both ranges: 6882, or 6881 on another channel; nothing read, nothing written."""
    for command in ("B0870000", "D687000141", "A4020C02D200", "22F301"):
        assert card.sw(bytes((cla,)), command) in (0x6882, 0x6881)
    assert card.ok("00B0870001") == b"\0"


def test_k08_wrapped_commands_are_not_unwrapped(card):
    """Objects 87, 97, 8E around a command are data to this card, never the command inside."""
    verify = bytes.fromhex("8709011122334455667788" + "8E08") + bytes(8)
    assert card.sw("0C200001", bytes((len(verify),)), verify) == 0x6882
    assert card.sw("00200001", bytes((len(verify),)), verify) == 0x6700
    plain = bytes.fromhex("810831323334FFFFFFFF" + "8E08") + bytes(8)
    assert card.sw("0C200001", bytes((len(plain),)), plain) == 0x6882
    assert card.sw("00200001") == 0x63C3
    assert card.verify() == 0x9000


def test_k08_a_messaging_command_ends_what_was_going_on(card):
    """A refused class ends a chain and a waiting answer: no mixture of protected and clear links."""
    card.verify()
    card.ok("002241B606800142840181")
    card.ok("102A9E9A10", bytes(16))
    assert card.sw("1C2A9E9A10", bytes(16)) == 0x6882
    assert card.sw("002A9E9A10", bytes(16), "00") == 0x6700
    assert card.sw("002A9E9A20", bytes(32)) == 0x6100
    assert card.sw("0CC0000000") == 0x6882
    assert card.sw("00C0000000") == 0x6985
    card.ok("002A9E9A20", bytes(32), "00")


def test_k08_rules_that_ask_for_messaging_are_never_met():
    """A condition on issuer keys (secure messaging) refuses in clear, on both cards, verified or not."""
    card = powered(cps_items()).contact()
    card.verify()
    card.ok("00A4020C025031")
    assert card.sw("00D6000001AA") == 0x6982
    vitale = powered(vitale_items())
    vitale.ok("00A4040C0B", AID_VITALE)
    assert vitale.sw("0CB0820000") == 0x6882
    assert vitale.sw("00D6820001AA") == 0x6982
    assert vitale.ok("00B0820000") == b"free here"
