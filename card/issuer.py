"""The TEST issuer: certificate authorities that sign practitioner cards and patient cards.

Nothing here is a real authority, and every name says so. Clock and chance are given by the caller.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from card.layout.vitale import Certificate, VitaleCertificate

ORGANISATION = "TEST - PAS UNE VRAIE AUTORITE"
UNIT = "VITALE GATEWAY TEST"

# INVENTED(vitale-authority-reference): the 8-byte name of the Vitale certificate authority is ours.
VITALE_AUTHORITY = b"VITTEST1"

KeySource = Callable[[], rsa.RSAPrivateKey]
Rng = Callable[[int], bytes]

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
SIGNATURE_USAGE = ("digital_signature", "content_commitment")
AUTHENTICATION_USAGE = ("digital_signature", "key_encipherment")
AUTHORITY_USAGE = ("key_cert_sign", "crl_sign")

_ROOT_YEARS = 20
_DAYS = 366


class IssuerError(ValueError):
    """The authority's directory is not usable. The sentence names the file and what to do."""


def generate_key() -> rsa.RSAPrivateKey:
    """A fresh RSA-2048 key, exponent 65537."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def fake_name(common_name: str) -> x509.Name:
    """C=FR, O and OU that say TEST, and the common name."""
    return x509.Name([*_fake_prefix(), _rdn((NameOID.COMMON_NAME, common_name))])


@dataclass(frozen=True, slots=True)
class Practitioner:
    """Who a CPS certificate names: profession title, names, national identifier ("8" + RPPS)."""

    title: str
    name: str = field(repr=False)
    first_name: str = field(repr=False)
    national_id: str

    def subject(self) -> x509.Name:
        """The subject; title, given name, surname and identifier share ONE multi-valued RDN, as on a CPS."""
        return x509.Name(
            [
                *_fake_prefix(),
                _rdn(
                    (NameOID.TITLE, self.title),
                    (NameOID.GIVEN_NAME, self.first_name),
                    (NameOID.SURNAME, self.name),
                    (NameOID.COMMON_NAME, self.national_id),
                ),
            ]
        )


@dataclass
class CertificateAuthority:
    """An RSA-2048, SHA-256 X.509 authority: its key, its own certificate and what it has revoked."""

    key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate
    revoked: dict[int, datetime] = field(default_factory=dict)

    @property
    def name(self) -> x509.Name:
        """The subject of the authority's certificate."""
        return self.certificate.subject

    @classmethod
    def root(
        cls,
        common_name: str,
        key: rsa.RSAPrivateKey,
        *,
        not_before: datetime,
        not_after: datetime,
        serial: int,
        path_length: int | None = None,
    ) -> CertificateAuthority:
        """A self-signed authority named `common_name`."""
        name = fake_name(common_name)
        builder = _builder(
            name,
            name,
            key.public_key(),
            key_usage=AUTHORITY_USAGE,
            not_before=not_before,
            not_after=not_after,
            serial=serial,
        )
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=path_length), critical=True
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    def issue(
        self,
        subject: x509.Name,
        public_key: rsa.RSAPublicKey,
        *,
        key_usage: Collection[str],
        not_before: datetime,
        not_after: datetime,
        serial: int,
        is_ca: bool = False,
        path_length: int | None = None,
        crl_url: str | None = None,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> x509.Certificate:
        """A certificate signed by this authority.

        `key_usage` holds names of the keyUsage bits as cryptography writes them (none: no such extension);
        `extensions` are further (extension, critical) pairs.
        """
        builder = _builder(
            subject,
            self.name,
            public_key,
            key_usage=key_usage,
            not_before=not_before,
            not_after=not_after,
            serial=serial,
        )
        builder = builder.add_extension(x509.BasicConstraints(is_ca, path_length), critical=True)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
        )
        if crl_url is not None:
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self.key, hashes.SHA256())

    def subordinate(
        self,
        common_name: str,
        key: rsa.RSAPrivateKey,
        *,
        not_before: datetime,
        not_after: datetime,
        serial: int,
        path_length: int | None = 0,
    ) -> CertificateAuthority:
        """An authority under this one."""
        certificate = self.issue(
            fake_name(common_name),
            key.public_key(),
            key_usage=AUTHORITY_USAGE,
            not_before=not_before,
            not_after=not_after,
            serial=serial,
            is_ca=True,
            path_length=path_length,
        )
        return CertificateAuthority(key, certificate)

    def revoke(self, serial: int, when: datetime) -> None:
        """Put a serial number on the next CRL."""
        self.revoked[serial] = when

    def crl(self, now: datetime, *, lifetime: timedelta = timedelta(days=7), number: int = 1) -> bytes:
        """The CRL in DER as of `now`, valid for `lifetime`."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(now)
            .next_update(now + lifetime)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        for serial, when in sorted(self.revoked.items()):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@dataclass
class TestIssuer:
    """The three authorities that make cards: the root, the one of CPS people, the one of Vitale cards."""

    __test__ = False  # the name is the field's, pytest must not collect it

    root: CertificateAuthority
    cps: CertificateAuthority
    vitale: CertificateAuthority
    rng: Rng = field(default=os.urandom, repr=False)

    @classmethod
    def make(
        cls, *, now: datetime, rng: Rng = os.urandom, key_source: KeySource = generate_key
    ) -> TestIssuer:
        """A new issuer in memory, valid from the day before `now` for twenty years."""
        start = now - timedelta(days=1)
        end = now + timedelta(days=_ROOT_YEARS * _DAYS)

        def serial() -> int:
            return serial_number(rng)

        root = CertificateAuthority.root(
            "AC RACINE TEST VITALE GATEWAY", key_source(), not_before=start, not_after=end, serial=serial()
        )
        cps, vitale = (
            root.subordinate(name, key_source(), not_before=start, not_after=end, serial=serial())
            for name in ("AC CPS TEST PERSONNES", "AC VITALE TEST")
        )
        return cls(root, cps, vitale, rng)

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        now: datetime,
        rng: Rng = os.urandom,
        key_source: KeySource = generate_key,
    ) -> TestIssuer:
        """A new issuer kept under `directory` (0700, files 0600); raises IssuerError when it is not empty."""
        issuer = cls.make(now=now, rng=rng, key_source=key_source)
        issuer.save(directory)
        return issuer

    def save(self, directory: Path) -> None:
        """Write NAME.key.pem and NAME.cert.pem of each authority: all of them appear at once, or none.

        Raises IssuerError when `directory` is there and not empty.
        """
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = Path(mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))  # mode 0700
        try:
            for name, authority in self._authorities().items():
                pem = authority.certificate.public_bytes(serialization.Encoding.PEM)
                _write_new(draft / f"{name}.cert.pem", pem)
                _write_new(draft / f"{name}.key.pem", private_pem(authority.key))
            draft.rename(directory)
        except OSError as wrong:
            if wrong.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            what = "is a file" if wrong.errno == errno.ENOTDIR else "is not empty"
            raise IssuerError(
                f"{directory} {what}; use an authority that is there or choose another directory"
            ) from None
        finally:
            rmtree(draft, ignore_errors=True)

    @classmethod
    def load(cls, directory: Path, *, rng: Rng = os.urandom) -> TestIssuer:
        """The issuer kept under `directory`; raises IssuerError naming the file that is not usable."""
        root, cps, vitale = (_load_authority(directory, name) for name in ("root", "cps", "vitale"))
        return cls(root, cps, vitale, rng)

    def issue_cps(
        self,
        holder: Practitioner,
        signature_key: rsa.RSAPublicKey,
        authentication_key: rsa.RSAPublicKey,
        not_before: datetime,
        not_after: datetime,
        number: int | None = None,
    ) -> tuple[bytes, bytes]:
        """The signature and the authentication certificate of one CPS (DER), with their distinct usages.

        `number`: the serial number of the signature certificate, random when None.
        """
        pairs = (
            (signature_key, SIGNATURE_USAGE, number or serial_number(self.rng)),
            (authentication_key, AUTHENTICATION_USAGE, serial_number(self.rng)),
        )
        signature, authentication = (
            self.cps.issue(
                holder.subject(),
                key,
                key_usage=usage,
                not_before=not_before,
                not_after=not_after,
                serial=serial,
            ).public_bytes(serialization.Encoding.DER)
            for key, usage, serial in pairs
        )
        return signature, authentication

    def issue_vitale(self, serial: bytes, modulus: bytes, expiry: date) -> bytes:
        """The 7F21 certificate of one Vitale: serial (10 bytes), modulus (256 bytes), last valid day."""
        unsigned = VitaleCertificate(VITALE_AUTHORITY, serial, expiry, modulus)
        signature = self.vitale.key.sign(unsigned.body, padding.PKCS1v15(), hashes.SHA256())
        return Certificate.encode(VitaleCertificate(VITALE_AUTHORITY, serial, expiry, modulus, signature))

    def _authorities(self) -> dict[str, CertificateAuthority]:
        return {"root": self.root, "cps": self.cps, "vitale": self.vitale}


def serial_number(rng: Rng) -> int:
    """A positive certificate serial number, always 16 octets, 124 bits of them random (RFC 5280, 4.1.2.2)."""
    return int.from_bytes(rng(16), "big") >> 2 | 1 << 125 | 1


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    """PKCS#8 PEM, unencrypted: test keys only."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _fake_prefix() -> list[x509.RelativeDistinguishedName]:
    return [
        _rdn((NameOID.COUNTRY_NAME, "FR")),
        _rdn((NameOID.ORGANIZATION_NAME, ORGANISATION)),
        _rdn((NameOID.ORGANIZATIONAL_UNIT_NAME, UNIT)),
    ]


def _rdn(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.RelativeDistinguishedName:
    return x509.RelativeDistinguishedName([x509.NameAttribute(oid, text) for oid, text in attributes])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: rsa.RSAPublicKey,
    *,
    key_usage: Collection[str],
    not_before: datetime,
    not_after: datetime,
    serial: int,
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    if not key_usage:
        return builder
    if unknown := set(key_usage) - set(_USAGES):
        raise IssuerError(f"there is no keyUsage named {', '.join(sorted(unknown))}")
    bits = {name: name in key_usage for name in _USAGES}
    usage = x509.KeyUsage(**bits, encipher_only=False, decipher_only=False)
    return builder.add_extension(usage, critical=True)


def _write_new(path: Path, data: bytes) -> None:
    """Create `path` readable by its owner only, from the first moment."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _load_authority(directory: Path, name: str) -> CertificateAuthority:
    key_path, certificate_path = directory / f"{name}.key.pem", directory / f"{name}.cert.pem"
    for path in (key_path, certificate_path):
        if not path.is_file():
            raise IssuerError(f"{path} is missing; create the test authority again in an empty directory")
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise IssuerError(
            f"{key_path} or its certificate cannot be read; create the test authority again"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey) or certificate.public_key() != key.public_key():
        raise IssuerError(f"{key_path} does not belong to its certificate; create the test authority again")
    return CertificateAuthority(key, certificate)
