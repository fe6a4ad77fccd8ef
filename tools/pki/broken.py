"""Deliberately broken certificates and revocation lists: each from a valid one by one named edit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from card.issuer import (
    AUTHENTICATION_USAGE,
    AUTHORITY_USAGE,
    SIGNATURE_USAGE,
    CertificateAuthority,
    Practitioner,
    TestIssuer,
    fake_name,
)
from gateway.cms.signed import SoftwareSigner
from gateway.pki import Certificate, Purpose, Trust
from tools.pki.authority import Authority
from tools.pki.keys import numbered_key, weak_key

DAY = timedelta(days=1)
HOLDER = "899700000012"
UNKNOWN_EXTENSION = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")


@dataclass(frozen=True)
class Case:
    """A certificate, its key, and all that a reader knows when asked about it."""

    certificate: bytes = field(repr=False)
    key: rsa.RSAPrivateKey = field(repr=False)
    roots: tuple[bytes, ...] = field(repr=False)
    intermediates: tuple[bytes, ...] = field(repr=False)
    crls: tuple[bytes, ...] = field(repr=False)
    when: datetime
    purpose: Purpose = Purpose.CPS_SIGNATURE

    def trust(self) -> Trust:
        """What this reader believes."""
        return Trust(self.roots, self.intermediates, self.crls)

    def signer(self) -> SoftwareSigner:
        """A signer with this certificate."""
        return SoftwareSigner(self.key, self.certificate)

    def validate(self) -> Certificate:
        """Ask the question; TrustError says what is wrong."""
        return self.trust().validate(self.certificate, self.when, self.purpose)


@dataclass(frozen=True)
class Broken:
    """A broken case, the valid twin it was made from, and words its refusal must contain."""

    name: str
    case: Case
    twin: Case
    sentence: str


class Breaker:
    """Makes valid cases and broken ones under one authority; `key` is the holder's."""

    def __init__(self, authority: Authority, now: datetime, key: rsa.RSAPrivateKey) -> None:
        self.authority, self.now, self.key = authority, now, key
        self.issuer: TestIssuer = authority.issuer

    def valid(self) -> Case:
        """A good CPS signature certificate with everything needed to believe it."""
        return Case(
            certificate=self.leaf(),
            key=self.key,
            roots=(_der(self.issuer.root.certificate),),
            intermediates=(_der(self.issuer.cps.certificate),),
            crls=(self.issuer.root.crl(self.now), self.issuer.cps.crl(self.now)),
            when=self.now,
        )

    def leaf(
        self,
        *,
        authority: CertificateAuthority | None = None,
        key: rsa.RSAPublicKey | None = None,
        usage: tuple[str, ...] = SIGNATURE_USAGE,
        start: timedelta = -DAY,
        end: timedelta = 365 * DAY,
        serial: int = 1001,
        subject: x509.Name | None = None,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    ) -> bytes:
        """A CPS-like certificate that differs from the good one only where asked."""
        certificate = (authority or self.issuer.cps).issue(
            subject or Practitioner("Médecin", "TEST", "TEST", HOLDER).subject(),
            key or self.key.public_key(),
            key_usage=usage,
            not_before=self.now + start,
            not_after=self.now + end,
            serial=serial,
            extensions=extensions,
        )
        return _der(certificate)

    def cps_authority(
        self,
        *,
        is_ca: bool = True,
        path_length: int | None = 0,
        end: timedelta = 3650 * DAY,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    ) -> bytes:
        """The CPS authority's certificate issued anew: same name, same key."""
        certificate = self.issuer.root.issue(
            self.issuer.cps.name,
            self.issuer.cps.key.public_key(),
            key_usage=AUTHORITY_USAGE,
            not_before=self.now - 400 * DAY,
            not_after=self.now + end,
            serial=2001,
            is_ca=is_ca,
            path_length=path_length,
            extensions=extensions,
        )
        return _der(certificate)

    def crls(self, cps_crl: bytes) -> tuple[bytes, ...]:
        """The good list of the root, and another one for the CPS authority."""
        return self.issuer.root.crl(self.now), cps_crl

    def fresh(self, *revoked: int) -> CertificateAuthority:
        """The CPS authority with a revocation ledger of its own."""
        cps = self.issuer.cps
        return CertificateAuthority(cps.key, cps.certificate, dict.fromkeys(revoked, self.now - DAY))

    def deep(self, path_length: int) -> Case:
        """A path of two authorities below the root; `path_length` is what the upper one allows."""
        end = self.now + 400 * DAY
        upper = CertificateAuthority(
            self.issuer.cps.key, x509.load_der_x509_certificate(self.cps_authority(path_length=path_length))
        )
        lower = upper.subordinate(
            "AC CPS TEST DELEGUEE", numbered_key(30), not_before=self.now - DAY, not_after=end, serial=3001
        )
        return replace(
            self.valid(),
            certificate=self.leaf(authority=lower),
            intermediates=(_der(upper.certificate), _der(lower.certificate)),
            crls=(*self.valid().crls, lower.crl(self.now)),
        )

    def stranger(self) -> TestIssuer:
        """Another authority with the same names and other keys."""
        numbers = iter(range(40, 43))
        return TestIssuer.make(now=self.now, key_source=lambda: numbered_key(next(numbers)))

    def make(self, name: str) -> Broken:
        """The broken case of that name (see EDITS)."""
        sentence, edit = EDITS[name]
        twin = self.deep(1) if name == "path-too-long" else self.valid()
        return Broken(name, edit(self, twin), twin, sentence)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


Edit = Callable[[Breaker, Case], Case]


def _leaf_edit(**changes: object) -> Edit:
    return lambda breaker, case: replace(case, certificate=breaker.leaf(**changes))  # type: ignore[arg-type]


def _weak(bits: int, exponent: int) -> Edit:
    def edit(breaker: Breaker, case: Case) -> Case:
        key = weak_key(bits, exponent)
        return replace(case, key=key, certificate=breaker.leaf(key=key.public_key()))

    return edit


def _intermediate(**changes: object) -> Edit:
    return lambda breaker, case: replace(
        case,
        intermediates=(breaker.cps_authority(**changes),),  # type: ignore[arg-type]
    )


def _revoked_authority(breaker: Breaker, case: Case) -> Case:
    root = breaker.issuer.root
    serial = breaker.issuer.cps.certificate.serial_number
    ledger = CertificateAuthority(root.key, root.certificate, {serial: breaker.now - DAY})
    return replace(case, crls=(ledger.crl(breaker.now), case.crls[1]))


def _stranger_leaf(breaker: Breaker, case: Case) -> Case:
    return replace(case, certificate=breaker.leaf(authority=breaker.stranger().cps))


def _self_signed(breaker: Breaker, case: Case) -> Case:
    """The same subject and issuer names, signed by the holder's own key."""
    own = CertificateAuthority(breaker.key, breaker.issuer.cps.certificate)
    return replace(case, certificate=breaker.leaf(authority=own))


def _root_twin(breaker: Breaker, case: Case) -> Case:
    """A whole chain under a root of the same name and another key, offered as intermediates."""
    twin = breaker.stranger()
    return replace(
        case,
        certificate=breaker.leaf(authority=twin.cps),
        intermediates=(*case.intermediates, _der(twin.cps.certificate), _der(twin.root.certificate)),
        crls=(*case.crls, twin.root.crl(breaker.now), twin.cps.crl(breaker.now)),
    )


def _crl(make: Callable[[Breaker], bytes]) -> Edit:
    return lambda breaker, case: replace(case, crls=breaker.crls(make(breaker)))


def _crl_by_other(breaker: Breaker) -> bytes:
    """The right name on the list, the wrong key under it."""
    return CertificateAuthority(numbered_key(31), breaker.issuer.cps.certificate).crl(breaker.now)


def _receiver(breaker: Breaker, case: Case) -> Case:
    receiver = breaker.authority.receiver_keys().signer
    facturation = breaker.authority.facturation
    return replace(
        case,
        certificate=receiver.certificate,
        intermediates=(*case.intermediates, _der(facturation.certificate)),
        crls=(*case.crls, facturation.crl(breaker.now)),
    )


_CONSTRAINTS = x509.NameConstraints([x509.DNSName("exemple.invalid")], None)

EDITS: dict[str, tuple[str, Edit]] = {
    "expired": ("expired on", _leaf_edit(start=-400 * DAY, end=-DAY)),
    "not-yet-valid": ("not valid before", _leaf_edit(start=DAY)),
    "revoked": ("revoked", _crl(lambda breaker: breaker.fresh(1001).crl(breaker.now))),
    "revoked-authority": ("revoked", _revoked_authority),
    "wrong-usage": ("keyUsage", _leaf_edit(usage=AUTHENTICATION_USAGE)),
    "encryption-usage": ("keyUsage", _leaf_edit(usage=("key_encipherment",))),
    "missing-key-usage": ("keyUsage", _leaf_edit(usage=())),
    "receiver-certificate": ("keyUsage", _receiver),
    "no-national-id": ("national identifier", _leaf_edit(subject=fake_name("PERSONNE TEST"))),
    "self-signed-twin": ("not issued by an authority known here", _self_signed),
    "root-twin": ("not issued by an authority known here", _root_twin),
    "other-authority": ("not issued by an authority known here", _stranger_leaf),
    "intermediate-without-CA": ("not allowed to issue", _intermediate(is_ca=False, path_length=None)),
    "intermediate-expired": ("expired on", _intermediate(end=-DAY)),
    "path-too-long": ("fewer authorities", lambda breaker, _case: breaker.deep(0)),
    "unknown-critical": ("unknown critical extension", _leaf_edit(extensions=((UNKNOWN_EXTENSION, True),))),
    "unknown-critical-authority": (
        "unknown critical extension",
        _intermediate(extensions=((UNKNOWN_EXTENSION, True),)),
    ),
    "name-constraints": ("name constraints", _intermediate(extensions=((_CONSTRAINTS, True),))),
    "weak-rsa-1024": ("weaker than 2048", _weak(1024, 65537)),
    "weak-exponent-3": ("weaker than 2048", _weak(2048, 3)),
    "stale-crl": ("stale since", _crl(lambda breaker: breaker.fresh().crl(breaker.now - 30 * DAY))),
    "future-crl": ("no revocation list", _crl(lambda breaker: breaker.fresh().crl(breaker.now + DAY))),
    "crl-by-other-ca": ("no revocation list", _crl(_crl_by_other)),
    "missing-crl": ("no revocation list", lambda _breaker, case: replace(case, crls=case.crls[:1])),
}
"""Name -> words of the refusal, and the one edit."""
