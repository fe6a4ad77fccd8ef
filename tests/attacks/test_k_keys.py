"""K13 to K15: keys used against their purpose, RSA as an oracle, writing after the lock; promise B15."""

import hashlib

import pytest

from tests.card.bench import AID_CONTACT, AID_VITALE, cps_items, powered, private_key, vitale_items
from tests.card.test_card_objects import FCP_TRANSPARENT, create

DIGEST = hashlib.sha256(b"sheet").digest()
SIGN_81, SIGN_82 = "002241B606800142840181", "002241B606800142840182"
AUTH_81, AUTH_82 = "002241A406800102840181", "002241A406800102840182"
DECIPHER_81 = "002241B80680011A840181"


@pytest.fixture
def card():
    host = powered(cps_items()).contact()
    host.verify()
    return host


@pytest.mark.parametrize(
    ("choose", "use"),
    [
        (SIGN_82, "002A9E9A20" + DIGEST.hex() + "00"),
        (AUTH_81, "0088000020" + DIGEST.hex() + "00"),
        (SIGN_81, "0088000020" + DIGEST.hex() + "00"),
        (AUTH_82, "002A9E9A20" + DIGEST.hex() + "00"),
    ],
)
def test_k13_a_key_does_only_its_own_work(card, choose, use):
    """K13: authentication key does not sign, signature key does not authenticate, choices are not mixed."""
    card.ok(choose)
    assert card.sw(use) == 0x6985
    card.ok(SIGN_81)
    card.ok("002A9E9A20", DIGEST, "00")
    card.ok(AUTH_82)
    card.ok("0088000020", DIGEST, "00")


def test_k13_the_signature_key_does_not_decipher(card):
    """K13: a cryptogram for the signature key stays closed."""
    card.ok(DECIPHER_81)
    assert card.chained("002A8086", b"\x81" + bytes(256))[1] == 0x6985


@pytest.mark.parametrize("length", [1, 16, 19, 20, 21, 31, 33, 51, 64, 128, 255])
def test_k14_only_digests_are_signed(card, length):
    """K14, B15: the signature key signs 32 bytes for SHA-256, nothing shorter, longer or ready padded."""
    card.ok(SIGN_81)
    assert card.sw("002A9E9A", bytes((length,)), bytes(length), "00") == 0x6700
    card.ok("002A9E9A20", DIGEST, "00")


def test_k14_no_raw_rsa(card):
    """K14: a full 256-byte block is refused by every operation; what is signed carries the card's padding."""
    block = b"\0\2" + b"\x55" * 254
    card.ok(SIGN_81)
    assert card.chained("002A9E9A", block)[1] == 0x6700
    card.ok(AUTH_82)
    assert card.sw("0088000000 0100".replace(" ", ""), block, "0000") == 0x6700
    numbers = private_key(2).public_key().public_numbers()
    signature = int.from_bytes(card.ok("0088000010", bytes(16), "00"), "big")
    opened = pow(signature, numbers.e, numbers.n).to_bytes(256, "big")
    assert opened == b"\0\1" + b"\xff" * 237 + b"\0" + bytes(16)


@pytest.mark.parametrize("card_of", ["cps", "vitale"])
@pytest.mark.parametrize(
    "command",
    [
        create(FCP_TRANSPARENT),
        "00E40000",
        "00D7000009540100530441414141",
        "00DB3FFF167014BF8101107F410D800105820835363738FFFFFFFF",
        "00470000057003BF9001",
        "00440000",
        "00040000",
    ],
)
def test_k15_nothing_is_personalised_after_the_lock(card_of, command):
    """K15: CREATE, DELETE, PUT DATA, GENERATE, ACTIVATE, DEACTIVATE are refused and change nothing."""
    host = powered((cps_items if card_of == "cps" else vitale_items)())
    host.ok("00A4040C0D" + AID_CONTACT.hex() if card_of == "cps" else "00A4040C0B" + AID_VITALE.hex())
    host.ok("00A4020C025031" if card_of == "cps" else "00A4020C022010")
    if command == "00E40000":  # the DF itself; the file just selected is a target of its own
        assert host.sw(command) == 0x6982
        host.ok("00A4040C0D" + AID_CONTACT.hex() if card_of == "cps" else "00A4040C0B" + AID_VITALE.hex())
    memory = host.card.memory
    before = {key: memory.get(key) for key in memory.keys("")}
    foreign = card_of == "vitale" and command[2:4] in ("DB", "47")  # instructions a Vitale does not have
    assert host.sw(command) == (0x6D00 if foreign else 0x6982)
    host.card.power_on()
    assert {key: memory.get(key) for key in memory.keys("")} == before


def test_k15_twin_the_same_commands_before_the_lock():
    """K15 twin: in personalisation the same CREATE is accepted, and locked out once operational."""
    host = powered(cps_items(operational=False)).contact()
    host.ok(create(FCP_TRANSPARENT))
    host.ok("00A4000C023F00")
    host.ok("00440000")
    assert host.sw(create(FCP_TRANSPARENT)) == 0x6982


def test_b15_no_signature_without_consent():
    """B15: without VERIFY in this session no key answers, in personalisation neither."""
    for operational in (True, False):
        host = powered(cps_items(operational=operational)).contact()
        for choose, use in ((SIGN_81, "002A9E9A20"), (AUTH_82, "0088000020")):
            host.ok(choose)
            assert host.sw(use, DIGEST, "00") == 0x6982
        host.verify()
        host.ok(SIGN_81)
        host.ok("002A9E9A20", DIGEST, "00")
        host.card.power_on()
        host.contact()
        host.ok(SIGN_81)
        assert host.sw("002A9E9A20", DIGEST, "00") == 0x6982
