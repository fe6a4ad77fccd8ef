"""K4 to K7: status that outlives its session, challenges used twice, files out of reach."""

import pytest

from tests.card.bench import AID_CONTACTLESS, cps_items, powered
from tests.card.dialogue import authenticate, present, proof, rights, vitale_card_trusting_the_authority


def test_k4_pin_status_ends_with_reset_and_power():
    """K4: after reset or power-off nothing is verified; before it was (twin)."""
    card = powered(cps_items())
    assert card.verify() == 0x9000
    assert card.sw("00200001") == 0x9000
    card.card.power_on()
    assert card.sw("00200001") == 0x63C3
    card.verify()
    card.card.power_off()
    assert card.sw("00200001") == 0x6F00
    card.card.power_on()
    assert card.sw("00200001") == 0x63C3


def test_k4_key_choice_ends_with_the_application():
    """K4: a key chosen in the contact application cannot be used from another DF, nor on return."""
    card = powered(cps_items()).contact()
    card.verify()
    card.ok("002241B606800142840181")
    card.ok("00A4040C0D", AID_CONTACTLESS)
    assert card.sw("002A9E9A20", bytes(32), "00") == 0x6985
    card.contact()
    assert card.sw("002A9E9A20", bytes(32), "00") == 0x6985
    card.ok("002241B606800142840181")
    card.ok("002A9E9A20", bytes(32), "00")


@pytest.mark.parametrize("cla", ["01", "02", "03", "40", "4F"])
def test_k4_no_status_through_another_channel(cla):
    """K4: other logical channels are refused (6881) and see nothing of the basic one."""
    card = powered(cps_items()).contact()
    card.verify()
    card.ok("00A4020C02D120")
    assert card.send(cla + "B0000000") == (b"", 0x6881)
    assert card.ok("00B0000000") == b"situation"


def test_k5_a_challenge_serves_once():
    """K5: the same signature a second time, and one over an older challenge, are refused."""
    card = vitale_card_trusting_the_authority()
    present(card)
    challenge = card.ok("0084000010")
    answer = proof(challenge)
    assert card.chained("00820000", answer)[1] == 0x9000
    assert card.chained("00820000", answer)[1] == 0x6985
    card.ok("0084000010")
    assert card.chained("00820000", answer)[1] == 0x6300


def test_k5_a_wrong_answer_uses_the_challenge_up():
    """K5: no second guess on one challenge; a fresh one works (twin)."""
    card = vitale_card_trusting_the_authority()
    present(card)
    challenge = card.ok("0084000010")
    assert card.chained("00820000", bytes(256))[1] == 0x6300
    assert card.chained("00820000", proof(challenge))[1] == 0x6985
    assert rights(card) == 0x6982
    assert authenticate(card) == 0x9000


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00B0874000", 0x6B00),
        ("00B087FF00", 0x6B00),
        ("00B07FFF00", 0x6B00),
        ("00B0004001", 0x6B00),
        ("00D6874001AA", 0x6B00),
        ("00D6873F02AABB", 0x6A84),
        ("00B1D107055403FFFFFF00", 0x6B00),
        ("00B1D107065404FFFFFFFF00", 0x6B00),
        ("00D7D10708540200405302AABB", 0x6B00),
        ("00B087003F", 0x9000),
    ],
)
def test_k6_nothing_beyond_the_end_of_a_file(command, sw):
    """K6: offsets beyond the end and wrapping short offsets; neither this file nor its neighbour moves."""
    card = powered(cps_items()).contact()
    before = card.card.memory.keys(""), [card.card.memory.get(key) for key in card.card.memory.keys("")]
    card.ok("00A4020C02D107")
    assert card.sw(command) == sw
    assert ([card.card.memory.get(key) for key in card.card.memory.keys("")]) == before[1]


@pytest.mark.parametrize(
    "command",
    [
        "00A4090C02D003",
        "00A4090C043F02D003",
        "00A4020C02D003",
        "00A4080C02D107",
        "00A4090C043FFFD003",
        "00A4090C0400013F00",
    ],
)
def test_k7_no_path_leads_out_of_its_df(command):
    """K7: from DF 0001 a relative path finds neither a file of the MF nor climbs; the absolute twin does."""
    card = powered(cps_items()).contact()
    assert card.sw(command) == 0x6A82
    card.ok("00A4090C043F00D003")


def test_k7_a_path_does_not_carry_a_status_out():
    """K7: reaching a protected Vitale file by path from the MF leaves the authentication behind."""
    card = vitale_card_trusting_the_authority()
    present(card)
    assert authenticate(card) == 0x9000
    card.ok("00A4000C023F00")
    card.ok("00A4080C0420002020")
    assert card.sw("00B0000000") == 0x6982
