"""E1 to E16: attacks on envelopes. Each edits one place of a valid envelope, which is itself opened."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.cms import enveloped, oids, signed
from gateway.cms.enveloped import Refused, decrypt, encrypt
from gateway.cms.policy import MODERN, SESAM, Policy
from gateway.cms.refusal import SENTENCE
from gateway.errors import InputError, TrustError
from gateway.exchange.message import unpack
from gateway.pki import Certificate, Purpose, der
from tools.pki import evil_envelope as evil
from tools.pki.evil_envelope import Envelope, Recipient
from tools.pki.workbench import CONTENT, Workbench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("e"))


@pytest.fixture(scope="module")
def mine(bench: Workbench) -> bytes:
    return bench.receiver.decryption.certificate


@pytest.fixture(scope="module")
def stranger(bench: Workbench) -> bytes:
    return bench.authority.practice_keys("etranger").decryption.certificate


def refuses(bench: Workbench, attack: Envelope | bytes, policy: Policy = MODERN) -> str:
    """One text for every refusal; the twin is opened. Gives the local reason."""
    make = evil.modern if policy is MODERN else evil.sesam
    twin = make(bench.receiver.decryption.certificate).render()
    assert decrypt(twin, bench.receiver.decryption, policy) == CONTENT
    encoded = attack if isinstance(attack, bytes) else attack.render()
    assert encoded != twin
    with pytest.raises(Refused) as refused:
        decrypt(encoded, bench.receiver.decryption, policy)
    assert (str(refused.value), refused.value.code) == (SENTENCE, "refused")
    return refused.value.reason


def verdict(bench: Workbench, encoded: bytes) -> str:
    """What the peer of `sesam` sees of decryption and signature together: one step, one failure."""
    try:
        content = decrypt(encoded, bench.receiver.decryption, SESAM)
        signed.verify(content, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
    except TrustError as error:
        return f"{error.code}: {error}"
    return "accepted"


def test_e01_cbc_in_modern(bench: Workbench, mine: bytes) -> None:
    """E1: EnvelopedData with CBC is outside `modern`, even when the key is wrapped with OAEP."""
    attack = evil.sesam(mine)
    refuses(bench, attack)
    refuses(bench, replace(attack, recipients=(evil.oaep_recipient(mine, evil.KEY[:16]),)))


def test_e01_gcm_in_sesam(bench: Workbench, mine: bytes) -> None:
    """E1, the other way: profiles are never mixed for one receiver."""
    refuses(bench, evil.modern(mine), SESAM)


def test_e02_gcm_rewritten_to_cbc(bench: Workbench, mine: bytes) -> None:
    """E2 (RFC 9709): the same wrapped key, the content type and cipher rewritten to CBC."""
    real = evil.modern(mine)
    sealed = real.sealed[: len(real.sealed) // 16 * 16]
    rewritten = replace(
        real, outer_type=oids.ENVELOPED_DATA, algorithm=evil.cbc_algorithm(), sealed=sealed, tail=b""
    )
    refuses(bench, rewritten)
    refuses(bench, rewritten, SESAM)
    refuses(bench, replace(real, algorithm=evil.cbc_algorithm()))


def test_e03_pkcs1_in_modern(bench: Workbench, mine: bytes) -> None:
    """E3: PKCS#1 v1.5 key transport is outside `modern`."""
    refuses(bench, replace(evil.modern(mine), recipients=(evil.pkcs1_recipient(mine, evil.KEY),)))


def test_e04_second_recipient(bench: Workbench, mine: bytes, stranger: bytes) -> None:
    """E4: ours is the second recipient: this house writes and reads exactly one."""
    both = (evil.oaep_recipient(stranger), evil.oaep_recipient(mine))
    refuses(bench, replace(evil.modern(mine), recipients=both))
    refuses(bench, replace(evil.modern(mine), recipients=both[::-1]))


@pytest.mark.parametrize("policy", [MODERN, SESAM], ids=lambda policy: policy.name)
def test_e05_two_recipients_for_us(bench: Workbench, mine: bytes, policy: Policy) -> None:
    """E5 (CVE-2019-1563): several wrapped keys for one reader make an oracle."""
    if policy is MODERN:
        one, two = evil.oaep_recipient(mine), evil.oaep_recipient(mine)
        refuses(bench, replace(evil.modern(mine), recipients=(one, two)), policy)
    else:
        one, two = evil.pkcs1_recipient(mine), evil.pkcs1_recipient(mine)
        refuses(bench, replace(evil.sesam(mine), recipients=(one, two)), policy)


def test_e06_unknown_recipient(bench: Workbench, mine: bytes, stranger: bytes) -> None:
    """E6: made for somebody else, under our name or theirs; also no recipient at all."""
    refuses(bench, evil.modern(stranger))
    ours = Certificate.parse(mine).issuer_and_serial
    theirs = evil.oaep_recipient(stranger)
    refuses(bench, replace(evil.modern(mine), recipients=(replace(theirs, name=ours),)))
    refuses(bench, replace(evil.modern(mine), recipients=()))
    refuses(bench, evil.sesam(stranger), SESAM)


@pytest.mark.parametrize(
    "dotted",
    [
        "1.2.840.113549.3.2",
        "1.2.840.113549.3.4",
        "1.3.14.3.2.7",
        "2.16.840.1.101.3.4.1.42",
        "1.2.840.113549.3.7",
    ],
    ids=["rc2", "rc4", "des", "aes256-cbc", "3des"],
)
def test_e07_other_ciphers(bench: Workbench, mine: bytes, dotted: str) -> None:
    """E7: RC2, RC4, DES, AES-256-CBC are outside both profiles; 3DES is only read, in `sesam`."""
    algorithm = evil.cbc_algorithm(der.oid(dotted))
    refuses(bench, replace(evil.modern(mine), algorithm=algorithm))
    refuses(bench, replace(evil.sesam(mine), algorithm=algorithm), SESAM)
    assert SESAM.writes == "aes128-cbc"


@pytest.mark.parametrize("size", [0, 4, 8, 12, 15, 17])
def test_e08_short_tags(bench: Workbench, mine: bytes, size: int) -> None:
    """E8: a shortened tag, with or without saying so (RFC 5084 would allow 12 and more)."""
    real = evil.modern(mine)
    tag = (real.tail[2:] + b"\x00")[:size]
    refuses(bench, replace(real, tail=der.wrap(der.OCTETS, tag)))
    said = evil.gcm_algorithm(tag_size=bytes((2, 1, size)))
    refuses(bench, replace(real, tail=der.wrap(der.OCTETS, tag), algorithm=said))
    refuses(bench, replace(real, algorithm=evil.gcm_algorithm(tag_size=b"")))


@pytest.mark.parametrize("size", [0, 1, 8, 11, 13, 16, 64])
def test_e09_odd_nonces(bench: Workbench, mine: bytes, size: int) -> None:
    """E9: a nonce that is not of 12 octets, honestly used where the library can."""
    real, nonce = evil.modern(mine), bytes(range(size))
    if size >= 8:
        sealed = AESGCM(evil.KEY).encrypt(nonce, CONTENT, None)
        real = replace(real, sealed=sealed[:-16], tail=der.wrap(der.OCTETS, sealed[-16:]))
    refuses(bench, replace(real, algorithm=evil.gcm_algorithm(nonce)))


def test_e10_authenticated_attributes(bench: Workbench, mine: bytes) -> None:
    """E10: authAttrs that were covered by the tag are removed, or were never there and are added."""
    attributes = der.wrap(der.SEQUENCE, oids.CONTENT_TYPE, der.wrap(der.SET, oids.DATA))
    covered = evil.modern(mine, associated=der.wrap(der.SET, attributes))
    refuses(bench, covered)
    with_them = der.wrap(0xA1, attributes)
    refuses(bench, replace(covered, tail=with_them + covered.tail))
    refuses(bench, replace(evil.modern(mine), tail=with_them + evil.modern(mine).tail))
    unauthenticated = evil.modern(mine).tail + der.wrap(0xA2, attributes)
    refuses(bench, replace(evil.modern(mine), tail=unauthenticated))


def test_e11_flipped_bits_in_modern(bench: Workbench, mine: bytes) -> None:
    """E11: any flipped bit of key, nonce, content or tag."""
    real = evil.modern(mine).render()
    start = real.index(oids.RSA_OAEP)
    for at in [*range(start, len(real), 37), len(real) - 1]:
        refuses(bench, real[:at] + bytes((real[at] ^ 0x40,)) + real[at + 1 :])


def test_e11_flipped_bits_in_sesam(bench: Workbench, mine: bytes) -> None:
    """E11 in `sesam`: the envelope cannot see a flip, the signature inside does; one answer for all."""
    inner = signed.sign(CONTENT, bench.cps, bench.now)
    real = evil.sesam(mine, inner).render()
    assert verdict(bench, real) == "accepted"
    answers = {
        verdict(bench, real[:at] + bytes((real[at] ^ 0x01,)) + real[at + 1 :])
        for at in range(real.index(evil.IV), len(real), 23)
    }
    assert answers == {f"refused: {SENTENCE}"}


def test_e12_efail_splice(bench: Workbench, mine: bytes) -> None:
    """E12 (EFAIL 2018): known plaintext lets an attacker write blocks of their own into CBC."""
    inner = signed.sign(CONTENT, bench.cps, bench.now)
    real = evil.sesam(mine, inner)
    wanted = b"0123456789abcdef"
    gadget = bytes(a ^ b ^ c for a, b, c in zip(evil.IV, inner[:16], wanted, strict=True))
    spliced = replace(real, sealed=gadget + real.sealed[:16] + real.sealed)
    opened = decrypt(spliced.render(), bench.receiver.decryption, SESAM)
    assert opened[16:32] == wanted  # the danger: chosen text appears inside
    assert verdict(bench, real.render()) == "accepted"
    assert verdict(bench, spliced.render()) == f"refused: {SENTENCE}"
    modern = evil.modern(mine, inner)
    refuses(bench, replace(modern, sealed=gadget + modern.sealed))


def test_e13_other_oaep(bench: Workbench, mine: bytes) -> None:
    """E13: OAEP with SHA-1, with a label, with another mask; honestly used, with or without saying so."""
    key, name = Certificate.parse(mine).public_key, Certificate.parse(mine).issuer_and_serial
    sha1, sha256 = hashes.SHA1(), hashes.SHA256()
    defaults = der.wrap(der.SEQUENCE, oids.RSA_OAEP, der.wrap(der.SEQUENCE))
    for mask, digest, label in ((sha1, sha1, None), (sha256, sha256, b"label"), (sha1, sha256, None)):
        oaep = padding.OAEP(padding.MGF1(mask), digest, label)
        wrapped = key.encrypt(evil.KEY, oaep)
        for transport in (defaults, enveloped.OAEP_IDENTIFIERS[0]):
            recipient = Recipient(name, wrapped, transport)
            refuses(bench, replace(evil.modern(mine), recipients=(recipient,)))


@pytest.mark.parametrize("policy", [MODERN, SESAM], ids=lambda policy: policy.name)
def test_e14_empty(bench: Workbench, mine: bytes, policy: Policy) -> None:
    """E14: no message, no content, an empty content: refused when reading, not written either."""
    make = evil.modern if policy is MODERN else evil.sesam
    refuses(bench, b"", policy)
    refuses(bench, make(mine, b""), policy)
    refuses(bench, replace(make(mine), sealed_element=b""), policy)
    refuses(bench, replace(make(mine), sealed=b""), policy)
    with pytest.raises(InputError):
        encrypt(b"", mine, policy, os.urandom)


def test_e15_length_bomb(bench: Workbench, mine: bytes) -> None:
    """E15: lengths that claim gigabytes, and a message larger than the limit."""
    refuses(bench, b"\x30\x84\xff\xff\xff\xff" + evil.modern(mine).render()[4:])
    refuses(bench, b"\x30\x88" + b"\xff" * 8)
    bomb = der.wrap(0x80, b"x")[:1] + b"\x84\x7f\xff\xff\xff" + b"x"
    refuses(bench, replace(evil.modern(mine), sealed_element=bomb))
    assert refuses(bench, bytes(9 * 1024 * 1024)) == "envelope: larger than the limit"


def test_e16_compression_bomb(bench: Workbench, mine: bytes) -> None:
    """E16: 64 MiB in 64 KiB of gzip are not unpacked; CompressedData is no content type of the profiles."""
    small, bomb = gzip.compress(b"TEST"), gzip.compress(bytes(64 * 1024 * 1024), 9)
    assert (
        unpack(decrypt(encrypt(small, mine, MODERN, os.urandom), bench.receiver.decryption, MODERN))
        == b"TEST"
    )
    opened = decrypt(encrypt(bomb, mine, MODERN, os.urandom), bench.receiver.decryption, MODERN)
    with pytest.raises(TrustError):
        unpack(opened)
    compressed = der.oid("1.2.840.113549.1.9.16.1.9")
    refuses(bench, replace(evil.modern(mine), content_type=compressed))


def test_pieces_are_whole(bench: Workbench, mine: bytes) -> None:
    """BER forms, versions and sizes that differ from the profile in one place each."""
    for version in (b"\x02\x01\x02", b"\x02\x01\x03"):
        refuses(bench, replace(evil.modern(mine), version=version))
    constructed = der.wrap(0xA0, der.wrap(der.OCTETS, evil.modern(mine).sealed))
    refuses(bench, replace(evil.modern(mine), sealed_element=constructed))
    refuses(bench, replace(evil.sesam(mine), tail=b"\x05\x00"), SESAM)
    refuses(bench, replace(evil.sesam(mine), sealed=evil.sesam(mine).sealed[:-1]), SESAM)
    refuses(bench, evil.modern(mine).render() + b"\x00")


def test_unwrapping_failure_looks_like_any_other(bench: Workbench, mine: bytes) -> None:
    """RFC 3218: a key that does not unwrap gives the refusal of a damaged content, at the same place."""
    real = evil.sesam(mine)
    key = Certificate.parse(mine).public_key
    reasons = {
        refuses(bench, replace(real, sealed=bytes(64)), SESAM)
    }  # fixed key: fails the same way each time
    for wrapped in (os.urandom(255), key.encrypt(b"short", evil.PKCS1), key.encrypt(bytes(17), evil.PKCS1)):
        recipient = replace(real.recipients[0], wrapped=wrapped.rjust(256, b"\x00"))
        encoded = replace(real, recipients=(recipient,)).render()
        try:
            assert decrypt(encoded, bench.receiver.decryption, SESAM) != CONTENT
        except Refused as refused:
            reasons.add(refused.reason)
    assert reasons == {"envelope: the content key does not open the content"}
