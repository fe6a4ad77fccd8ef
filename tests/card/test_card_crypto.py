"""Signature, authentication and decipherment of the CPS, judged with the public keys."""

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from card.kernel import hashing
from tests.card.bench import AID_CONTACTLESS, AID_MF, cps_items, powered, private_key

DIGEST = hashlib.sha256(b"a care sheet").digest()
DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420") + DIGEST
SET_SIGN = "002241B606800142840181"
SET_AUTH = "002241A406800102840182"


@pytest.fixture
def cps():
    host = powered(cps_items()).contact()
    assert host.verify() == 0x9000
    return host


def check(number, signature, digest, algorithm=None):
    """Raises InvalidSignature unless key `number` signed `digest`."""
    prehashed = utils.Prehashed(algorithm or hashes.SHA256())
    private_key(number).public_key().verify(signature, digest, padding.PKCS1v15(), prehashed)


def test_signature_with_hash_off_card(cps):
    """SHA-256 and SHA-1 digests made by the host; the choice of key serves several times."""
    cps.ok(SET_SIGN)
    for _ in range(2):
        check(1, cps.ok("002A9E9A20", DIGEST, "00"), DIGEST)
    cps.ok("002241B606840181800112")
    check(1, cps.ok("002A9E9A14", DIGEST[:20], "00"), DIGEST[:20], hashes.SHA1())


def test_the_check_bites(cps):
    """Negative twin of every verification here: another digest does not verify."""
    cps.ok(SET_SIGN)
    with pytest.raises(InvalidSignature):
        check(1, cps.ok("002A9E9A20", DIGEST, "00"), bytes(32))


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64])
@pytest.mark.parametrize("name", ["sha1", "sha256"])
def test_signature_with_hash_on_card(cps, name, length):
    """PSO HASH of the last block, with the state of three blocks before it or without any."""
    reference, sign = {"sha1": ("10", "12"), "sha256": ("40", "42")}[name]
    tail = b"t" * length
    cps.ok("002241AA0380 01".replace(" ", "") + reference)
    cps.ok("002241B6068001" + sign + "840181")
    algorithm = hashes.SHA1() if name == "sha1" else hashes.SHA256()
    for head in (b"", b"h" * 192):
        state = raw_state(name, head) + (8 * len(head)).to_bytes(8, "big") if head else b""
        body = b"\x90" + bytes((len(state),)) + state + b"\x80" + bytes((len(tail),)) + tail
        cps.ok("002A90A0", bytes((len(body),)), body)
        check(1, cps.ok("002A9E9A00"), hashlib.new(name, head + tail).digest(), algorithm)
        assert cps.sw("002A9E9A00") == 0x6985


def raw_state(name, head):
    """The state after whole blocks, computed with the compression functions under test."""
    import struct

    initial = {
        "sha1": "67452301EFCDAB8998BADCFE10325476C3D2E1F0",
        "sha256": "6A09E667BB67AE853C6EF372A54FF53A510E527F9B05688C1F83D9AB5BE0CD19",
    }[name]
    words = list(struct.unpack(f">{len(initial) // 8}I", bytes.fromhex(initial)))
    compress = hashing._sha1_block if name == "sha1" else hashing._sha256_block
    for at in range(0, len(head), 64):
        words = [
            (a + b) & 0xFFFFFFFF for a, b in zip(words, compress(words, head[at : at + 64]), strict=True)
        ]
    return struct.pack(f">{len(words)}I", *words)


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from(["sha1", "sha256"]),
    blocks=st.integers(0, 4),
    tail=st.binary(max_size=64),
    fill=st.binary(max_size=8),
)
def test_finishing_agrees_with_hashlib(name, blocks, tail, fill):
    """State after any whole blocks plus any tail gives the hash of the whole message."""
    head = (fill * 64 + bytes(64))[:64] * blocks
    assert (
        hashing.finish(name, raw_state(name, head), 8 * len(head), tail)
        == hashlib.new(name, head + tail).digest()
    )


@pytest.mark.parametrize(
    "body",
    [
        "900080", "80", "8000900100", "9008" + "00" * 8 + "8001AA", "9024" + "00" * 36 + "8001AA",
        "9028" + "00" * 32 + "0000000000000007" + "8001AA",
        "9028" + "00" * 32 + "FFFFFFFFFFFFFE00" + "8040" + "AA" * 64,
        "9100800100",
    ],
)  # fmt: skip
def test_malformed_hash_input_is_refused(cps, body):
    """Wrong tags, state size or bit count: 6A80, and no hash waits afterwards."""
    cps.ok("002241AA03800140")
    cps.ok(SET_SIGN)
    assert cps.sw("002A90A0", bytes((len(body) // 2,)), body) == 0x6A80
    assert cps.sw("002A9E9A00") == 0x6985


def test_hash_must_fit_the_signature(cps):
    """A SHA-1 made on the card is not signed as a SHA-256."""
    cps.ok("002241AA03800110")
    cps.ok("002A90A004900080 00".replace(" ", ""))
    cps.ok(SET_SIGN)
    assert cps.sw("002A9E9A00") == 0x6985


def test_internal_authenticate(cps):
    """The authentication key pads and signs what it is given, at most 40 % of the modulus."""
    cps.ok(SET_AUTH)
    check(2, cps.ok("0088000033", DIGEST_INFO, "00"), DIGEST)
    assert len(cps.ok("0088000066", bytes(102), "00")) == 256
    assert cps.sw("0088000067", bytes(103), "00") == 0x6700
    assert cps.sw("0088000000") == 0x6700
    assert cps.sw("0088000133", DIGEST_INFO, "00") == 0x6A86


def test_answer_waits_without_le(cps):
    """Case 3 of T=0: 6100, then GET RESPONSE brings the 256 bytes."""
    cps.ok(SET_SIGN)
    assert cps.sw("002A9E9A20", DIGEST) == 0x6100
    check(1, cps.ok("00C0000000"), DIGEST)


def test_decipher(cps):
    """The message inside a cryptogram, chained as real clients send it."""
    cps.ok("002241B80680011A840182")
    cryptogram = private_key(2).public_key().encrypt(b"a session key", padding.PKCS1v15())
    assert cps.chained("002A8086", b"\x81" + cryptogram) == (b"a session key", 0x9000)
    assert cps.chained("002A8086", b"\x82" + cryptogram)[1] == 0x6A80
    assert cps.chained("002A8086", b"\x81" + cryptogram[:-1])[1] == 0x6700


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("002241B606800142840183", 0x6A88),
        ("002241B606800102840181", 0x6A80),
        ("002241B603840181", 0x6A80),
        ("002241B6068001428301 81".replace(" ", ""), 0x6A80),
        ("002241B609800142840181800142", 0x6A80),
        ("002241B60580014284 02".replace(" ", ""), 0x6A80),
        ("0022C1A406800102840182", 0x6A88),
        ("002241B006800142840181", 0x6A86),
        ("002242B606800142840181", 0x6A86),
        ("0022F302", 0x6A88),
        ("0022F30101AA", 0x6700),
        ("0022F301", 0x9000),
    ],
)
def test_manage_security_environment(cps, command, sw):
    """Unknown key 6A88, algorithm of another template 6A80, doubled or foreign tags 6A80."""
    assert cps.sw(command) == sw


def test_choice_ends_with_select_restore_and_reset(cps):
    """The environment does not outlive SELECT of a DF, RESTORE or reset; SELECT of an EF keeps it."""
    cps.ok(SET_SIGN)
    cps.ok("00A4020C025031")
    cps.ok("002A9E9A20", DIGEST, "00")
    cps.contact()
    assert cps.sw("002A9E9A20", DIGEST, "00") == 0x6985
    cps.ok(SET_SIGN)
    cps.ok("0022F301")
    assert cps.sw("002A9E9A20", DIGEST, "00") == 0x6985


def test_keys_live_in_the_contact_application(cps):
    """MF and contactless application know no key (6A88)."""
    for name in (AID_MF, AID_CONTACTLESS):
        cps.ok("00A4040C", bytes((len(name),)), name)
        assert cps.sw(SET_SIGN) == 0x6A88


def test_compatible_card_authenticates_with_the_signature_key():
    """Facts 1.2 rule 7: only the opt-in personalisation gives INTERNAL AUTHENTICATE to key 81."""
    for compatible, sw in ((True, 0x9000), (False, 0x6985)):
        host = powered(cps_items(compatible=compatible)).contact()
        host.verify()
        host.ok("002241A406800102840181")
        assert host.sw("0088000033", DIGEST_INFO, "00") == sw


def test_challenge(cps):
    """Le bytes, 8 for Le 00; a length is needed; two challenges differ."""
    first, second = cps.ok("0084000008"), cps.ok("0084000000")
    assert (len(first), len(second)) == (8, 8)
    assert first != second
    assert cps.sw("00840000") == 0x6700
    assert cps.sw("0084010008") == 0x6A86


def test_signature_counter(cps):
    """GET DATA 01kk counts signatures of a key; a refused one does not count."""
    cps.ok(SET_SIGN)
    before = int.from_bytes(cps.ok("00CA018100"), "big")
    cps.ok("002A9E9A20", DIGEST, "00")
    assert cps.sw("002A9E9A1F", DIGEST[:31], "00") == 0x6700
    assert int.from_bytes(cps.ok("00CA018100"), "big") == before + 1
    assert cps.sw("00CA018300") == 0x6A88
    assert cps.sw("00CADF3000") == 0x6A88
