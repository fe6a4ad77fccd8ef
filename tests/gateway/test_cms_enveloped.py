"""Envelopes: only the named recipient opens them, in the profile they were made in."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cms import reading
from gateway.cms.enveloped import DecryptionKey, Refused, decrypt, encrypt
from gateway.cms.policy import MODERN, SESAM, Policy
from gateway.pki import Certificate
from tools.pki.workbench import CONTENT, Workbench

BOTH = pytest.mark.parametrize("policy", [MODERN, SESAM], ids=lambda policy: policy.name)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("enveloped"))


@BOTH
@given(content=st.binary(min_size=1, max_size=1000), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_comes_back(bench: Workbench, policy: Policy, content: bytes, seed: int) -> None:
    """What is sealed is opened, in both profiles."""
    key = bench.receiver.decryption
    message = encrypt(content, key.certificate, policy, random.Random(seed).randbytes)
    assert decrypt(message, key, policy) == content


@BOTH
def test_the_slow_reader_reads_the_same(bench: Workbench, policy: Policy) -> None:
    """Recipient, algorithms and sizes as asn1crypto reads them."""
    key = bench.receiver.decryption
    read = reading.read_envelope(encrypt(CONTENT, key.certificate, policy, random.Random(1).randbytes))
    assert read.issuer_and_serial == Certificate.parse(key.certificate).issuer_and_serial
    assert len(read.wrapped_key) == 256
    expected = {
        "modern": ("authenticated_enveloped_data", "rsaes_oaep", "2.16.840.1.101.3.4.1.46", len(CONTENT), 16),
        "sesam": (
            "enveloped_data",
            "rsaes_pkcs1v15",
            "2.16.840.1.101.3.4.1.2",
            len(CONTENT) // 16 * 16 + 16,
            0,
        ),
    }
    found = (read.content_type, read.key_transport, read.cipher, len(read.sealed), len(read.tag))
    assert found == expected[policy.name]


@BOTH
def test_fresh_keys_for_every_message(bench: Workbench, policy: Policy) -> None:
    """The same content twice shares neither key, nonce nor ciphertext: chance is asked each time."""
    sizes: list[int] = []
    source = random.Random(2)

    def rng(size: int) -> bytes:
        sizes.append(size)
        return source.randbytes(size)

    certificate = bench.receiver.decryption.certificate
    one, two = (encrypt(CONTENT, certificate, policy, rng) for _ in range(2))
    assert reading.read_envelope(one).sealed != reading.read_envelope(two).sealed
    assert sizes == ([32, 12] * 2 if policy is MODERN else [16, 16] * 2)


@BOTH
def test_only_the_recipient_opens(bench: Workbench, policy: Policy) -> None:
    """Another key refuses, also when it claims the recipient's certificate."""
    key, practice = bench.receiver.decryption, bench.authority.practice_keys("cabinet").decryption
    message = encrypt(CONTENT, key.certificate, policy, random.Random(3).randbytes)
    assert decrypt(message, key, policy) == CONTENT
    with pytest.raises(Refused):
        decrypt(message, practice, policy)
    try:
        opened = decrypt(message, DecryptionKey(practice.private_key, key.certificate), policy)
    except Refused:
        return
    assert policy is SESAM
    assert opened != CONTENT


def test_profiles_do_not_mix(bench: Workbench) -> None:
    """A message of one profile is refused in the other, by the key that would open it."""
    key = bench.receiver.decryption
    for one, other in ((MODERN, SESAM), (SESAM, MODERN)):
        message = encrypt(CONTENT, key.certificate, one, random.Random(4).randbytes)
        assert decrypt(message, key, one) == CONTENT
        with pytest.raises(Refused):
            decrypt(message, key, other)


def test_keys_show_nothing(bench: Workbench) -> None:
    """Neither private key nor certificate is in the repr."""
    assert repr(bench.receiver.decryption) == "DecryptionKey()"


@BOTH
@given(data=st.binary(max_size=200))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused(bench: Workbench, policy: Policy, data: bytes) -> None:
    """No byte string makes the reader raise anything but Refused (A10)."""
    with pytest.raises(Refused):
        decrypt(data, bench.receiver.decryption, policy)
