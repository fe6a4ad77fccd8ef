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
from reader.errors import CardProtocolError

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


def test_environment_is_set_again_after_the_pin(bench):
    """Reading the situations selects files, so the next signature sends MSE SET again."""
    session = bench.verified_cps()
    session.sign_digest(DIGEST)
    session.verify_pin(bench.pin)
    check(session.signature_certificate, session.sign_digest(DIGEST))
    assert bench.count("MANAGE SECURITY ENVIRONMENT") == 2


def short_signature(command: bytes, answer: bytes) -> bytes:
    return answer[10:] if command[1] in (0x2A, 0x88) else answer


LIES = {
    "a signature that is too short": short_signature,
    "no signature": lambda c, a: b"\x90\x00" if c[1] in (0x2A, 0x88) else a,
    "an unknown status": lambda c, a: b"\x6f\x00" if c[1] in (0x2A, 0x88) else a,
    "a refused environment": lambda c, a: b"\x6a\x81" if c[1] == 0x22 else a,
    "an environment always lost": lambda c, a: b"\x6a\x88" if c[1] in (0x2A, 0x88) else a,
}


@pytest.mark.parametrize("name", LIES)
def test_a_card_that_signs_nonsense(bench, name):
    """Each lie about a signature ends in one CardProtocolError, after at most four exchanges."""
    bench.twist("CPS", LIES[name])
    session = bench.verified_cps()
    for act in (lambda: session.sign_digest(DIGEST), lambda: session.authenticate(b"x")) * 2:
        before = len(bench.trace.lines())
        with pytest.raises(CardProtocolError, match="card in the CPS slot"):
            act()
        assert len(bench.trace.lines()) - before <= 4


def replaced(fid: int, content: bytes):
    """A lie that gives `content` for the file `fid`."""
    current = [0]

    def lie(command: bytes, answer: bytes) -> bytes:
        if command[1] == 0xA4:
            current[0] = int.from_bytes(command[5:7], "big")
            if current[0] == fid and command[2] == 2:
                return bytes.fromhex("62048002") + len(content).to_bytes(2, "big") + b"\x90\x00"
        if command[1] == 0xB0 and current[0] == fid:
            return content[command[2] << 8 | command[3] :][: command[4] or 256] + b"\x90\x00"
        return answer

    return lie


BROKEN_FILES = {
    "certificate empty": (layout.FID_CERT_SIGNATURE, b""),
    "certificate all zeros": (layout.FID_CERT_SIGNATURE, bytes(300)),
    "certificate of another tag": (layout.FID_CERT_AUTHENTICATION, b"\x31\x01\x00"),
    "two certificates": (layout.FID_CERT_SIGNATURE, b"\x30\x01\x00" * 2),
    "certificate cut short": (layout.FID_CERT_SIGNATURE, b"\x30\x82\x10\x00" + bytes(100)),
    "holder cut short": (layout.FID_NAME_PS, b"\xeb\x20\x80"),
    "holder without a name": (layout.FID_NAME_PS, b"\xeb\x03\x80\x018"),
    "serial of another issuer": (layout.FID_SN, b"\x5a\x0a" + bytes(10)),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_broken_files_of_a_cps(bench, name):
    """Truncated or senseless files of a CPS are refused in one sentence; the honest card opens."""
    bench.twist("CPS", replaced(*BROKEN_FILES[name]))
    with pytest.raises(CardProtocolError, match="card in the CPS slot"):
        CpsSession.open(bench.connect("CPS"))


def test_a_padded_certificate_is_trimmed(bench):
    """A certificate file longer than its certificate, filled with zeros, gives the certificate alone."""
    honest = CpsSession.open(bench.connect("CPS")).signature_certificate
    bench.twist("CPS", replaced(layout.FID_CERT_SIGNATURE, honest.ljust(2048, b"\0")))
    assert CpsSession.open(bench.connect("CPS")).signature_certificate == honest


def test_broken_situations(bench):
    """A billing file that does not parse is refused after the PIN, in one sentence."""
    bench.twist("CPS", replaced(layout.FID_SIT_FACT, b"\xef\x05\x81"))
    with pytest.raises(CardProtocolError, match="card in the CPS slot"):
        bench.verified_cps()


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
