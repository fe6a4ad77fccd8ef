"""Trust: every broken certificate is refused in clear words, beside its accepted twin (promise B1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from card.issuer import CertificateAuthority
from gateway.errors import TrustError
from gateway.pki import Certificate, Purpose, Trust
from gateway.pki.revocation import RevocationList
from tools.pki.broken import EDITS, HOLDER, Breaker
from tools.pki.workbench import Workbench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="module")
def breaker(bench: Workbench) -> Breaker:
    return Breaker(bench.authority, bench.now, bench.key)


@pytest.mark.parametrize("name", EDITS)
def test_broken_certificates(bench: Workbench, name: str) -> None:
    """One named edit turns an accepted certificate into one refused with a sentence that says why."""
    broken = bench.broken(name)
    assert broken.twin.validate().national_id == HOLDER
    with pytest.raises(TrustError) as refused:
        broken.case.validate()
    assert broken.sentence in str(refused.value)
    assert HOLDER not in str(refused.value)


def test_a_sentence_names_the_date_and_what_to_do(bench: Workbench) -> None:
    """The practitioner reads when and what next."""
    with pytest.raises(TrustError, match=r"CPS signature certificate expired on 2026-11-21: renew the card"):
        bench.broken("expired").case.validate()


@pytest.mark.parametrize("purpose", Purpose)
def test_each_purpose_has_its_own_certificate(bench: Workbench, purpose: Purpose) -> None:
    """Of the certificates of this authority exactly those made for a purpose are good for it."""
    practice = bench.authority.practice_keys("cabinet").decryption.certificate
    breaker = Breaker(bench.authority, bench.now, bench.key)
    authentication = breaker.leaf(usage=("digital_signature", "key_encipherment"))
    certificates = {
        bench.cps.certificate: {Purpose.CPS_SIGNATURE},
        authentication: {Purpose.CPS_AUTHENTICATION},
        bench.receiver.signer.certificate: {Purpose.RECEIVER_SIGNATURE},
        bench.receiver.decryption.certificate: {Purpose.RECEIVER_ENCRYPTION, Purpose.PRACTICE_ENCRYPTION},
        practice: {Purpose.RECEIVER_ENCRYPTION, Purpose.PRACTICE_ENCRYPTION},
    }
    for certificate, purposes in certificates.items():
        if purpose in purposes:
            assert bench.trust.validate(certificate, bench.now, purpose).der == certificate
        else:
            with pytest.raises(TrustError):
                bench.trust.validate(certificate, bench.now, purpose)


def test_edges_of_validity(breaker: Breaker) -> None:
    """Valid from the first to the last second, both included; with lists that are current then."""
    case = breaker.valid()
    leaf = Certificate.parse(case.certificate)
    for when, good in (
        (leaf.not_before, True),
        (leaf.not_before - timedelta(seconds=1), False),
        (leaf.not_after, True),
        (leaf.not_after + timedelta(seconds=1), False),
    ):
        crls = (breaker.issuer.root.crl(when), breaker.fresh().crl(when))
        moved = replace(case, when=when, crls=crls)
        if good:
            moved.validate()
        else:
            with pytest.raises(TrustError):
                moved.validate()


def test_edges_of_a_list(breaker: Breaker) -> None:
    """A list counts from its first to its last second; a moment later it is stale."""
    case = breaker.valid()
    end = RevocationList.parse(case.crls[1]).next_update
    replace(case, when=end).validate()
    with pytest.raises(TrustError, match="stale"):
        replace(case, when=end + timedelta(seconds=1)).validate()


def test_the_newest_list_decides(breaker: Breaker) -> None:
    """Of several lists the newest that has appeared decides, in whatever order they are given."""
    case = breaker.valid()
    old_good = breaker.fresh().crl(breaker.now - timedelta(days=2))
    new_bad = breaker.fresh(1001).crl(breaker.now - timedelta(days=1))
    for crls in ((old_good, new_bad), (new_bad, old_good)):
        with pytest.raises(TrustError, match="revoked"):
            replace(case, crls=(case.crls[0], *crls)).validate()
    replace(case, crls=(case.crls[0], old_good)).validate()


def test_partial_lists_are_refused(breaker: Breaker) -> None:
    """A list with a critical extension (issuing distribution point, delta) is not read as a complete one."""
    cps = breaker.issuer.cps
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(cps.name)
        .last_update(breaker.now)
        .next_update(breaker.now + timedelta(days=1))
    )
    from cryptography.hazmat.primitives.hashes import SHA256

    plain = builder.sign(cps.key, SHA256()).public_bytes(Encoding.DER)
    replace(breaker.valid(), crls=(breaker.valid().crls[0], plain)).validate()
    delta = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True).sign(cps.key, SHA256())
    with pytest.raises(TrustError, match="partial"):
        RevocationList.parse(delta.public_bytes(Encoding.DER))


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"-----BEGIN", bytes(100)])
def test_unreadable_lists_and_certificates(bench: Workbench, breaker: Breaker, data: bytes) -> None:
    """Bytes that are neither are refused with a sentence, nothing else is raised."""
    case = breaker.valid()
    assert Trust(case.roots, case.intermediates, case.crls)
    with pytest.raises(TrustError):
        Trust(case.roots, case.intermediates, [data])
    with pytest.raises(TrustError):
        bench.trust.validate(data, bench.now, Purpose.CPS_SIGNATURE)


def test_remembering_is_not_widening(bench: Workbench) -> None:
    """A remembered certificate is asked about again for another purpose and another moment."""
    trust = bench.authority.trust()
    trust.validate(bench.cps.certificate, bench.now, Purpose.CPS_SIGNATURE)
    trust.validate(bench.cps.certificate, bench.now, Purpose.CPS_SIGNATURE)
    with pytest.raises(TrustError):
        trust.validate(bench.cps.certificate, bench.now, Purpose.CPS_AUTHENTICATION)
    with pytest.raises(TrustError):
        trust.validate(bench.cps.certificate, bench.now + timedelta(days=30), Purpose.CPS_SIGNATURE)


def test_an_authority_cannot_sign_a_lot(bench: Workbench) -> None:
    """The issuing authority's own certificate is nobody's signature certificate."""
    der = bench.authority.issuer.cps.certificate.public_bytes(Encoding.DER)
    with pytest.raises(TrustError, match="authority's certificate"):
        bench.trust.validate(der, bench.now, Purpose.CPS_SIGNATURE)
    bench.trust.validate(bench.cps.certificate, bench.now, Purpose.CPS_SIGNATURE)


def test_a_trust_directory(bench: Workbench, tmp_path: Path) -> None:
    """A directory is read whole; without a root, or with a damaged file, it is refused by name."""
    with pytest.raises(TrustError, match="no root certificate"):
        Trust.load(tmp_path)
    for folder in ("roots", "personnes", "facturation", "crls"):
        (tmp_path / folder).mkdir()
        for file in (bench.authority.trust_directory / folder).iterdir():
            (tmp_path / folder / file.name).write_bytes(file.read_bytes())
    Trust.load(tmp_path).validate(bench.cps.certificate, bench.now, Purpose.CPS_SIGNATURE)
    (tmp_path / "personnes" / "damaged.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n")
    with pytest.raises(TrustError, match=r"damaged\.pem"):
        Trust.load(tmp_path)


def test_revoked_once_revoked_for_ever(bench: Workbench, tmp_path: Path) -> None:
    """A revocation survives a restart of the authority and the next lists."""
    from tools.pki import Authority
    from tools.pki.keys import pooled_keys

    authority = Authority.create(tmp_path / "a", bench.now, key_source=pooled_keys(0))
    cps = authority.software_cps(HOLDER, bench.now)
    authority.trust().validate(cps.certificate, bench.now, Purpose.CPS_SIGNATURE)
    authority.revoke(Certificate.parse(cps.certificate).serial, bench.now)
    later = bench.now + timedelta(days=5)
    again = Authority.load(tmp_path / "a")
    again.renew_crls(later)
    with pytest.raises(TrustError, match="revoked"):
        again.trust().validate(cps.certificate, later, Purpose.CPS_SIGNATURE)


def test_endless_chains_end(breaker: Breaker) -> None:
    """Authorities that certify one another in a circle do not hold the reader."""
    cps, root = breaker.issuer.cps, breaker.issuer.root
    end = breaker.now + timedelta(days=100)
    fields = {
        "key_usage": ("key_cert_sign", "crl_sign"),
        "not_before": breaker.now,
        "not_after": end,
        "is_ca": True,
    }
    circle = [
        CertificateAuthority(cps.key, cps.certificate).issue(
            root.name, root.key.public_key(), serial=1, **fields
        ),
        root.issue(cps.name, cps.key.public_key(), serial=2, **fields),
        cps.issue(cps.name, cps.key.public_key(), serial=3, **fields),
    ]
    case = breaker.valid()
    extra = tuple(one.public_bytes(Encoding.DER) for one in circle)
    replace(case, intermediates=(*extra, *case.intermediates)).validate()
    with pytest.raises(TrustError):
        replace(bench_other(breaker), intermediates=(*extra, *case.intermediates)).validate()


def bench_other(breaker: Breaker):
    return EDITS["self-signed-twin"][1](breaker, breaker.valid())


def test_unused_bits_of_the_signature(bench: Workbench) -> None:
    """The octet of unused bits is covered by no signature: it must be zero (X.690 11.2.1)."""
    der = bench.authority.receiver_keys().signer.certificate
    assert Certificate.parse(der).serial
    place = len(der) - 257
    assert der[place] == 0
    with pytest.raises(TrustError, match=r"DER|cannot be read"):
        Certificate.parse(der[:place] + b"\x01" + der[place + 1 :])
