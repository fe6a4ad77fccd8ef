"""S1 to S29: attacks on SignedData. Each edits one place of a valid message, which is itself accepted."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding

from card.issuer import Practitioner
from gateway.cms import attributes, oids, signed
from gateway.cms.refusal import SENTENCE, Refused
from gateway.pki import Certificate, Purpose, der
from tools.pki.broken import HOLDER, Breaker
from tools.pki.evil import (
    NULL,
    Message,
    algorithm,
    block,
    block_for,
    message,
    rsa_signature,
    unchecked_block,
)
from tools.pki.keys import numbered_key, weak_key
from tools.pki.workbench import CONTENT, Workbench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("s"))


def accepts(bench: Workbench, encoded: bytes, content: bytes = CONTENT) -> None:
    who = signed.verify(encoded, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
    assert who.content == content
    assert who.certificate.national_id == HOLDER


def refuses(bench: Workbench, evil: Message | bytes, words: str = "", twin: Message | None = None) -> None:
    """The attack is refused in the one sentence; the local reason holds `words`; the twin is accepted."""
    twin = twin or message(bench)
    accepts(bench, twin.render(), twin.content)
    encoded = evil if isinstance(evil, bytes) else evil.render()
    assert encoded != twin.render()
    with pytest.raises(Refused) as refused:
        signed.verify(encoded, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
    assert str(refused.value) == SENTENCE
    assert words in refused.value.reason


def test_the_twin_is_what_sign_writes(bench: Workbench) -> None:
    """The factory's valid message is byte for byte the one `sign` makes."""
    assert message(bench).render() == signed.sign(CONTENT, bench.cps, bench.now)


def test_s01_no_signer(bench: Workbench) -> None:
    """S1 (Johnny, you are fired!): no SignerInfo at all must not pass as "no bad signature"."""
    refuses(bench, replace(message(bench), signers=()), "cut short")


def test_s02_only_a_foreign_signer(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> None:
    """S2: a perfectly valid message of a signer from another authority."""
    foreign = Workbench.make(tmp_path_factory.mktemp("foreign"), first_key=50)
    evil = message(foreign).render()
    signed.verify(evil, foreign.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
    refuses(bench, evil, "not issued by an authority known here")


def test_s03_two_signers_one_bad(bench: Workbench) -> None:
    """S3: a good signer beside a bad one; also two good ones: exactly one is allowed."""
    good = message(bench)
    bad = replace(block(bench.other, CONTENT, bench), sign=lambda _data: bytes(256))
    both = (bench.cps.certificate, bench.other.certificate)
    refuses(bench, replace(good, signers=(*good.signers, bad), certificates=both))
    second = block(bench.other, CONTENT, bench)
    refuses(bench, replace(good, signers=(*good.signers, second), certificates=both))


def test_s04_no_signed_attributes(bench: Workbench) -> None:
    """S4: the signature directly over the content, which RFC 5652 allows and this profile does not."""
    refuses(bench, message(bench).edit_signer(lambda one: replace(one, attributes=None)))


def test_s05_content_is_signed_attributes(bench: Workbench) -> None:
    """S5 (draft-ietf-lamps-cms-euf-cma-signeddata): the attributes of a real message become content."""
    real = message(bench)
    stolen = der.wrap(der.SET, real.signers[0].signed_attributes())
    evil = replace(real, content=stolen).edit_signer(lambda one: replace(one, attributes=None))
    certificate = Certificate.parse(bench.cps.certificate)
    signature = evil.render()[-256:]
    certificate.public_key.verify(signature, stolen, padding.PKCS1v15(), hashes.SHA256())  # the danger
    refuses(bench, evil)


def test_s06_no_message_digest(bench: Workbench) -> None:
    """S6: without messageDigest the signature says nothing about the content."""
    refuses(bench, message(bench).edit_signer(lambda one: one.with_attribute(oids.MESSAGE_DIGEST)), "missing")


def test_s07_message_digest_twice(bench: Workbench) -> None:
    """S7: two messageDigest attributes, or one with two values: which one counts?"""
    right = der.wrap(der.OCTETS, hashlib.sha256(CONTENT).digest())
    wrong = der.wrap(der.OCTETS, hashlib.sha256(b"other").digest())
    values = sorted((right, wrong))
    refuses(
        bench,
        message(bench).edit_signer(lambda one: one.with_attribute(oids.MESSAGE_DIGEST, *values)),
        "not exactly one value",
    )
    extra = der.wrap(der.SEQUENCE, oids.MESSAGE_DIGEST, der.wrap(der.SET, wrong))
    twice = message(bench).edit_signer(
        lambda one: replace(one, attributes=tuple(sorted((*(one.attributes or ()), extra))))
    )
    refuses(bench, twice, "repeated")


def test_s08_wrong_message_digest(bench: Workbench) -> None:
    """S8: other content under the same signature, and a digest of something else."""
    refuses(bench, replace(message(bench), content=b"other" * 104), "messageDigest")
    wrong = der.wrap(der.OCTETS, bytes(32))
    refuses(
        bench,
        message(bench).edit_signer(lambda one: one.with_attribute(oids.MESSAGE_DIGEST, wrong)),
        "messageDigest",
    )


def test_s09_no_content_type(bench: Workbench) -> None:
    """S9: contentType is mandatory when there are signed attributes (RFC 5652 5.3)."""
    refuses(bench, message(bench).edit_signer(lambda one: one.with_attribute(oids.CONTENT_TYPE)), "missing")


def test_s10_content_type_mismatch(bench: Workbench) -> None:
    """S10: the attribute says another content type than the message."""
    evil = message(bench).edit_signer(lambda one: one.with_attribute(oids.CONTENT_TYPE, oids.SIGNED_DATA))
    refuses(bench, evil, "contentType")


def test_s11_digest_and_signature_disagree(bench: Workbench) -> None:
    """S11 (RFC 6211): signature algorithm of another digest, and a protection attribute that disagrees."""
    sha512_rsa = algorithm("1.2.840.113549.1.1.13")

    def sha512(data: bytes) -> bytes:
        return bench.key.sign(data, padding.PKCS1v15(), hashes.SHA512())

    refuses(
        bench,
        message(bench).edit_signer(lambda one: replace(one, signature_algorithm=sha512_rsa, sign=sha512)),
        "none of those allowed",
    )
    truth = sorted(attributes.PROTECTIONS)[0]
    lie = der.wrap(der.SEQUENCE, algorithm("2.16.840.1.101.3.4.2.3", b""), b"\xa1" + sha512_rsa[1:])
    good = message(bench).edit_signer(lambda one: one.with_attribute(oids.ALGORITHM_PROTECTION, truth))
    evil = message(bench).edit_signer(lambda one: one.with_attribute(oids.ALGORITHM_PROTECTION, lie))
    refuses(bench, evil, "protected algorithms", twin=good)


def test_s12_digest_set_lies(bench: Workbench) -> None:
    """S12: digestAlgorithms announces another digest, none, or two."""
    sha512 = algorithm("2.16.840.1.101.3.4.2.3", b"")
    for digests in (sha512, b"", signed.SHA256_BARE + sha512):
        refuses(bench, replace(message(bench), digests=der.wrap(der.SET, digests)))


@pytest.mark.parametrize(
    ("dotted", "make"),
    [
        ("1.3.14.3.2.26", hashes.SHA1()),
        ("1.2.840.113549.2.5", hashes.MD5()),
        ("2.16.840.1.101.3.4.2.4", hashes.SHA224()),
    ],
    ids=["sha1", "md5", "sha224"],
)
def test_s13_weak_digests(bench: Workbench, dotted: str, make: hashes.HashAlgorithm) -> None:
    """S13: a message that is right in every way, made with a digest that is not allowed."""
    state = hashes.Hash(make)
    state.update(CONTENT)
    digest = der.wrap(der.OCTETS, state.finalize())
    name = algorithm(dotted)
    evil = replace(message(bench), digests=der.wrap(der.SET, name)).edit_signer(
        lambda one: replace(
            one.with_attribute(oids.MESSAGE_DIGEST, digest),
            digest=name,
            sign=lambda data: bench.key.sign(data, padding.PKCS1v15(), make),
        )
    )
    refuses(bench, evil, "none of those allowed")


def weakly_signed(bench: Workbench, bits: int, exponent: int) -> Message:
    key = weak_key(bits, exponent)
    breaker = Breaker(bench.authority, bench.now, bench.key)
    certificate = breaker.leaf(key=key.public_key(), serial=7000 + bits + exponent)
    one = unchecked_block(bench, certificate, CONTENT)
    one = replace(one, sign=lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256()))
    return Message(CONTENT, (one,), (certificate,))


def test_s14_rsa_1024(bench: Workbench) -> None:
    """S14: a CPS certificate for a key of 1024 bits, properly issued and properly used."""
    refuses(bench, weakly_signed(bench, 1024, 65537), "weaker than 2048")


def test_s14_exponent_3_forgery(bench: Workbench) -> None:
    """S14 (Bleichenbacher 2006): with e = 3 a cube root replaces the private key; such keys are refused."""
    honest = weakly_signed(bench, 2048, 3)
    refuses(bench, honest, "weaker than 2048")
    refuses(bench, honest.edit_signer(lambda one: replace(one, sign=cube_root_signature)), "weaker than 2048")


def cube_root_signature(data: bytes) -> bytes:
    """A block whose front looks like PKCS#1 padding of SHA-256, without any private key."""
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(data).digest()
    target = int.from_bytes(b"\x00\x01\xff\xff\xff\x00" + info, "big") << 8 * (256 - 6 - len(info))
    low, high = 0, 1 << 700
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < target else (low, middle)
    return low.to_bytes(256, "big")


def ec_certificate(bench: Workbench, key: ec.EllipticCurvePrivateKey) -> bytes:
    authority = bench.authority.issuer.cps
    usage = x509.KeyUsage(True, True, False, False, False, False, False, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(Practitioner("Médecin", "TEST", "TEST", HOLDER).subject())
        .issuer_name(authority.name)
        .public_key(key.public_key())
        .serial_number(7100)
        .not_valid_before(bench.now)
        .not_valid_after(authority.certificate.not_valid_after_utc)
        .add_extension(usage, critical=True)
    )
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def ec_message(bench: Workbench, curve: ec.EllipticCurve, signature: bytes | None = None) -> Message:
    key = ec.generate_private_key(curve)
    certificate = ec_certificate(bench, key)
    one = replace(
        unchecked_block(bench, certificate, CONTENT),
        signature_algorithm=der.wrap(der.SEQUENCE, der.oid("1.2.840.10045.4.3.2")),
        sign=lambda data: signature or key.sign(data, ec.ECDSA(hashes.SHA256())),
    )
    return Message(CONTENT, (one,), (certificate,))


def test_s15_curves(bench: Workbench) -> None:
    """S15: elliptic keys on any curve are outside the profile, though properly issued."""
    for curve in (ec.SECP256R1(), ec.SECP256K1(), ec.BrainpoolP256R1()):
        refuses(bench, ec_message(bench, curve))
        refuses(
            bench,
            ec_message(bench, curve).edit_signer(
                lambda one: replace(one, signature_algorithm=signed.RSA_PLAIN)
            ),
            "not RSA",
        )


def test_s15_explicit_parameters(bench: Workbench) -> None:
    """S15 (CVE-2020-0601): a certificate whose key brings its own curve parameters."""
    certificate = explicit_curve_certificate(bench)
    one = replace(unchecked_block(bench, certificate, CONTENT), sign=lambda _data: bytes(72))
    refuses(bench, Message(CONTENT, (one,), (certificate,)), "certificate cannot be read")


def explicit_curve_certificate(bench: Workbench) -> bytes:
    named = der.oid("1.2.840.10045.3.1.7")
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    field = der.wrap(
        der.SEQUENCE, der.oid("1.2.840.10045.1.1"), der.wrap(der.INTEGER, b"\x00" + prime.to_bytes(32, "big"))
    )
    curve = der.wrap(der.SEQUENCE, der.wrap(der.OCTETS, bytes(32)), der.wrap(der.OCTETS, bytes(32)))
    order = der.wrap(der.INTEGER, b"\x00" + b"\xff" * 32)
    explicit = der.wrap(
        der.SEQUENCE, b"\x02\x01\x01", field, curve, der.wrap(der.OCTETS, b"\x04" + bytes(64)), order
    )
    original = ec_certificate(bench, ec.generate_private_key(ec.SECP256R1()))
    return resigned(original, bench, lambda tbs: swap(tbs, named, explicit))


def swap(encoded: bytes, old: bytes, new: bytes) -> bytes:
    """Replace one element anywhere inside an element, lengths made right again."""
    if encoded == old:
        return new
    tag, start, stop = der.read(encoded, 0, len(encoded))
    if not tag & 0x20 or old not in encoded:
        return encoded
    inside = [encoded[begin:end] for _tag, begin, _start, end in der.elements(encoded, start, stop)]
    return der.wrap(tag, *(swap(one, old, new) for one in inside))


def resigned(certificate: bytes, bench: Workbench, edit: object) -> bytes:
    """A certificate whose TBSCertificate was edited and signed again by the CPS authority."""
    at, end = der.expect(certificate, 0, len(certificate), der.SEQUENCE)
    tbs_end = der.read(certificate, at, end)[2]
    tbs = edit(certificate[at:tbs_end])  # type: ignore[operator]
    signature = bench.authority.issuer.cps.key.sign(tbs, padding.PKCS1v15(), hashes.SHA256())
    name = algorithm("1.2.840.113549.1.1.11")
    return der.wrap(der.SEQUENCE, tbs, name, der.wrap(0x03, b"\x00" + signature))


def test_s16_ecdsa_zero_values(bench: Workbench) -> None:
    """S16 (CVE-2022-21449): r and s of 0, of the group order, or above it."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for r, s in ((0, 0), (order, order), (1, order + 1)):
        values = (der.wrap(der.INTEGER, b"\x00" + number.to_bytes(32, "big")) for number in (r, s))
        refuses(bench, ec_message(bench, ec.SECP256R1(), der.wrap(der.SEQUENCE, *values)))


def test_s17_pss_parameters(bench: Workbench) -> None:
    """S17: RSASSA-PSS, with honest parameters or odd ones (SHA-1 mask, no salt): not in the profile."""
    pss = "1.2.840.113549.1.1.10"

    def sign(data: bytes) -> bytes:
        return bench.key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 0), hashes.SHA256())

    for parameters in (der.wrap(der.SEQUENCE), b"", NULL):
        name = algorithm(pss, parameters)
        refuses(
            bench,
            message(bench).edit_signer(
                lambda one, name=name: replace(one, signature_algorithm=name, sign=sign)
            ),
        )


def test_s18_issuer_serial_of_another(bench: Workbench) -> None:
    """S18: the signer names another practitioner's certificate, in sid or in signingCertificateV2."""
    other = Certificate.parse(bench.other.certificate)
    refuses(
        bench,
        message(bench).edit_signer(lambda one: replace(one, sid=other.issuer_and_serial)),
        "another issuer or serial",
    )
    naming = attributes.signing_certificate(other)
    value = naming[naming.index(oids.SIGNING_CERTIFICATE_V2) + len(oids.SIGNING_CERTIFICATE_V2) + 2 :]
    refuses(
        bench,
        message(bench).edit_signer(lambda one: one.with_attribute(oids.SIGNING_CERTIFICATE_V2, value)),
        "signingCertificateV2",
    )


def test_s18_swapped_certificate(bench: Workbench) -> None:
    """S18: ours signed, but another practitioner's certificate travels and is named everywhere."""
    other = Certificate.parse(bench.other.certificate)
    one = block_for(other, rsa_signature(bench.cps), CONTENT, bench)
    refuses(bench, Message(CONTENT, (one,), (bench.other.certificate,)), "signature is wrong")


def test_s19_key_identifier(bench: Workbench) -> None:
    """S19: a signer named by subjectKeyIdentifier, which another certificate may share."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(bench.key.public_key()).digest
    evil = message(bench).edit_signer(
        lambda one: replace(one, sid=der.wrap(0x80, identifier), version=b"\x02\x01\x03")
    )
    refuses(bench, evil)


def test_s20_same_issuer_and_serial(bench: Workbench) -> None:
    """S20: an attacker's certificate with the victim's issuer and serial, instead of it or beside it."""
    breaker = Breaker(bench.authority, bench.now, bench.key)
    attacker = numbered_key(32)
    cps = replace(bench.authority.issuer.cps, key=attacker)
    serial = Certificate.parse(bench.cps.certificate).serial
    forged = breaker.leaf(authority=cps, key=attacker.public_key(), serial=serial)
    assert (
        Certificate.parse(forged).issuer_and_serial
        == Certificate.parse(bench.cps.certificate).issuer_and_serial
    )

    def sign(data: bytes) -> bytes:
        return attacker.sign(data, padding.PKCS1v15(), hashes.SHA256())

    one = block_for(Certificate.parse(forged), sign, CONTENT, bench)
    refuses(bench, Message(CONTENT, (one,), (forged,)), "not issued by an authority known here")
    refuses(bench, Message(CONTENT, (one,), (forged, bench.cps.certificate)), "not exactly one certificate")
    refuses(bench, replace(message(bench), certificates=(forged, bench.cps.certificate)))


def test_s20_a_stranger_in_the_bag(bench: Workbench) -> None:
    """A certificate that is neither the signer's nor a known authority's; a known authority's may travel."""
    cps = bench.authority.issuer.cps.certificate.public_bytes(Encoding.DER)
    chained = replace(message(bench), certificates=(bench.cps.certificate, cps))
    assert chained.render() == signed.sign(CONTENT, bench.cps, bench.now, chain=[cps])
    stranger = replace(message(bench), certificates=(bench.cps.certificate, bench.other.certificate))
    refuses(bench, stranger, "not exactly one certificate", twin=chained)
    refuses(bench, replace(message(bench), certificates=()))


def test_s21_detached(bench: Workbench) -> None:
    """S21: no content inside: the caller must not be led to trust content from elsewhere."""
    refuses(bench, replace(message(bench), attached=b""))


def test_s22_both_contents(bench: Workbench) -> None:
    """S22: two contents, the signed one and another: which one would be read?"""
    real, other = (der.wrap(der.OCTETS, content) for content in (CONTENT, b"other"))
    for attached in (
        der.wrap(0xA0, real) + der.wrap(0xA0, other),
        der.wrap(0xA0, real, other),
        der.wrap(0xA0, other, real),
    ):
        refuses(bench, replace(message(bench), attached=attached))


def test_s23_constructed_octets(bench: Workbench) -> None:
    """S23: the content as a constructed OCTET STRING of pieces (BER), same value."""
    pieces = der.wrap(0x24, der.wrap(der.OCTETS, CONTENT[:100]), der.wrap(der.OCTETS, CONTENT[100:]))
    refuses(bench, replace(message(bench), attached=der.wrap(0xA0, pieces)))


def test_s24_indefinite_length(bench: Workbench) -> None:
    """S24: indefinite and non-minimal lengths (BER), same value."""
    good = message(bench).render()
    refuses(bench, b"\x30\x80" + good[4:] + b"\x00\x00", "indefinite")
    refuses(bench, b"\x30\x83\x00" + good[2:], "not minimal")


def test_s25_attribute_order(bench: Workbench) -> None:
    """S25: signed attributes not in DER order, signed in that very order."""
    evil = message(bench).edit_signer(lambda one: replace(one, attributes=(one.attributes or ())[::-1]))
    refuses(bench, evil, "DER order")


def test_s26_trailing_bytes(bench: Workbench) -> None:
    """S26: bytes after the message, after the signers, or after the signature."""
    refuses(bench, replace(message(bench), trailing=b"\x00"), "after the last element")
    refuses(bench, replace(message(bench), inside_tail=NULL))
    refuses(bench, message(bench).edit_signer(lambda one: replace(one, unsigned=NULL)))


def test_s27_unsigned_attributes(bench: Workbench) -> None:
    """S27 (RFC 5752): a second signature, or anything else, in unsigned attributes."""
    other = block(bench.other, CONTENT, bench).render(CONTENT)
    counter = der.wrap(der.SEQUENCE, der.oid("1.2.840.113549.1.9.6"), der.wrap(der.SET, other))
    evil = message(bench).edit_signer(lambda one: replace(one, unsigned=der.wrap(0xA1, counter)))
    refuses(bench, evil)


def test_s28_versions(bench: Workbench) -> None:
    """S28: versions that do not belong to this content (RFC 5652 5.1, 5.3)."""
    for number in (0, 3, 4, 5):
        version = bytes((2, 1, number))
        refuses(bench, replace(message(bench), version=version), "fixed part")
        refuses(bench, message(bench).edit_signer(lambda one, v=version: replace(one, version=v)))


def test_s29_signed_in_signed(bench: Workbench) -> None:
    """S29: a SignedData as typed content of another; as plain bytes, the outer signer is the only signer."""
    inner = message(bench, signer=bench.other).render()
    content = inner[der.read(inner, 0, len(inner))[1] + len(oids.SIGNED_DATA) :]
    typed = replace(message(bench), content_type=oids.SIGNED_DATA, attached=content)
    typed = typed.edit_signer(lambda one: one.with_attribute(oids.CONTENT_TYPE, oids.SIGNED_DATA))
    refuses(bench, typed, twin=message(bench, content=inner))


def test_unknown_signed_attribute(bench: Workbench) -> None:
    """A signed attribute that nobody here understands could change the meaning: refused."""
    kind = der.oid("1.3.6.1.4.1.99999.2")
    refuses(bench, message(bench).edit_signer(lambda one: one.with_attribute(kind, NULL)), "unknown")


def test_signing_certificate_missing(bench: Workbench) -> None:
    """Without signingCertificateV2 the certificate could be swapped for another with the same key."""
    evil = message(bench).edit_signer(lambda one: one.with_attribute(oids.SIGNING_CERTIFICATE_V2))
    refuses(bench, evil, "missing")


def test_crls_inside_the_message(bench: Workbench) -> None:
    """Revocation lists come from the trust directory, never from the message."""
    good = message(bench)
    crl = der.wrap(0xA1, bench.authority.issuer.cps.crl(bench.now))
    bag = der.wrap(0xA0, *good.certificates)
    refuses(bench, swap_once(good.render(), bag, bag + crl))


def swap_once(encoded: bytes, old: bytes, new: bytes) -> bytes:
    """Replace bytes inside nested SEQUENCEs of a message, lengths made right again."""
    outer_at, end = der.expect(encoded, 0, len(encoded), der.SEQUENCE)
    explicit_at = der.read(encoded, outer_at, end)[2]
    body_at = der.expect(encoded, explicit_at, end, 0xA0)[0]
    inner_at = der.expect(encoded, body_at, end, der.SEQUENCE)[0]
    body = der.wrap(der.SEQUENCE, encoded[inner_at:].replace(old, new))
    return der.wrap(der.SEQUENCE, encoded[outer_at:explicit_at], der.wrap(0xA0, body))
