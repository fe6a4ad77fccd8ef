"""The TEST issuer: strict, visibly not real, whole on the disk or not there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import NameOID

from card.issuer import (
    CertificateAuthority,
    IssuerError,
    Practitioner,
    TestIssuer,
    fake_name,
    serial_number,
)
from card.layout.vitale import Certificate
from tests.card.factory import NOW, issuer, private_key

HOLDER = Practitioner("Medecin", "TEST-MEDECIN", "MARTHE", "899900000011")


def usage(der: bytes) -> x509.KeyUsage:
    """The keyUsage extension."""
    return x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.KeyUsage).value


def certificates() -> tuple[bytes, bytes]:
    """The two certificates of one CPS."""
    return issuer().issue_cps(
        HOLDER,
        private_key(1).public_key(),
        private_key(2).public_key(),
        NOW,
        NOW + timedelta(days=9),
    )


def test_two_certificates_with_distinct_usages() -> None:
    """Only the signature certificate has nonRepudiation, only the authentication one keyEncipherment."""
    signature, authentication = map(usage, certificates())
    assert (signature.content_commitment, signature.key_encipherment) == (True, False)
    assert (authentication.content_commitment, authentication.key_encipherment) == (False, True)


def test_holder_is_one_multi_valued_rdn() -> None:
    """Title, given name, surname and the national identifier share one RDN, as on a CPS."""
    subject = x509.load_der_x509_certificate(certificates()[0]).subject
    assert subject.rdns[-1].get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "899900000011"
    assert len(subject.rdns[-1]) == 4


def test_everything_says_test() -> None:
    """Every authority and every certificate carries TEST in organisation and unit."""
    names = [a.certificate.subject for a in (issuer().root, issuer().cps, issuer().vitale)]
    for name in (*names, x509.load_der_x509_certificate(certificates()[1]).subject):
        assert "TEST" in name.rfc4514_string().partition("O=")[2]
        assert "PAS UNE VRAIE AUTORITE" in name.rfc4514_string()


def test_chain() -> None:
    """The CPS certificate is signed by the CPS authority and that one by the root, not the other way."""
    leaf = x509.load_der_x509_certificate(certificates()[0])
    leaf.verify_directly_issued_by(issuer().cps.certificate)
    issuer().cps.certificate.verify_directly_issued_by(issuer().root.certificate)
    with pytest.raises((ValueError, InvalidSignature)):
        leaf.verify_directly_issued_by(issuer().root.certificate)


def test_vitale_certificate() -> None:
    """The 7F21 object names the card and verifies with the Vitale authority; an altered body does not."""
    modulus = private_key(1).public_key().public_numbers().n.to_bytes(256, "big")
    data = issuer().issue_vitale(bytes.fromhex("99250000000000000011"), modulus, date(2033, 12, 31))
    made = Certificate.decode(data)
    assert (made.serial.hex(), made.expiry, made.modulus) == (
        "99250000000000000011",
        date(2033, 12, 31),
        modulus,
    )
    authority = issuer().vitale.certificate.public_key()
    authority.verify(made.signature, made.body, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidSignature):
        authority.verify(made.signature, made.body[:-1] + b"\0", padding.PKCS1v15(), hashes.SHA256())


def test_revocation_list() -> None:
    """A revoked serial is on the next CRL, another one is not."""
    authority = CertificateAuthority(private_key(0), issuer().cps.certificate)
    authority.revoke(77, NOW)
    crl = x509.load_der_x509_crl(authority.crl(NOW, number=3))
    assert crl.get_revoked_certificate_by_serial_number(77) is not None
    assert crl.get_revoked_certificate_by_serial_number(78) is None
    assert crl.is_signature_valid(private_key(0).public_key())


def test_further_extensions_and_unknown_usage() -> None:
    """The low-level door takes extra extensions and a CRL address, and refuses an unknown keyUsage."""

    def issue(*names: str) -> x509.Certificate:
        return issuer().cps.issue(
            fake_name("TEST"),
            private_key(1).public_key(),
            key_usage=names,
            not_before=NOW,
            not_after=NOW + timedelta(days=1),
            serial=5,
            crl_url="http://localhost/test.crl",
            extensions=[(x509.OCSPNoCheck(), False)],
        )

    assert issue("digital_signature").extensions.get_extension_for_class(x509.CRLDistributionPoints)
    with pytest.raises(x509.ExtensionNotFound):
        issue().extensions.get_extension_for_class(x509.KeyUsage)
    with pytest.raises(IssuerError, match="keyUsage"):
        issue("flying")


def test_kept_on_disk(tmp_path: Path) -> None:
    """An issuer comes back from its directory, readable by its owner only, and is never written over."""
    home = tmp_path / "a" / "authority"
    made = TestIssuer.create(home, now=NOW, key_source=lambda: private_key(0))
    assert TestIssuer.load(home).cps.certificate == made.cps.certificate
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o600}
    with pytest.raises(IssuerError, match="not empty"):
        TestIssuer.create(home, now=NOW, key_source=lambda: private_key(0))
    assert [path.name for path in home.parent.iterdir()] == ["authority"]


@pytest.mark.parametrize("name", ["root.key.pem", "cps.cert.pem", "vitale.key.pem"])
def test_damaged_directory(tmp_path: Path, name: str) -> None:
    """A missing, garbled or exchanged file is named."""
    home = tmp_path / "authority"
    TestIssuer.create(home, now=NOW, key_source=iter([private_key(n) for n in range(3)]).__next__)
    kept = (home / name).read_bytes()
    other = home / ("cps" + name[name.index(".") :] if not name.startswith("cps") else "root.cert.pem")
    for content in (b"garbled", other.read_bytes()):
        (home / name).write_bytes(content)
        with pytest.raises(IssuerError, match=name.partition(".")[0]):
            TestIssuer.load(home)
    (home / name).unlink()
    with pytest.raises(IssuerError, match="missing"):
        TestIssuer.load(home)
    (home / name).write_bytes(kept)
    assert TestIssuer.load(home)


def test_same_chance_same_serials() -> None:
    """Serial numbers come from the given random source: positive, always 16 octets."""
    assert serial_number(lambda size: b"\xff" * size) == 2**126 - 1
    assert serial_number(bytes) == 2**125 + 1
    assert datetime(2026, 6, 1, 12, tzinfo=UTC) == NOW
