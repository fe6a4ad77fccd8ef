"""The Vitale: free files, card-to-card authentication, the seal."""

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from tests.card.bench import AID_MF_VITALE, AID_VITALE, private_key
from tests.card.dialogue import (
    OTHER,
    ROGUE,
    authenticate,
    certificate,
    present,
    proof,
    rights,
    vitale_card_trusting_the_authority,
)


@pytest.fixture
def vitale():
    return vitale_card_trusting_the_authority()


@pytest.mark.parametrize(
    ("edit", "sw"),
    [
        ({"usage": "dn"}, 0x6985),
        ({"usage": "dkn"}, 0x6985),
        ({"usage": "d"}, 0x6985),
        ({"usage": "dkc"}, 0x6985),
        ({"usage": ""}, 0x6985),
        ({"key": "ec"}, 0x6A80),
        ({"issuer": ROGUE}, 0x6988),
        ({"issuer": ROGUE, "name": "AC ROGUE TEST"}, 0x6988),
        ({"algorithm": "sha384"}, 0x6988),
        ({}, 0x9000),
    ],
)
def test_certificates(vitale, edit, sw):
    """Signature certificate, wrong key, unknown issuer: refused; the unedited twin accepted."""
    assert present(vitale, certificate(**edit)) == sw
    assert authenticate(vitale) == (0x9000 if sw == 0x9000 else 0x6985)


@pytest.mark.parametrize(
    "der", [b"\x30\x03\x02\x01\x01", bytes(300), certificate()[:-1], certificate() + b"\0"]
)
def test_not_a_certificate(vitale, der):
    """Broken DER: 6A80, and an earlier certificate no longer counts."""
    assert present(vitale) == 0x9000
    assert present(vitale, der) == 0x6A80
    assert authenticate(vitale) == 0x6985


def test_wrong_proofs(vitale):
    """Another key, another card's serial, another challenge, wrong length."""
    present(vitale)
    assert authenticate(vitale, proof(bytes(16))) == 0x6300
    challenge = vitale.ok("0084000010")
    assert vitale.chained("00820000", proof(challenge, key=OTHER))[1] == 0x6300
    challenge = vitale.ok("0084000010")
    assert vitale.chained("00820000", proof(challenge, serial=bytes(10)))[1] == 0x6300
    vitale.ok("0084000010")
    assert vitale.sw("0082000008", bytes(8)) == 0x6700
    assert rights(vitale) == 0x6982
    assert authenticate(vitale) == 0x9000


def test_short_challenge_is_not_enough(vitale):
    """A challenge of 8 bytes does not serve (6985), of 16 it does."""
    present(vitale)
    challenge = vitale.ok("0084000008")
    assert vitale.chained("00820000", proof(challenge))[1] == 0x6985
    assert authenticate(vitale) == 0x9000


def test_status_ends_with_the_application(vitale):
    """SELECT of the MF, of the application anew, and reset end the authentication."""
    for leave in (
        "00A4040C0E" + AID_MF_VITALE.hex(),
        "00A4040C0B" + AID_VITALE.hex(),
        "00A4000C023F00",
        "reset",
    ):
        present(vitale)
        assert authenticate(vitale) == 0x9000
        assert rights(vitale) == 0x9000
        if leave == "reset":
            vitale.card.power_on()
        else:
            vitale.ok(leave)
        vitale.ok("00A4080C0420002020")
        assert vitale.sw("00B0000000") == 0x6982
        vitale.ok("00A4040C0B", AID_VITALE)


def test_dialogue_belongs_to_the_application(vitale):
    """Under the MF certificates and proofs are refused (6985)."""
    vitale.ok("00A4000C023F00")
    assert present(vitale) == 0x6985
    assert vitale.chained("00820000", bytes(256))[1] == 0x6985


def test_seal(vitale):
    """Key 83 seals a digest after the authentication only; SHA-1 is not offered."""
    digest = hashlib.sha256(b"sheet").digest()
    vitale.ok("002241B606800142840183")
    assert vitale.sw("002A9E9A20", digest, "00") == 0x6982
    present(vitale)
    authenticate(vitale)
    seal = vitale.ok("002A9E9A20", digest, "00")
    private_key(3).public_key().verify(seal, digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    assert vitale.sw("002241B606800112840183") == 0x6A80
    assert vitale.sw("002241A406800102840183") == 0x6A86
    assert vitale.sw("002A9E9A1F", digest[:31], "00") == 0x6700


def test_challenge_length(vitale):
    """Le 00 gives 16 bytes."""
    assert len(vitale.ok("0084000000")) == 16
