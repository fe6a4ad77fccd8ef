"""K13: a key used against its purpose, or without consent (promise B15).

ISO 7816-4:2005, 7.5.11 (MSE) and ISO 7816-8:2004, 11 (PSO): the template names the use, the key its own. A
signature made by the authentication key, or an "authentication" by the signature key, signs what nobody read.
"""

import hashlib
import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import padding

from tests.card.bench import (
    AID_VITALE,
    PIN_9999,
    PUK_GOOD,
    cps_items,
    powered,
    private_key,
    vitale_items,
)
from tests.card.dialogue import authenticate, present, vitale_card_trusting_the_authority

DIGEST = hashlib.sha256(b"sheet").digest()
SIGN_81, SIGN_82 = "002241B606800142840181", "002241B606800142840182"
AUTH_81, AUTH_82 = "002241A406800102840181", "002241A406800102840182"
DECIPHER_81, DECIPHER_82 = "002241B80680011A840181", "002241B80680011A840182"
SIGN, PROVE = "002A9E9A20", "0088000020"


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
        (DECIPHER_82, "0088000020" + DIGEST.hex() + "00"),
        (DECIPHER_82, "002A9E9A20" + DIGEST.hex() + "00"),
    ],
)
def test_k13_a_key_does_only_its_own_work(card, choose, use):
    """Authentication key does not sign, signature key does not authenticate, choices are not mixed."""
    card.ok(choose)
    assert card.sw(use) == 0x6985
    card.ok(SIGN_81)
    card.ok("002A9E9A20", DIGEST, "00")
    card.ok(AUTH_82)
    card.ok("0088000020", DIGEST, "00")


def test_k13_the_signature_key_does_not_decipher(card):
    """A cryptogram for the signature key stays closed; the authentication key opens its own (twin)."""
    card.ok(DECIPHER_81)
    assert card.chained("002A8086", b"\x81" + bytes(256))[1] == 0x6985
    cryptogram = private_key(2).public_key().encrypt(b"for the holder", padding.PKCS1v15())
    card.ok(DECIPHER_82)
    assert card.chained("002A8086", b"\x81" + cryptogram)[0] == b"for the holder"


@pytest.mark.parametrize("template", ["A4", "AA", "B4", "B6", "B8", "B9", "00", "FF"])
def test_k13_every_algorithm_of_every_template(card, template):
    """256 algorithm references × both keys: published ones are taken, the others 6A80 or 6A86."""
    published = {"A4": {0x02}, "B6": {0x12, 0x42}, "B8": {0x1A}, "AA": {0x10, 0x40}}
    for algorithm, key in itertools.product(range(256), (0x81, 0x82)):
        sw = card.sw("002241" + template + "06", bytes((0x80, 1, algorithm, 0x84, 1, key)))
        expected = 0x9000 if algorithm in published.get(template, ()) else None
        assert sw == expected if expected else sw in (0x6A80, 0x6A86)


@pytest.mark.parametrize("key", [0x00, 0x01, 0x02, 0x80, 0x83, 0x84, 0xFF])
def test_k13_keys_that_are_not_there(card, key):
    """References of PINs, of the other card, of nothing: 6A88, and no choice is made."""
    for template, algorithm in ((0xB6, 0x42), (0xA4, 0x02), (0xB8, 0x1A)):
        assert card.sw("002241", bytes((template, 6, 0x80, 1, algorithm, 0x84, 1, key))) == 0x6A88
    assert card.sw(SIGN, DIGEST, "00") == 0x6985


def test_k13_a_refused_choice_keeps_the_former_one(card):
    """A refused MSE neither chooses nor unchooses; what was chosen and allowed still works (twin)."""
    card.ok(SIGN_81)
    for bad in ("002241B606800142840199", "002241B6068001FF840181", "002241B603840181", "002241B600"):
        assert card.sw(bad) != 0x9000
    card.ok(SIGN, DIGEST, "00")


def test_k13_keys_of_another_application_are_out_of_reach():
    """From the MF and from DF 0002 neither key can be chosen, verified or not."""
    card = powered(cps_items())
    card.verify()
    for select in ("00A4000C023F00", "00A4010C020002"):
        card.ok(select)
        for choose in (SIGN_81, AUTH_82, DECIPHER_82):
            assert card.sw(choose) == 0x6A88
    card.contact().ok(SIGN_81)


def test_b15_no_signature_without_consent():
    """Without VERIFY in this session no key answers, in personalisation neither."""
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


@pytest.mark.parametrize("proof", ["wrong PIN", "PUK", "question", "unblocked", "wrong after right"])
def test_b15_what_is_not_consent(proof):
    """A wrong PIN (also after the right one), the PUK, the question, an unblocking: no signature."""
    card = powered(cps_items()).contact()
    card.ok(SIGN_81)
    if proof == "PUK":
        card.ok("0020000208", PUK_GOOD)
    elif proof == "question":
        card.sw("00200001")
    elif proof == "unblocked":
        card.ok("002C010108", PUK_GOOD)
    else:
        if proof == "wrong after right":
            card.verify()
        card.verify(PIN_9999)
    assert card.sw(SIGN, DIGEST, "00") == 0x6982
    card.verify()
    card.ok(SIGN, DIGEST, "00")


def test_b15_the_seal_of_a_vitale_wants_a_cps():
    """Key 83 of a Vitale seals nothing before a CPS has authenticated, and seals afterwards (twin)."""
    card = powered(vitale_items())
    card.ok("00A4040C0B", AID_VITALE)
    card.ok("002241B606800142840183")
    assert card.sw(SIGN, DIGEST, "00") == 0x6982
    card = vitale_card_trusting_the_authority()
    present(card)
    assert authenticate(card) == 0x9000
    card.ok("002241B606800142840183")
    assert len(card.ok(SIGN, DIGEST, "00")) == 256


def test_b15_refused_signatures_are_not_counted():
    """The signature counter says at least the signatures made, and refusals do not move it."""
    card = powered(cps_items()).contact()
    card.ok(SIGN_81)
    for _ in range(5):
        assert card.sw(SIGN, DIGEST, "00") == 0x6982
    assert card.ok("00CA018100") == bytes(4)
    card.verify()
    for _ in range(5):
        card.ok(SIGN, DIGEST, "00")
    assert int.from_bytes(card.ok("00CA018100"), "big") >= 5
