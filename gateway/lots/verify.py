"""One verifier for both ends: the gateway checks what it just made, the receiver checks what it got."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.cms.signed import VerifiedSigner
from gateway.errors import TrustError
from gateway.lots.fse import Fse, FseDraft
from gateway.lots.invoice import SIZE
from gateway.lots.lot_file import BillingFile, ReadLot, parse_file
from gateway.lots.modes import DEGRADED, family_of
from gateway.lots.refusal import LotRefusal
from gateway.pki.certificate import Certificate, Purpose
from gateway.pki.trust import Trust
from gateway.pki.vitale import VitaleAuthority
from gateway.records import security
from gateway.records.fields import read_moment

_PADDING = PKCS1v15()
_DEGRADED = family_of(DEGRADED)
_SHA256 = Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class VerifiedLot:
    """A lot whose signer is known: `certificate` is the CPS certificate of the one who signed everything.

    A degraded lot has no signer but that of its mail: None where the policy signs no mail.
    """

    file: BillingFile = field(repr=False)
    lot: ReadLot
    certificate: Certificate | None

    @property
    def fses(self) -> tuple[Fse, ...]:
        """The verified invoices, in order."""
        return self.lot.fses


def verify_fse(
    fse: Fse, cps_certificate: bytes, vitale_authority: VitaleAuthority, *, record: int = 0
) -> None:
    """Both card signatures stand over the same digest, and the practitioner inside is the signer (A8).

    `cps_certificate`: DER of the CPS signature certificate; its path and validity are the caller's to check.
    `record`: number of the invoice's first record, for the refusal. Raises LotRefusal of class S.
    """
    invoice = fse.invoice
    place = _Place(record, fse.number)
    if not invoice.mode.cps:
        raise place.refusal("5003", f"carries no signature (mode {invoice.mode.name})")
    holder = _certificate(cps_certificate)
    if holder.national_id != invoice.national_id:
        raise place.refusal("5006", "names another professional than the one who signed")
    if not _is_signed(holder.public_key, invoice.signature, invoice.digest):
        raise place.refusal("5003", "has a wrong signature of the professional")
    if invoice.mode.vitale:
        sealed = _Sealed(invoice.vitale_serial, invoice.elaborated, invoice.digest)
        _verify_seal(sealed, invoice.seal, invoice.certificate, vitale_authority, place)


def verify_seal(draft: FseDraft, seal: bytes, certificate: bytes, vitale_authority: VitaleAuthority) -> None:
    """The seal of a Vitale over a draft that the CPS has not signed yet; LotRefusal of class S."""
    head = security.SecurityStart.decode(draft.records[-SIZE:])
    sealed = _Sealed(head["vitale_serial"], read_moment(head["elaborated"]), draft.digest)
    _verify_seal(sealed, seal, certificate, vitale_authority, _Place(0, draft.number))


def verify_lot(
    file_bytes: bytes,
    trust: Trust,
    vitale_authority: VitaleAuthority,
    when: datetime,
    *,
    signer: VerifiedSigner | None = None,
    degraded: bool = False,
) -> VerifiedLot:
    """Parse, check the certificate path at `when`, the lot signature, then every invoice; LotRefusal else.

    `signer`: who signed the mail around the file, where the policy signs; must be the signer of the lot.
    `degraded`: a lot without any signature is expected, and nothing else: paper proves what is in it.
    """
    file = parse_file(file_bytes)
    if len(file.lots) != 1:
        raise LotRefusal("4002", "a file brings exactly one lot here: send the lots one by one")
    lot = file.lots[0]
    if degraded and lot.family == _DEGRADED:
        return VerifiedLot(file, lot, None if signer is None else signer.certificate)
    certificate = _lot_signer(lot, trust, when, signer)
    for fse, record in zip(lot.fses, lot.first_records, strict=True):
        verify_fse(fse, lot.certificate, vitale_authority, record=record)
    return VerifiedLot(file, lot, certificate)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a refusal points to."""

    record: int
    invoice: int

    def refusal(self, error_code: str, what: str) -> LotRefusal:
        return LotRefusal(
            error_code, f"invoice {self.invoice} {what}", record=self.record, invoice=self.invoice
        )


def _lot_signer(lot: ReadLot, trust: Trust, when: datetime, signer: VerifiedSigner | None) -> Certificate:
    if not lot.certificate:
        raise LotRefusal("5001", "the lot carries no signature: it travels with paper, not alone")
    try:
        certificate = trust.validate(lot.certificate, when, Purpose.CPS_SIGNATURE)
    except TrustError as error:
        raise LotRefusal("5002", f"certificate of the professional: {error}") from None
    if not _is_signed(certificate.public_key, lot.signature, lot.digest):
        raise LotRefusal("5001", "the signature of the lot is wrong")
    if certificate.national_id != lot.national_id:
        raise LotRefusal("5006", "the lot names another professional than the one who signed")
    if signer is not None and signer.certificate.fingerprint != certificate.fingerprint:
        raise LotRefusal("5006", "the mail was signed by another professional than the lot")
    return certificate


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What a seal is about: the card named in 7H, when, and the digest."""

    serial: str
    elaborated: datetime | None
    digest: bytes


def _verify_seal(
    sealed: _Sealed, seal: bytes, certificate: bytes, authority: VitaleAuthority, place: _Place
) -> None:
    try:
        card = authority.verify(certificate)
    except TrustError as error:
        raise place.refusal("5005", f"has a Vitale certificate that is not trusted: {error}") from None
    if card.serial.upper() != sealed.serial:
        raise place.refusal("5005", "was sealed by another Vitale card than it names")
    if sealed.elaborated is None or card.expiry < sealed.elaborated.date():
        raise place.refusal("5005", "was made after the end of validity of its Vitale card")
    if not _is_signed(card.public_key, seal, sealed.digest):
        raise place.refusal("5004", "has a wrong seal of the Vitale card")


def _is_signed(key: RSAPublicKey, signature: bytes, digest: bytes) -> bool:
    try:
        key.verify(signature, digest, _PADDING, _SHA256)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=256)
def _certificate(der: bytes) -> Certificate:
    """Parsed once per certificate; a TrustError becomes the refusal of class S."""
    try:
        return Certificate.parse(der)
    except TrustError as error:
        raise LotRefusal("5002", f"certificate of the professional: {error}") from None
