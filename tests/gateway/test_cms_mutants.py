"""A7 and A9 by numbers: mutants of valid messages, and what the reader makes of each of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.cms import enveloped, reading, signed
from gateway.cms.policy import MODERN, SESAM, Policy
from gateway.cms.refusal import SENTENCE, Refused
from gateway.pki import Purpose, der
from tools.pki.workbench import CONTENT, Workbench

SEED = 20261122


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("mutants"))


def mutants(valid: bytes, count: int, seed: int = SEED) -> Iterator[bytes]:
    """Bits, bytes, splices, truncations, lengths, and elements removed, doubled or swapped."""
    chance = random.Random(seed)
    kinds = (flip_bit, change_byte, splice, truncate, change_length, rearrange)
    for number in range(count):
        mutant = kinds[number % len(kinds)](valid, chance)
        if mutant != valid:
            yield mutant


def flip_bit(valid: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(valid))
    return valid[:at] + bytes((valid[at] ^ 1 << chance.randrange(8),)) + valid[at + 1 :]


def change_byte(valid: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(valid))
    return valid[:at] + bytes((chance.randrange(256),)) + valid[at + 1 :]


def splice(valid: bytes, chance: random.Random) -> bytes:
    here, there, size = chance.randrange(len(valid)), chance.randrange(len(valid)), chance.randrange(1, 40)
    return valid[:here] + valid[there : there + size] + valid[here + chance.choice((0, size)) :]


def truncate(valid: bytes, chance: random.Random) -> bytes:
    return valid[: chance.randrange(len(valid))] + bytes(chance.choice((0, 0, 1, 5)))


def offsets(valid: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Every element, at every depth: tag, begin, start, stop."""
    for tag, begin, start, stop in der.elements(valid, at, end):
        yield tag, begin, start, stop
        if tag & 0x20:
            yield from offsets(valid, start, stop)


def change_length(valid: bytes, chance: random.Random) -> bytes:
    _tag, begin, start, stop = chance.choice(list(offsets(valid, 0, len(valid))))
    size = max(0, stop - start + chance.choice((-2, -1, 1, 2, 127, 65536)))
    length = der.length_of(size) if chance.random() < 0.7 else b"\x80"
    return valid[: begin + 1] + length + valid[start:]


def rearrange(valid: bytes, chance: random.Random) -> bytes:
    """An element removed, doubled, turned into BER, or swapped; all lengths around it are made right."""
    encoded, path = valid, []
    while True:
        tag, start, stop = der.read(encoded, 0, len(encoded))
        children = (
            [encoded[begin:end] for _tag, begin, _start, end in der.elements(encoded, start, stop)]
            if tag & 0x20
            else []
        )
        if not children or (path and chance.random() < 0.25):
            break
        index = chance.randrange(len(children))
        path.append((tag, children, index))
        encoded = children[index]
    edited = chance.choice(
        (b"", encoded + encoded, encoded[:1] + b"\x81" + encoded[1:], b"\x05\x00" + encoded)
    )
    for tag, children, index in reversed(path):
        rest = [*children[:index], edited, *children[index + 1 :]]
        if chance.random() < 0.2:
            chance.shuffle(rest)
        edited = der.wrap(tag, *rest)
    return edited


def accepted_mutants(bench: Workbench, valid: bytes, count: int) -> list[bytes]:
    """Mutants that verify; every refusal must be the one sentence."""
    assert verdict(bench, valid) == ""
    answers = {mutant: verdict(bench, mutant) for mutant in mutants(valid, count)}
    assert len(answers) > count // 2
    assert set(answers.values()) - {""} == {SENTENCE}
    return [mutant for mutant, answer in answers.items() if not answer]


def test_no_mutant_of_a_signed_message_is_accepted(bench: Workbench) -> None:
    """A7: 16,000 mutants of a signed message: 0 accepted, whatever was changed."""
    assert accepted_mutants(bench, signed.sign(CONTENT, bench.cps, bench.now), 16_000) == []


def test_mutants_of_a_message_with_its_chain(bench: Workbench) -> None:
    """A7: 8,000 more with the authority's certificate inside: leaving that one out is all that passes."""
    chain = [bench.authority.issuer.cps.certificate.public_bytes(Encoding.DER)]
    valid = signed.sign(CONTENT, bench.cps, bench.now, chain)
    accepted = accepted_mutants(bench, valid, 8_000)
    assert [mutant.hex() for mutant in accepted if not is_harmless(valid, mutant)] == []


def verdict(bench: Workbench, encoded: bytes) -> str:
    try:
        who = signed.verify(encoded, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
    except Refused as refused:
        return str(refused)
    assert who.content == CONTENT
    assert who.certificate.der == bench.cps.certificate
    return ""


def is_harmless(valid: bytes, mutant: bytes) -> bool:
    """The one justified change: a known authority's certificate left out of the bag, nothing else."""
    one, other = reading.read_signed(valid), reading.read_signed(mutant)
    return (one.content, one.signers) == (other.content, other.signers) and set(other.certificates) < set(
        one.certificates
    )


def test_what_the_fast_reader_accepts_the_slow_reader_reads(bench: Workbench) -> None:
    """Differential: both readers agree on content, names, digests, time and signature."""
    for content in (b"x", CONTENT, bytes(70_000)):
        encoded = signed.sign(content, bench.cps, bench.now)
        who = signed.verify(encoded, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
        slow = reading.read_signed(encoded)
        (signer,) = slow.signers
        assert (slow.content, slow.content_type, slow.certificates) == (
            content,
            "data",
            (who.certificate.der,),
        )
        assert signer.issuer_and_serial == who.certificate.issuer_and_serial
        assert (signer.signing_time, signer.certificate_hash) == (
            who.signing_time,
            who.certificate.fingerprint,
        )
        who.certificate.public_key.verify(
            signer.signature, signer.signed_bytes, signed._PADDING, signed._HASH
        )


def test_the_slow_reader_refuses_in_one_way(bench: Workbench) -> None:
    """Whatever asn1crypto raises on 3,000 mutants comes out as Refused, and the valid message is read."""
    valid = signed.sign(CONTENT, bench.cps, bench.now)
    assert reading.read_signed(valid).content == CONTENT
    refused = 0
    for mutant in mutants(valid, 3_000):
        try:
            reading.read_signed(mutant)
        except Refused:
            refused += 1
    assert refused > 500


@pytest.mark.parametrize("policy", [MODERN, SESAM], ids=lambda policy: policy.name)
def test_every_damaged_envelope_gives_one_answer(bench: Workbench, policy: Policy) -> None:
    """A9: 4,000 damaged envelopes: none opens to the content; 1 visible answer."""
    key = bench.receiver.decryption
    chance = random.Random(SEED)
    valid = enveloped.encrypt(CONTENT, key.certificate, policy, chance.randbytes)
    assert enveloped.decrypt(valid, key, policy) == CONTENT
    answers = set()
    for mutant in mutants(valid, 4_000):
        try:
            opened = enveloped.decrypt(mutant, key, policy)
        except Refused as refused:
            answers.add((str(refused), refused.code))
        else:
            assert not policy.is_authenticated
            assert opened != CONTENT
    assert answers == {(SENTENCE, "refused")}
