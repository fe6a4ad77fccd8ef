"""I1 to I20: attacks on identity and path. Each breaks one thing of an accepted case."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.cms import signed
from gateway.cms.refusal import SENTENCE, Refused
from gateway.errors import TrustError
from gateway.pki import Purpose, Trust
from tools.pki.broken import HOLDER, Breaker, Case
from tools.pki.workbench import CONTENT, OTHER_HOLDER, Workbench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("i"))


def accepts(case: Case, signed_at: datetime | None = None) -> None:
    encoded = signed.sign(CONTENT, case.signer(), signed_at or case.when)
    who = signed.verify(encoded, case.trust(), case.when, purpose=case.purpose)
    assert (who.certificate.der, who.certificate.national_id) == (case.certificate, HOLDER)


def refuses(bench: Workbench, name: str) -> None:
    """The certificate is refused in clear words, and a message signed with it in the one sentence."""
    broken = bench.broken(name)
    accepts(broken.twin)
    with pytest.raises(TrustError, match=broken.sentence):
        broken.case.validate()
    encoded = signed.sign(CONTENT, broken.case.signer(), broken.case.when)
    with pytest.raises(Refused) as refused:
        signed.verify(encoded, broken.case.trust(), broken.case.when, purpose=broken.case.purpose)
    assert str(refused.value) == SENTENCE
    assert broken.sentence in refused.value.reason


def test_i01_another_practitioner(bench: Workbench) -> None:
    """I1: a valid CPS of somebody else is reported as that somebody: the caller compares with the FSE."""
    for signer, holder in ((bench.cps, HOLDER), (bench.other, OTHER_HOLDER)):
        encoded = signed.sign(CONTENT, signer, bench.now)
        who = signed.verify(encoded, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
        assert who.certificate.national_id == holder


def test_i02_authentication_certificate(bench: Workbench) -> None:
    """I2: the same practitioner's authentication certificate must not sign (and the reverse)."""
    refuses(bench, "wrong-usage")
    case = Breaker(bench.authority, bench.now, bench.key).valid()
    with pytest.raises(TrustError, match="keyUsage"):
        replace(case, purpose=Purpose.CPS_AUTHENTICATION).validate()


def test_i03_encryption_certificate(bench: Workbench) -> None:
    """I3: a certificate made for encryption must not sign."""
    refuses(bench, "encryption-usage")


def test_i04_receiver_certificate(bench: Workbench) -> None:
    """I4: the receiver's own signature certificate is not a practitioner's, nor the reverse."""
    refuses(bench, "receiver-certificate")
    receiver = bench.receiver.signer.certificate
    bench.trust.validate(receiver, bench.now, Purpose.RECEIVER_SIGNATURE)
    with pytest.raises(TrustError):
        bench.trust.validate(bench.cps.certificate, bench.now, Purpose.RECEIVER_SIGNATURE)


def test_i04_authority_out_of_scope(bench: Workbench) -> None:
    """I4: an authority that may only vouch for receivers issues a perfect CPS certificate: refused."""
    breaker = Breaker(bench.authority, bench.now, bench.key)
    good, evil = breaker.leaf(), breaker.leaf(authority=bench.authority.facturation)
    bench.trust.validate(good, bench.now, Purpose.CPS_SIGNATURE)
    with pytest.raises(TrustError, match="may not vouch"):
        bench.trust.validate(evil, bench.now, Purpose.CPS_SIGNATURE)


def test_i05_test_root_in_production(bench: Workbench) -> None:
    """I5: a whole other authority with the same names is unknown to this store."""
    refuses(bench, "other-authority")


def test_i06_expired(bench: Workbench) -> None:
    """I6: the certificate has expired at the moment asked about."""
    refuses(bench, "expired")


def test_i07_not_yet_valid(bench: Workbench) -> None:
    """I7: the certificate is not valid yet."""
    refuses(bench, "not-yet-valid")


def test_i08_revoked(bench: Workbench) -> None:
    """I8: the certificate is on its authority's list."""
    refuses(bench, "revoked")


def test_i08_revoked_authority(bench: Workbench) -> None:
    """I8: the authority itself is on the root's list."""
    refuses(bench, "revoked-authority")


def test_i09_stale_list(bench: Workbench) -> None:
    """I9: a revocation list past its next update says nothing any more."""
    refuses(bench, "stale-crl")


def test_i10_list_by_another_authority(bench: Workbench) -> None:
    """I10: the right name on the list, another key under it."""
    refuses(bench, "crl-by-other-ca")


def test_i11_missing_list(bench: Workbench) -> None:
    """I11: no list at all is not "nobody revoked"."""
    refuses(bench, "missing-crl")


def test_i12_list_from_the_future(bench: Workbench) -> None:
    """I12: a list that has not appeared yet does not count; beside a present one it does no harm."""
    refuses(bench, "future-crl")
    broken = bench.broken("future-crl")
    both = replace(broken.case, crls=(*broken.twin.crls, *broken.case.crls))
    accepts(both)


def test_i13_self_signed_twins(bench: Workbench) -> None:
    """I13: the names of our authorities on certificates signed by themselves."""
    refuses(bench, "self-signed-twin")
    refuses(bench, "root-twin")


def test_i14_intermediate_without_ca(bench: Workbench) -> None:
    """I14: an issuer whose certificate does not say CA:TRUE."""
    refuses(bench, "intermediate-without-CA")


def test_i14_practitioner_as_authority(bench: Workbench) -> None:
    """I14: a practitioner's own good certificate used to issue another one (CVE-2021-3450 family)."""
    breaker = Breaker(bench.authority, bench.now, bench.key)
    case = breaker.valid()
    holder = replace(breaker.fresh(), key=bench.key, certificate=_x509(case.certificate))
    evil = replace(
        case,
        certificate=breaker.leaf(authority=holder, serial=5),
        intermediates=(*case.intermediates, case.certificate),
        crls=(*case.crls, holder.crl(bench.now)),
    )
    accepts(case)
    with pytest.raises(TrustError, match="not allowed to issue"):
        evil.validate()


def _x509(der: bytes):
    from cryptography import x509

    return x509.load_der_x509_certificate(der)


def test_i15_path_too_long(bench: Workbench) -> None:
    """I15: one authority more than the path length allows."""
    refuses(bench, "path-too-long")


def test_i16_unknown_critical_extension(bench: Workbench) -> None:
    """I16: an extension that must be understood and is not, in the leaf or in the authority."""
    refuses(bench, "unknown-critical")
    refuses(bench, "unknown-critical-authority")


def test_i17_name_constraints(bench: Workbench) -> None:
    """I17: name constraints are not processed here, so their presence refuses."""
    refuses(bench, "name-constraints")


def test_i18_key_usage_missing(bench: Workbench) -> None:
    """I18: no keyUsage is not "any usage"."""
    refuses(bench, "missing-key-usage")


def test_i19_expired_intermediate_with_another_path(bench: Workbench) -> None:
    """I19, the one that must be ACCEPTED: an expired intermediate beside a good one of the same name."""
    refuses(bench, "intermediate-expired")
    broken = bench.broken("intermediate-expired")
    for order in (1, -1):
        several = (*broken.case.intermediates, *broken.twin.intermediates)[::order]
        accepts(replace(broken.twin, intermediates=several))


@pytest.mark.parametrize(
    "distance", [timedelta(minutes=6), timedelta(days=365), -timedelta(days=91)], ids=["soon", "later", "old"]
)
def test_i20_signing_time_far_off(bench: Workbench, distance: timedelta) -> None:
    """I20: a signing time in the future, or older than the 90 days that doubles are kept."""
    breaker = Breaker(bench.authority, bench.now, bench.key)
    certificate = breaker.leaf(start=timedelta(days=-200), end=timedelta(days=800))
    case = replace(breaker.valid(), certificate=certificate)
    accepts(case)
    accepts(case, case.when + timedelta(minutes=4))
    accepts(case, case.when - timedelta(days=89))
    encoded = signed.sign(CONTENT, case.signer(), case.when + distance)
    with pytest.raises(Refused) as refused:
        signed.verify(encoded, case.trust(), case.when, purpose=case.purpose)
    assert "far from the present" in refused.value.reason


def test_i20_signed_before_the_certificate(bench: Workbench) -> None:
    """I20: a signing time before the certificate was valid."""
    case = Breaker(bench.authority, bench.now, bench.key).valid()
    accepts(case, case.when - timedelta(hours=23))
    encoded = signed.sign(CONTENT, case.signer(), case.when - timedelta(hours=25))
    with pytest.raises(Refused) as refused:
        signed.verify(encoded, case.trust(), case.when, purpose=case.purpose)
    assert "outside the validity" in refused.value.reason


def test_remembered_answers_expire(bench: Workbench) -> None:
    """A remembered "good" ends with the list it rests on, and with a newer list that revokes."""
    breaker = Breaker(bench.authority, bench.now, bench.key)
    case = breaker.valid()
    later = breaker.fresh(1001).crl(bench.now + timedelta(days=2))
    trust = Trust(case.roots, case.intermediates, (*case.crls, later))
    trust.validate(case.certificate, bench.now, case.purpose)
    trust.validate(case.certificate, bench.now + timedelta(days=1), case.purpose)
    with pytest.raises(TrustError, match="revoked"):
        trust.validate(case.certificate, bench.now + timedelta(days=3), case.purpose)
    only = case.trust()
    only.validate(case.certificate, bench.now, case.purpose)
    with pytest.raises(TrustError, match="stale"):
        only.validate(case.certificate, bench.now + timedelta(days=8), case.purpose)
