"""K4: a status that outlives its session: across SELECT, reset, power-off, channel and face.

ISO 7816-4:2005, 5.4.1: a security status of an application ends when it is left; GlobalPlatform applets of
old kept theirs because the wrong one was deselected. After SELECT B nothing of A's status remains.
"""

import pytest

from tests.card.bench import AID_CONTACT, AID_CONTACTLESS, AID_MF_VITALE, AID_VITALE, cps_items, powered
from tests.card.dialogue import authenticate, present, proof, rights, vitale_card_trusting_the_authority

SIGN = "002241B606800142840181"
USE = "002A9E9A20"


def test_k04_pin_status_ends_with_reset_and_power():
    """After reset or power-off nothing is verified; before it was (twin)."""
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


def test_k04_everything_volatile_ends_with_a_warm_reset():
    """Key choice, waiting hash, waiting answer, growing chain, current file: all gone; set again: fine."""
    card = powered(cps_items()).contact()
    card.verify()
    card.ok("00A4020C02D120")
    card.ok(SIGN)
    card.ok("002241AA03800140")
    card.ok("002A90A005", bytes.fromhex("9000 8001AA".replace(" ", "")))
    assert card.sw(USE, bytes(32)) == 0x6100
    card.ok("102A9E9A10", bytes(16))
    card.card.power_on()
    assert card.sw("00C0000000") == 0x6985
    assert card.sw("00B0000000") == 0x6986
    card.contact()
    assert card.sw("002A9E9A10", bytes(16), "00") == 0x6985
    assert card.sw("002A9E9A00") == 0x6985
    card.ok(SIGN)
    assert card.sw("002A9E9A00") == 0x6982
    card.verify()
    assert card.sw("002A9E9A00") == 0x6985  # no hash waits
    card.ok(USE, bytes(32), "00")


def test_k04_key_choice_ends_with_the_application():
    """A key chosen in the contact application cannot be used from another DF, nor on return."""
    card = powered(cps_items()).contact()
    card.verify()
    card.ok(SIGN)
    card.ok("00A4040C0D", AID_CONTACTLESS)
    assert card.sw(USE, bytes(32), "00") == 0x6985
    card.contact()
    assert card.sw(USE, bytes(32), "00") == 0x6985
    card.ok(SIGN)
    card.ok(USE, bytes(32), "00")


@pytest.mark.parametrize("leave", ["00A4000C023F00", "00A4030C", "00A4080C022F00", "A0A40000023F00"])
def test_k04_key_choice_ends_on_every_way_out(leave):
    """MF, parent, a path, the other face: on return the key has to be chosen again (twin: then it works)."""
    card = powered(cps_items()).contact()
    card.verify()
    card.ok(SIGN)
    assert card.sw(leave) in (0x9000, 0x9F07)
    card.contact()
    assert card.sw(USE, bytes(32), "00") == 0x6985
    card.ok(SIGN)
    card.ok(USE, bytes(32), "00")


def test_k04_a_refused_select_changes_nothing():
    """Twin: an unknown name leaves application, key choice and PIN as they were."""
    card = powered(cps_items()).contact()
    card.verify()
    card.ok(SIGN)
    assert card.sw("00A4040C07A0000000041010") == 0x6A82
    card.ok(USE, bytes(32), "00")


@pytest.mark.parametrize("leave", ["mf", "name", "again", "reset"])
def test_k04_a_proved_cps_ends_with_the_application(leave):
    """Card-to-card status ends on leaving VITALE, on selecting it anew and at reset."""
    card = vitale_card_trusting_the_authority()
    present(card)
    assert authenticate(card) == 0x9000
    assert rights(card) == 0x9000
    if leave == "mf":
        card.ok("00A4000C023F00")
    elif leave == "name":
        card.ok("00A4040C0D", AID_MF_VITALE)
    elif leave == "reset":
        card.card.power_on()
    card.ok("00A4040C0B", AID_VITALE)
    assert rights(card) == 0x6982
    assert authenticate(card, bytes(256)) == 0x6985  # the certified key is gone too
    present(card)
    assert authenticate(card) == 0x9000
    assert rights(card) == 0x9000


def test_k04_a_certified_key_ends_with_the_application():
    """A certificate shown before leaving does not serve afterwards, even for the right signature."""
    card = vitale_card_trusting_the_authority()
    present(card)
    card.ok("00A4000C023F00")
    card.ok("00A4040C0B", AID_VITALE)
    challenge = card.ok("0084000010")
    assert card.chained("00820000", proof(challenge))[1] == 0x6985
    present(card)
    assert authenticate(card) == 0x9000


@pytest.mark.parametrize("cla", ["01", "02", "03", "40", "4F"])
def test_k04_no_status_through_another_channel(cla):
    """Other logical channels are refused (6881) and see nothing of the basic one."""
    card = powered(cps_items()).contact()
    card.verify()
    card.ok("00A4020C02D120")
    assert card.send(cla + "B0000000") == (b"", 0x6881)
    assert card.ok("00B0000000") == b"situation"


@pytest.mark.parametrize("command", ["0070000001", "00700001", "00708001", "017000FF"])
def test_k04_no_channel_can_be_opened(command):
    """MANAGE CHANNEL is not there: no second place where a status could stay behind."""
    card = powered(cps_items()).contact()
    card.verify()
    assert card.sw(command) in (0x6D00, 0x6881)
    assert card.sw("00200001") == 0x9000


def test_k04_the_other_face_shares_the_pin_and_no_more():
    """The CPS2ter face sees the PIN (one code for the card), never the files or keys chosen before."""
    card = powered(cps_items())
    assert card.sw("A0A40000024010") == 0x9F07
    assert card.sw("A0B000000C") == 0x9804
    card.ok("00A4040C0D", AID_CONTACT)
    card.verify()
    assert card.sw("A0B000000C") == 0x9408  # nothing is current in the face just entered
    assert card.sw("A0A40000024010") == 0x9F07
    assert card.ok("A0B000000C") == b"activity one"
    card.card.power_on()
    assert card.sw("A0A40000024010") == 0x9F07
    assert card.sw("A0B000000C") == 0x9804


def test_k04_half_a_key_does_not_survive_a_reset():
    """Personalisation: key parts brought before a reset never join parts brought after it."""
    card = powered(cps_items(operational=False)).contact()
    before = card.card.memory.get("key/3F00/0001/81")
    part = "00DB3FFF0D700BBF90010 77F480492020102".replace(" ", "")
    for tag in ("92", "93", "94", "95"):
        card.ok(part.replace("92020102", tag + "020102"))
    card.card.power_on()
    card.contact()
    card.ok(part.replace("92020102", "96020102"))  # the fifth part alone: nothing is complete
    assert card.card.memory.get("key/3F00/0001/81") == before
    for tag in ("92", "93", "94"):
        card.ok(part.replace("92020102", tag + "020102"))
    assert card.sw(part.replace("92020102", "95020102")) == 0x6A80  # twin: five parts are tried, and no key
