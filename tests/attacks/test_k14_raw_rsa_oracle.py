"""K14: raw RSA as an oracle. Bleichenbacher 1998 (padding oracle) and 2006 (forgery); CVE-2023-5992 (OpenSC's
unpadding); Coron, Naccache and Stern 1999 on signatures of ill-formed blocks; IAS-ECC: input ≤ 40 % of the
modulus.

The card pads everything it signs, signs digests of the exact size only, and answers every wrong cryptogram in
one way: no door leads to the bare private operation.
"""

import hashlib
import secrets

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from tests.card.bench import cps_items, powered, private_key

DIGEST = hashlib.sha256(b"sheet").digest()
SIGN_81, SIGN_81_SHA1 = "002241B606800142840181", "002241B606800112840181"
AUTH_82, DECIPHER_82 = "002241A406800102840182", "002241B80680011A840182"
FORTY_PER_CENT = 102


@pytest.fixture
def card():
    host = powered(cps_items()).contact()
    host.verify()
    return host


def opened(number: int, signature: bytes) -> bytes:
    """The block inside a signature, as the public key shows it."""
    numbers = private_key(number).public_key().public_numbers()
    return pow(int.from_bytes(signature, "big"), numbers.e, numbers.n).to_bytes(256, "big")


@pytest.mark.parametrize("length", [1, 16, 19, 20, 21, 31, 33, 51, 64, 128, 255])
def test_k14_only_digests_are_signed(card, length):
    """B15: the signature key signs 32 bytes for SHA-256, nothing shorter, longer or ready padded."""
    card.ok(SIGN_81)
    assert card.sw("002A9E9A", bytes((length,)), bytes(length), "00") == 0x6700
    card.ok("002A9E9A20", DIGEST, "00")


@pytest.mark.parametrize("length", [1, 16, 19, 21, 32, 35, 36, 255])
def test_k14_only_digests_are_signed_with_sha1_too(card, length):
    """20 bytes for SHA-1 and nothing else; the block has the DigestInfo of SHA-1 (twin)."""
    card.ok(SIGN_81_SHA1)
    assert card.sw("002A9E9A", bytes((length,)), bytes(length), "00") == 0x6700
    block = opened(1, card.ok("002A9E9A14", bytes(20), "00"))
    assert block.endswith(b"\0" + bytes.fromhex("3021300906052B0E03021A05000414") + bytes(20))


def test_k14_no_raw_rsa(card):
    """A full 256-byte block is refused by every operation; what is signed carries the card's padding."""
    block = b"\0\2" + b"\x55" * 254
    card.ok(SIGN_81)
    assert card.chained("002A9E9A", block)[1] == 0x6700
    card.ok(AUTH_82)
    assert card.sw("00880000000100", block, "0000") == 0x6700
    signature = card.ok("0088000010", bytes(16), "00")
    assert opened(2, signature) == b"\0\1" + b"\xff" * 237 + b"\0" + bytes(16)


@pytest.mark.parametrize("length", [FORTY_PER_CENT + 1, 103, 117, 128, 200, 245, 246, 255])
def test_k14_no_digest_info_beyond_forty_per_cent(card, length):
    """Longer inputs would leave too little padding (room for forgery): 6700; 102 bytes are taken (twin)."""
    card.ok(AUTH_82)
    assert card.sw("00880000", bytes((length,)), bytes(length), "00") == 0x6700
    block = opened(2, card.ok("0088000066", b"\xaa" * FORTY_PER_CENT, "00"))
    assert block == b"\0\1" + b"\xff" * (253 - FORTY_PER_CENT) + b"\0" + b"\xaa" * FORTY_PER_CENT


def test_k14_every_length_the_card_proves_is_padded(card):
    """All 102 lengths: block type 1, at least 151 bytes of FF, then exactly the input."""
    card.ok(AUTH_82)
    for length in range(1, FORTY_PER_CENT + 1):
        data = secrets.token_bytes(length)
        block = opened(2, card.ok("00880000", bytes((length,)), data, "00"))
        assert block == b"\0\1" + b"\xff" * (253 - length) + b"\0" + data


def test_k14_nothing_to_prove_is_refused(card):
    """INTERNAL AUTHENTICATE without data, with P1-P2, in a chain: refused; the signature needs a digest."""
    card.ok(AUTH_82)
    assert card.sw("0088000000") == 0x6700
    assert card.sw("0088000120", DIGEST, "00") == 0x6A86
    assert card.sw("1088000010", DIGEST[:16]) == 0x6884
    card.ok(SIGN_81)
    assert card.sw("002A9E9A00") == 0x6985
    card.ok("002A9E9A20", DIGEST, "00")


def test_k14_a_signature_is_never_a_decipherment(card):
    """What was enciphered for the card and given as a "digest" comes back signed, not opened."""
    secret = b"for the holder only"
    cryptogram = private_key(2).public_key().encrypt(secret, padding.PKCS1v15())
    card.ok(AUTH_82)
    for piece in (cryptogram[:102], cryptogram[-102:]):
        assert secret not in card.ok("0088000066", piece, "00")
    card.ok(DECIPHER_82)
    assert card.chained("002A8086", b"\x81" + cryptogram)[0] == secret


@pytest.mark.parametrize("length", [0, 1, 128, 255, 257, 300])
def test_k14_cryptograms_of_another_size(card, length):
    """Only 81 and 256 bytes: other sizes 6700, another indicator 6A80."""
    card.ok(DECIPHER_82)
    assert card.chained("002A8086", b"\x81" + bytes(length))[1] == 0x6700
    assert card.chained("002A8086", b"\x00" + bytes(256))[1] == 0x6A80


def test_k14_no_padding_oracle(card):
    """A hundred blocks with good, bad and no padding: all answered alike, 9000 and some bytes, never "bad".

    Implicit rejection (draft-irtf-cfrg-rsa-guidance): a wrong block gives a message made up from key and
    cryptogram, the same each time, so that the answer tells nothing about the padding.
    """
    numbers = private_key(2).public_key().public_numbers()
    card.ok(DECIPHER_82)
    answers = set()
    for number in range(100):
        start = [b"\0\2", b"\0\1", b"\1\2", b"\0\0"][number % 4]
        block = (
            start
            + secrets.token_bytes(200).replace(b"\0", b"\1")
            + bytes(number % 3)
            + secrets.token_bytes(54)
        )
        block = block[:256].ljust(256, b"\x33")
        value = pow(int.from_bytes(block, "big") % numbers.n, numbers.e, numbers.n)
        cryptogram = b"\x81" + value.to_bytes(256, "big")
        first = card.chained("002A8086", cryptogram)
        assert first == card.chained("002A8086", cryptogram)
        answers.add(first[1])
    assert answers == {0x9000}


def test_k14_a_cryptogram_beyond_the_modulus(card):
    """A number not below the modulus is no cryptogram: 6A80, whatever its bytes."""
    numbers = private_key(2).public_key().public_numbers()
    card.ok(DECIPHER_82)
    for value in (numbers.n, numbers.n + 1, (1 << 2048) - 1):
        assert card.chained("002A8086", b"\x81" + value.to_bytes(256, "big"))[1] == 0x6A80


def test_k14_a_hash_state_of_the_host_still_ends_in_a_digest(card):
    """PSO HASH with any intermediate state: what is signed is 32 bytes behind the DigestInfo."""
    card.ok("002241AA03800140")
    state = secrets.token_bytes(32) + (512).to_bytes(8, "big")
    card.ok("002A90A02E", b"\x90\x28", state, b"\x80\x02ab")
    card.ok(SIGN_81)
    block = opened(1, card.ok("002A9E9A00"))
    assert block.startswith(
        b"\0\1" + b"\xff" * 202 + b"\0" + bytes.fromhex("3031300D060960864801650304020105000420")
    )
    assert card.sw("002A9E9A00") == 0x6985  # used up
    card.ok("002A90A007", b"\x90\x00\x80\x03abc")
    signature = card.ok("002A9E9A00")
    digest = hashlib.sha256(b"abc").digest()
    private_key(1).public_key().verify(
        signature, digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256())
    )
