"""A CPS session against an emulated CPS3: what it reads, what it signs, with how few exchanges."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from card.iso7816.apdu import CommandAPDU
from card.layout import cps as layout
from gateway.cards.cps import CpsSession
from gateway.errors import CardRefusal, InputError

DIGEST = hashlib.sha256(b"a care sheet").digest()
PREHASHED = utils.Prehashed(hashes.SHA256())


def check(certificate: bytes, signature: bytes, digest: bytes = DIGEST) -> None:
    x509.load_der_x509_certificate(certificate).public_key().verify(
        signature, digest, padding.PKCS1v15(), PREHASHED
    )


def test_open_reads_the_holder_and_both_certificates(bench):
    """Serial, holder and two distinct certificates of the same person are there after open, without PIN."""
    session = CpsSession.open(bench.connect("CPS"))
    assert len(session.serial) == 8
    assert session.serial.isdecimal()
    assert session.holder.national_id.startswith("8")
    assert len(session.holder.national_id) == 12
    assert session.holder.profession == "10"
    subjects = []
    for der in (session.signature_certificate, session.authentication_certificate):
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        subjects.append(names[0].value)
    assert subjects == [session.holder.national_id] * 2
    assert session.certificate == session.signature_certificate != session.authentication_certificate


def test_situations_come_with_the_pin(bench):
    """Billing situations are empty before the PIN and complete after it."""
    session = CpsSession.open(bench.connect("CPS"))
    assert session.situations == ()
    session.verify_pin(bench.pin)
    situation = session.situations[0]
    assert (situation.specialty, situation.convention) == ("01", "1")
    assert len(situation.billing_number + situation.billing_key) == 9
    assert situation.may_sign_invoice
    assert situation.may_sign_lot


def test_signature_key_signs_a_digest(bench):
    """The signature verifies with the signature certificate, and not over another digest."""
    session = bench.verified_cps()
    signature = session.sign_digest(DIGEST)
    check(session.signature_certificate, signature)
    with pytest.raises(InvalidSignature):
        check(session.signature_certificate, signature, bytes(32))
    with pytest.raises(InvalidSignature):
        check(session.authentication_certificate, signature)


def test_authentication_key_signs_a_hash_of_data(bench):
    """INTERNAL AUTHENTICATE verifies with the authentication certificate."""
    session = bench.verified_cps()
    proof = session.authenticate(b"a challenge")
    check(session.authentication_certificate, proof, hashlib.sha256(b"a challenge").digest())


@pytest.mark.parametrize("length", [0, 20, 31, 33, 64])
def test_only_a_sha256_is_signed(bench, length):
    """Another length is refused before any exchange."""
    session = bench.verified_cps()
    before = len(bench.trace.lines())
    with pytest.raises(InputError, match="SHA-256 digest of 32 bytes"):
        session.sign_digest(bytes(length))
    assert len(bench.trace.lines()) == before


def test_one_exchange_per_signature(bench):
    """MSE SET goes once; every further signature is a single exchange."""
    session = bench.verified_cps()
    session.sign_digest(DIGEST)
    before = len(bench.trace.lines())
    for _ in range(5):
        session.sign_digest(DIGEST)
    assert len(bench.trace.lines()) - before == 5
    assert bench.count("MANAGE SECURITY ENVIRONMENT") == 1


def test_environment_is_set_again_when_the_key_changes(bench):
    """Changing between the two keys sends MSE SET each time, and both work."""
    session = bench.verified_cps()
    for _ in range(2):
        check(session.signature_certificate, session.sign_digest(DIGEST))
        session.authenticate(b"x")
    assert bench.count("MANAGE SECURITY ENVIRONMENT") == 4


def test_environment_is_set_again_after_a_select(bench):
    """A card that lost its environment behind the session's back is told once more, and signs."""
    session = bench.verified_cps()
    session.sign_digest(DIGEST)
    assert session.connection.transmit(CommandAPDU(0, 0xA4, 4, 0x0C, layout.AID_CONTACT)).sw == 0x9000
    check(session.signature_certificate, session.sign_digest(DIGEST))
    assert bench.count("MANAGE SECURITY ENVIRONMENT") == 2


def test_the_wrong_card_is_named(bench_of):
    """A Vitale in the CPS slot is called a Vitale, with what to do; the right card opens."""
    swapped = bench_of(Vitale="cps-gp-sector1", CPS="vitale-single")
    with pytest.raises(
        CardRefusal, match="The CPS slot holds a Vitale, a CPS is expected there: swap the cards"
    ) as no:
        CpsSession.open(swapped.connect("CPS"))
    assert no.value.code == "wrong-card"
    assert CpsSession.open(swapped.connect("Vitale")).serial


def test_an_unknown_card_is_refused(tiny):
    """A card that is neither is refused, with what to insert."""
    _card, connection = tiny({}, slot="CPS")
    with pytest.raises(
        CardRefusal, match="The CPS slot holds a card that is not a CPS: insert a CPS"
    ) as refused:
        CpsSession.open(connection)
    assert refused.value.code == "wrong-card"


def test_nothing_personal_in_repr(bench):
    """The repr of a session and of its holder shows no name."""
    session = CpsSession.open(bench.connect("CPS"))
    for secret in (session.holder.name, session.holder.first_name):
        assert secret
        assert secret not in repr(session)
        assert secret not in repr(session.holder)
