"""The test authority's directory: made once, read again, secret, visibly fake."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from card.issuer import TestIssuer
from gateway.cms.enveloped import decrypt, encrypt
from gateway.cms.policy import MODERN
from gateway.errors import InputError, TrustError
from gateway.pki import Purpose
from tools.pki import Authority
from tools.pki.__main__ import main
from tools.pki.keys import pooled_keys
from tools.pki.workbench import NOW


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority", NOW, key_source=pooled_keys())


def test_made_once_and_read_again(authority: Authority) -> None:
    """The same keys and certificates come back from the directory; making it twice is refused."""
    again = Authority.load(authority.directory)
    assert again.receiver_keys().decryption.certificate == authority.receiver_keys().decryption.certificate
    assert (
        Authority.open(authority.directory, NOW).facturation.certificate == authority.facturation.certificate
    )
    with pytest.raises(InputError, match="already holds"):
        Authority.create(authority.directory, NOW)


def test_an_issuer_of_cards_is_kept(tmp_path: Path) -> None:
    """The authority grows around the issuer that `vitale-card` made, so that existing cards stay good."""
    issuer = TestIssuer.create(tmp_path / "a", now=NOW, key_source=pooled_keys())
    authority = Authority.create(tmp_path / "a", NOW, key_source=pooled_keys(3))
    assert authority.issuer.cps.certificate == issuer.cps.certificate
    cps = authority.software_cps("899700000012", NOW)
    authority.trust().validate(cps.certificate, NOW, Purpose.CPS_SIGNATURE)


def test_files_are_secret(authority: Authority) -> None:
    """Directories 0700, files 0600, no key under trust/ (C7)."""
    authority.practice_keys("cabinet")
    for path in authority.directory.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.suffix != ".new"
    assert not list(authority.trust_directory.rglob("*.key.pem"))


def test_practices(authority: Authority) -> None:
    """A practice's key is issued once and opens what is sealed for it; odd names are refused."""
    key = authority.practice_keys("cabinet-1").decryption
    assert authority.practice_keys("cabinet-1").decryption.certificate == key.certificate
    authority.trust().validate(key.certificate, NOW, Purpose.PRACTICE_ENCRYPTION)
    assert decrypt(encrypt(b"TEST", key.certificate, MODERN, bytes), key, MODERN) == b"TEST"
    for name in ("", "../x", "a/b", "é", "x" * 41):
        with pytest.raises(InputError):
            authority.practice_keys(name)


def test_lists_are_renewed(authority: Authority) -> None:
    """Lists last seven days; renewed, they last again, also for a reader whose clock is a little behind."""
    cps, later = authority.software_cps("899700000012", NOW), NOW + timedelta(days=30)
    with pytest.raises(TrustError, match="stale"):
        authority.trust().validate(cps.certificate, later, Purpose.CPS_SIGNATURE)
    authority.renew_crls(later)
    for when in (later, later - timedelta(minutes=5), later + timedelta(days=7)):
        authority.trust().validate(cps.certificate, when, Purpose.CPS_SIGNATURE)


def test_every_name_says_test(authority: Authority) -> None:
    """No certificate of the bench can be taken for a real one."""
    found = [*authority.directory.rglob("*.cert.pem"), *authority.trust_directory.rglob("*.pem")]
    assert len(found) >= 8
    for path in found:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        for name in (certificate.subject, certificate.issuer):
            assert "TEST - PAS UNE VRAIE AUTORITE" in name.rfc4514_string()


@pytest.mark.parametrize("missing", ["root.key.pem", "facturation.key.pem", "receiver-signature.cert.pem"])
def test_a_missing_file_is_named(authority: Authority, missing: str) -> None:
    """What is missing is said in one sentence."""
    (authority.directory / missing).unlink()
    with pytest.raises(InputError, match=missing.split(".", maxsplit=1)[0]):
        Authority.load(authority.directory).receiver_keys()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tools.pki DIR` makes it, renews it, and refuses a file in the way with exit code 1."""
    (tmp_path / "file").write_bytes(b"")
    assert main([str(tmp_path / "file" / "authority")]) == 1
    assert capsys.readouterr().err.startswith("pki: ")
    assert main([str(tmp_path / "authority"), "--practice", "cabinet"]) == 0
    assert main([str(tmp_path / "authority")]) == 0
    assert "ready" in capsys.readouterr().out
    with pytest.raises(SystemExit) as usage:
        main([])
    assert usage.value.code == 2
