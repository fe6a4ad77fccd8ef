"""A whole test authority in one directory.

    DIR/root, cps, vitale .key.pem/.cert.pem         the TEST issuer of the cards (card.issuer)
    DIR/facturation, receiver-* .key.pem/.cert.pem   the receiving side
    DIR/practices/NAME.key.pem/.cert.pem             encryption keys of practices
    DIR/parties/NUMBER.key.pem/.cert.pem             encryption keys of single organisms and insurers
    DIR/trust/{roots,personnes,facturation,crls,vitale}   what gateway and receiver believe

Nothing here is a real authority, and every name says so. `now` is always given by the caller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from card.issuer import (
    VITALE_AUTHORITY,
    CertificateAuthority,
    IssuerError,
    KeySource,
    Practitioner,
    TestIssuer,
    fake_name,
    generate_key,
    private_pem,
    serial_number,
)
from card.personalise import list_outcomes, load_profile
from card.profile import CpsProfile
from gateway.cms.enveloped import DecryptionKey
from gateway.cms.signed import SoftwareSigner
from gateway.errors import InputError
from gateway.pki import Trust, VitaleAuthority

# INVENTED(facturation-authority-name): the real AC FACTURATION is imitated in shape, never in name.
FACTURATION_NAME = "AC FACTURATION TEST"
RECEIVER_NAME = "01349@349.01.rss.fr"
RECEIVER_YEARS = 3
CRL_LIFETIME = timedelta(days=7)
CRL_BACKDATING = timedelta(hours=1)
"""Lists are dated back, so that a reader whose clock is a little behind does not see the future."""

RECEIVER_USAGES = {
    "receiver-signature": ("digital_signature",),
    "receiver-encryption": ("key_encipherment",),
}


@dataclass(frozen=True)
class ReceiverKeys:
    """What the mock receiver holds: its signer and its decryption key (certificates inside, DER)."""

    signer: SoftwareSigner
    decryption: DecryptionKey


@dataclass(frozen=True)
class PracticeKeys:
    """What a practice holds to open receipts and payments."""

    decryption: DecryptionKey


@dataclass
class Authority:
    """Roots, issuing authorities, receiver and practice keys, revocation lists, the Vitale authority."""

    directory: Path
    issuer: TestIssuer
    facturation: CertificateAuthority
    key_source: KeySource = field(default=generate_key, repr=False)

    @classmethod
    def create(cls, directory: Path, now: datetime, *, key_source: KeySource = generate_key) -> Authority:
        """Make what is missing under `directory` (0700); an issuer of cards already there is kept."""
        if (directory / "facturation.key.pem").exists():
            raise InputError(f"{directory} already holds a whole test authority: use it or choose another")
        if (directory / "root.key.pem").exists():
            issuer = TestIssuer.load(directory)
        else:
            issuer = TestIssuer.create(directory, now=now, key_source=key_source)
        start, end = now - timedelta(days=1), issuer.cps.certificate.not_valid_after_utc
        facturation = issuer.root.subordinate(
            FACTURATION_NAME,
            key_source(),
            not_before=start,
            not_after=end,
            serial=serial_number(issuer.rng),
        )
        authority = cls(directory, issuer, facturation, key_source)
        authority._publish(now)
        return authority

    @classmethod
    def load(cls, directory: Path, *, key_source: KeySource = generate_key) -> Authority:
        """Read a directory made by `create`; InputError says what is missing."""
        try:
            issuer = TestIssuer.load(directory)
        except IssuerError as error:
            raise InputError(str(error)) from None
        key, certificate = _load_pair(directory / "facturation")
        authority = cls(directory, issuer, CertificateAuthority(key, certificate), key_source)
        for name, one in authority._publishers().items():
            one.revoked.update(_revoked(directory / "trust" / "crls" / f"{name}.crl"))
        return authority

    @classmethod
    def open(cls, directory: Path, now: datetime, *, key_source: KeySource = generate_key) -> Authority:
        """Load what is there, or create it."""
        if (directory / "facturation.key.pem").exists():
            return cls.load(directory, key_source=key_source)
        return cls.create(directory, now, key_source=key_source)

    @property
    def trust_directory(self) -> Path:
        """What to hand to a gateway or a receiver: certificates and lists only, no key."""
        return self.directory / "trust"

    def trust(self) -> Trust:
        """What gateway and receiver believe."""
        return Trust.load(self.trust_directory)

    def vitale_authority(self) -> VitaleAuthority:
        """Checks Vitale certificates of this authority."""
        return VitaleAuthority.load(self.trust_directory)

    def receiver_keys(self) -> ReceiverKeys:
        """The receiver's signer and decryption key."""
        signature, encryption = (_load_pair(self.directory / name) for name in RECEIVER_USAGES)
        return ReceiverKeys(
            SoftwareSigner(signature[0], _der(signature[1])),
            DecryptionKey(encryption[0], _der(encryption[1])),
        )

    def stale_receiver_signer(self, now: datetime) -> SoftwareSigner:
        """The receiver's signer with a certificate that ended the day before `now`; published nowhere."""
        key, _ = _load_pair(self.directory / "receiver-signature")
        certificate = self.facturation.issue(
            fake_name(RECEIVER_NAME),
            key.public_key(),
            key_usage=RECEIVER_USAGES["receiver-signature"],
            not_before=now - timedelta(days=366),
            not_after=now - timedelta(days=1),
            serial=serial_number(self.issuer.rng),
        )
        return SoftwareSigner(key, _der(certificate))

    def practice_keys(self, practice: str) -> PracticeKeys:
        """The decryption key of a practice (a short name), issued at first use."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", practice):
            raise InputError("the practice's name must be 1 to 40 letters, digits, - or _")
        stem = self.directory / "practices" / practice
        return PracticeKeys(self._decryption(stem, f"CABINET TEST {practice}"))

    def party_key(self, number: str, address: str) -> DecryptionKey:
        """The decryption key of one organism or insurer (14 digits, mail address), issued at first use."""
        if not re.fullmatch(r"[0-9]{14}", number):
            raise InputError("an organism or an insurer has fourteen digits")
        return self._decryption(self.directory / "parties" / number, address)

    def _decryption(self, stem: Path, name: str) -> DecryptionKey:
        if not stem.with_suffix(".cert.pem").exists():
            stem.parent.mkdir(mode=0o700, exist_ok=True)
            start = self.facturation.certificate.not_valid_before_utc
            self._issue(stem, name, ("key_encipherment",), start)
        key, certificate = _load_pair(stem)
        return DecryptionKey(key, _der(certificate))

    def software_cps(self, national_id: str, now: datetime) -> SoftwareSigner:
        """A CPS signature key in software, for tests and load: same certificate as a card's."""
        key, holder = self.key_source(), Practitioner("Médecin", "TEST", "TEST", national_id)
        start, end = now - timedelta(days=1), now + timedelta(days=3 * 365)
        certificate, _authentication = self.issuer.issue_cps(
            holder, key.public_key(), key.public_key(), start, end
        )
        return SoftwareSigner(key, certificate)

    def revoke(self, serial: int, now: datetime) -> None:
        """Revoke a CPS certificate by its serial number and publish the lists."""
        self.issuer.cps.revoke(serial, now)
        self.renew_crls(now)

    def renew_crls(self, now: datetime) -> None:
        """Publish fresh revocation lists, good for seven days."""
        number = int(now.timestamp())
        for serial in withdrawn_certificates():
            self.issuer.cps.revoked.setdefault(serial, now)
        for name, authority in self._publishers().items():
            crl = authority.crl(now - CRL_BACKDATING, lifetime=CRL_LIFETIME + CRL_BACKDATING, number=number)
            _write(self.trust_directory / "crls" / f"{name}.crl", crl)

    def _publishers(self) -> dict[str, CertificateAuthority]:
        return {"root": self.issuer.root, "cps": self.issuer.cps, "facturation": self.facturation}

    def _publish(self, now: datetime) -> None:
        for name in ("", "roots", "personnes", "facturation", "crls", "vitale"):
            (self.trust_directory / name).mkdir(mode=0o700, exist_ok=True)
        places = {
            "roots/root": self.issuer.root,
            "personnes/cps": self.issuer.cps,
            "facturation/facturation": self.facturation,
            f"vitale/{VITALE_AUTHORITY.hex()}": self.issuer.vitale,
        }
        for place, authority in places.items():
            _write(self.trust_directory / f"{place}.pem", authority.certificate.public_bytes(Encoding.PEM))
        self.renew_crls(now)
        for name, usage in RECEIVER_USAGES.items():
            self._issue(self.directory / name, RECEIVER_NAME, usage, now - timedelta(days=1))
        _write_pair(self.directory / "facturation", self.facturation.key, self.facturation.certificate)

    def _issue(self, stem: Path, name: str, usage: tuple[str, ...], start: datetime) -> None:
        key = self.key_source()
        certificate = self.facturation.issue(
            fake_name(name),
            key.public_key(),
            key_usage=usage,
            not_before=start,
            not_after=start + timedelta(days=RECEIVER_YEARS * 366),
            serial=serial_number(self.issuer.rng),
        )
        _write_pair(stem, key, certificate)


def withdrawn_certificates() -> tuple[int, ...]:
    """The certificates of shipped cards that are revoked whenever they are made."""
    profiles = (load_profile(name) for name in list_outcomes())
    serials = (profile.certificate_serial for profile in profiles if isinstance(profile, CpsProfile))
    return tuple(serial for serial in serials if serial is not None)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _write(path: Path, data: bytes) -> None:
    """Create or replace a file of 0600, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.touch(mode=0o600)
    temporary.write_bytes(data)
    temporary.replace(path)


def _write_pair(stem: Path, key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> None:
    _write(stem.with_name(stem.name + ".cert.pem"), certificate.public_bytes(Encoding.PEM))
    _write(stem.with_name(stem.name + ".key.pem"), private_pem(key))


def _load_pair(stem: Path) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    try:
        key = load_pem_private_key(stem.with_name(stem.name + ".key.pem").read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(stem.with_name(stem.name + ".cert.pem").read_bytes())
    except (OSError, ValueError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InputError(f"{stem}.key.pem or .cert.pem cannot be read: create the test authority again")
    return key, certificate


def _revoked(path: Path) -> dict[int, datetime]:
    try:
        crl = x509.load_der_x509_crl(path.read_bytes())
    except (OSError, ValueError):  # what was revoked is known from here only: never begin again without it
        raise InputError(
            f"{path} is not a revocation list: put it back, or create the authority again"
        ) from None
    return {entry.serial_number: entry.revocation_date_utc for entry in crl}
