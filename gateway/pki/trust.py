"""Trust: whose certificates are believed, when, and for what (RFC 5280 section 6, fail closed).

A path goes from the certificate up to a root that is configured here, byte for byte. Certificates
that travel inside messages never help to build one. Each certificate below the root needs a
revocation list of its issuer that is authentic and current at the moment asked about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from gateway.errors import TrustError
from gateway.pki.certificate import Certificate, Purpose
from gateway.pki.revocation import RevocationList

USAGES: dict[Purpose, frozenset[str]] = {
    Purpose.CPS_SIGNATURE: frozenset({"digital_signature", "content_commitment"}),
    Purpose.CPS_AUTHENTICATION: frozenset({"digital_signature", "key_encipherment"}),
    # INVENTED(receiver-key-usage): facturation certificates have digitalSignature or keyEncipherment only.
    Purpose.RECEIVER_SIGNATURE: frozenset({"digital_signature"}),
    Purpose.RECEIVER_ENCRYPTION: frozenset({"key_encipherment"}),
    Purpose.PRACTICE_ENCRYPTION: frozenset({"key_encipherment"}),
}
CPS_PURPOSES = frozenset({Purpose.CPS_SIGNATURE, Purpose.CPS_AUTHENTICATION})
FACTURATION_PURPOSES = frozenset(Purpose) - CPS_PURPOSES

REMEDY: dict[Purpose, str] = {
    Purpose.CPS_SIGNATURE: "renew the card",
    Purpose.CPS_AUTHENTICATION: "renew the card",
    Purpose.RECEIVER_SIGNATURE: "fetch the receiver's present certificate",
    Purpose.RECEIVER_ENCRYPTION: "fetch the receiver's present certificate",
    Purpose.PRACTICE_ENCRYPTION: "issue a new certificate for the practice",
}
UNDERSTOOD = frozenset(
    {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE}
)
_DER = serialization.Encoding.DER
MOST_AUTHORITIES = 4
MOST_REMEMBERED = 20_000

Window = tuple[datetime, datetime]


class Trust:
    """Roots, intermediates and revocation lists (all DER); answers are cached by fingerprint.

    `scopes` limits what an issuing authority may vouch for: SHA-256 of the authority's
    certificate -> purposes. An authority that is not named there may vouch for all purposes.
    """

    def __init__(
        self,
        roots: Iterable[bytes],
        intermediates: Iterable[bytes],
        crls: Iterable[bytes],
        scopes: Mapping[bytes, Collection[Purpose]] | None = None,
        files: Mapping[bytes, Path] | None = None,
    ) -> None:
        self.files = dict(files or {})
        """Where a certificate or list (DER) was read from."""
        self._roots = {der: Certificate.parse(der) for der in roots}
        self._authorities = self._roots | {der: Certificate.parse(der) for der in intermediates}
        self._by_subject: dict[bytes, list[Certificate]] = {}
        for authority in self._authorities.values():
            self._by_subject.setdefault(authority.subject, []).append(authority)
        self._crls = sorted((RevocationList.parse(der) for der in crls), key=lambda crl: crl.this_update)
        self._scopes = dict(scopes or {})
        self._good: dict[tuple[bytes, Purpose], tuple[Window, Certificate]] = {}
        self._authentic: dict[tuple[int, bytes], bool] = {}

    @classmethod
    def load(cls, directory: Path) -> Trust:
        """Read `roots/`, `personnes/`, `facturation/` and `crls/` (PEM or DER files) of a directory.

        Authorities under `personnes/` vouch for CPS only, those under `facturation/` for receivers
        and practices only.
        """
        files: dict[bytes, Path] = {}
        persons, facturation, roots = (
            _read_folder(directory / name, "CERTIFICATE", files)
            for name in ("personnes", "facturation", "roots")
        )
        if not roots:
            raise TrustError(f"no root certificate under {directory / 'roots'}: install the authority's root")
        scopes: dict[bytes, Collection[Purpose]] = {
            hashlib.sha256(der).digest(): CPS_PURPOSES for der in persons
        }
        scopes |= {hashlib.sha256(der).digest(): FACTURATION_PURPOSES for der in facturation}
        crls = _read_folder(directory / "crls", "X509 CRL", files)
        return cls(roots, persons + facturation, crls, scopes, files)

    @property
    def authorities(self) -> tuple[Certificate, ...]:
        """The configured roots and intermediates."""
        return tuple(self._authorities.values())

    def newest_lists(self, now: datetime) -> list[tuple[str, RevocationList]]:
        """The revocation list that decides now, by the name of its authority; none for one without a list."""
        found: dict[str, RevocationList] = {}
        for authority in self._authorities.values():
            for crl in self._crls:  # ascending: the last one wins
                if crl.this_update <= now and self._is_authentic(crl, authority):
                    found[authority.common_name] = crl
        return list(found.items())

    def rehearse(self, certificate: bytes, now: datetime, purpose: Purpose) -> Certificate:
        """A certificate that may not be in force yet, judged as on its first day, by the lists of today.

        TrustError as in `validate`. Nothing is remembered: what is good for a rehearsal is not yet good.
        """
        leaf = Certificate.parse(certificate)
        begins = max(now, leaf.not_before)
        _check_leaf(leaf, begins, purpose)
        fault: TrustError | None = None
        for path in self._paths([leaf]):
            try:
                self._check_authorities(path, begins, purpose)
                for below, authority in pairwise(path):
                    self._check_revocation(below, authority, now, purpose)
            except TrustError as error:
                fault = fault or error
            else:
                return leaf
        raise fault or _unknown(purpose)

    def knows_authority(self, der: bytes) -> bool:
        """These bytes are one of the configured roots or intermediates."""
        return der in self._authorities

    def validate(self, certificate: bytes, when: datetime, purpose: Purpose) -> Certificate:
        """The certificate, if a good path exists at `when`; else TrustError with one clear sentence."""
        key = (hashlib.sha256(certificate).digest(), purpose)
        remembered = self._good.get(key)
        if remembered is not None and remembered[0][0] <= when <= remembered[0][1]:
            return remembered[1]
        leaf = Certificate.parse(certificate)
        window = self._window(leaf, when, purpose)
        if len(self._good) >= MOST_REMEMBERED:
            self._good.clear()
        self._good[key] = window, leaf
        return leaf

    def _window(self, leaf: Certificate, when: datetime, purpose: Purpose) -> Window:
        """While the answer "good" holds, for the first good path; the first path's fault otherwise."""
        window = _check_leaf(leaf, when, purpose)
        fault: TrustError | None = None
        for path in self._paths([leaf]):
            try:
                return self._check_path(path, when, purpose, window)
            except TrustError as error:
                fault = fault or error
        raise fault or _unknown(purpose)

    def _paths(self, path: list[Certificate]) -> Iterator[list[Certificate]]:
        """Every chain of names and signatures from the leaf to a root, shortest first at each step."""
        for authority in self._by_subject.get(path[-1].issuer, ()):
            if authority in path or not path[-1].is_signed_by(authority):
                continue
            if authority.der in self._roots:
                yield [*path, authority]
            elif len(path) < MOST_AUTHORITIES:
                yield from self._paths([*path, authority])

    def _check_path(
        self, path: Sequence[Certificate], when: datetime, purpose: Purpose, window: Window
    ) -> Window:
        window = _overlap(window, self._check_authorities(path, when, purpose))
        for certificate, authority in pairwise(path):
            window = _overlap(window, self._check_revocation(certificate, authority, when, purpose))
        return window

    def _check_authorities(self, path: Sequence[Certificate], when: datetime, purpose: Purpose) -> Window:
        windows = []
        for below, authority in enumerate(path[1:]):
            windows.append(_check_authority(authority, below, when))
            if purpose not in self._scopes.get(authority.fingerprint, Purpose):
                raise TrustError(f"an authority of the path may not vouch for a {purpose.value} certificate")
        return reduce(_overlap, windows)

    def _check_revocation(
        self, certificate: Certificate, authority: Certificate, when: datetime, purpose: Purpose
    ) -> Window:
        """The newest authentic list that had appeared by `when` decides; none, or a stale one, refuses."""
        lists = [crl for crl in self._crls if self._is_authentic(crl, authority)]
        appeared = [crl for crl in lists if crl.this_update <= when]
        if not appeared:
            raise TrustError(f"no revocation list of the authority for {purpose.value}: fetch it")
        crl = appeared[-1]
        if when > crl.next_update:
            raise TrustError(
                f"the revocation list for {purpose.value} is stale since "
                f"{crl.next_update:%Y-%m-%d %H:%M} UTC: fetch the new one"
            )
        if certificate.serial in crl.serials:
            raise TrustError(
                f"the {purpose.value} certificate or its authority is revoked: {REMEDY[purpose]}",
                code="certificate-revoked",
            )
        later = [other.this_update - timedelta(microseconds=1) for other in lists[len(appeared) :]]
        return crl.this_update, min([crl.next_update, *later])

    def _is_authentic(self, crl: RevocationList, authority: Certificate) -> bool:
        key = (id(crl), authority.fingerprint)
        if key not in self._authentic:
            self._authentic[key] = crl.is_signed_by(authority)
        return self._authentic[key]


def _unknown(purpose: Purpose) -> TrustError:
    what = f"the {purpose.value} certificate"
    return TrustError(
        f"{what} was not issued by an authority known here: {REMEDY[purpose]}", code="authority-unknown"
    )


def _overlap(one: Window, other: Window) -> Window:
    return max(one[0], other[0]), min(one[1], other[1])


def _check_leaf(leaf: Certificate, when: datetime, purpose: Purpose) -> Window:
    what = f"the {purpose.value} certificate"
    _check_dates(leaf, when, what, REMEDY[purpose])
    _check_extensions(leaf, what)
    if leaf.is_authority:
        raise TrustError(f"{what} is an authority's certificate: use the holder's own")
    if leaf.key_usage != USAGES[purpose]:
        raise TrustError(f"{what} is not made for this use (keyUsage): use the {purpose.value} certificate")
    if purpose in CPS_PURPOSES and not leaf.national_id:
        raise TrustError(f"{what} names no national identifier: renew the card")
    return leaf.not_before, leaf.not_after


def _check_authority(authority: Certificate, below: int, when: datetime) -> Window:
    """An authority with `below` other authorities between it and the leaf."""
    what = "an authority's certificate of the path"
    _check_dates(authority, when, what, "install the authority's present certificate")
    _check_extensions(authority, what)
    if not authority.is_authority or "key_cert_sign" not in authority.key_usage:
        raise TrustError(f"{what} is not allowed to issue certificates")
    if authority.path_length is not None and below > authority.path_length:
        raise TrustError(f"{what} allows fewer authorities below it than the path has")
    return authority.not_before, authority.not_after


def _check_dates(certificate: Certificate, when: datetime, what: str, remedy: str) -> None:
    if when < certificate.not_before:
        raise TrustError(
            f"{what} is not valid before {certificate.not_before:%Y-%m-%d}: check the clock or {remedy}"
        )
    if when > certificate.not_after:
        raise TrustError(
            f"{what} expired on {certificate.not_after:%Y-%m-%d}: {remedy}", code="certificate-expired"
        )


def _check_extensions(certificate: Certificate, what: str) -> None:
    for extension in certificate.extensions:
        if extension.oid == ExtensionOID.NAME_CONSTRAINTS:
            raise TrustError(f"{what} carries name constraints, which this profile does not allow")
        if extension.critical and extension.oid not in UNDERSTOOD:
            raise TrustError(f"{what} carries an unknown critical extension ({extension.oid.dotted_string})")
        if isinstance(extension.value, x509.ExtendedKeyUsage):
            _check_extended_usage(extension.value, what)


def _check_extended_usage(usage: x509.ExtendedKeyUsage, what: str) -> None:
    """Extended usage may only narrow to mail or client authentication (RFC 5280 4.2.1.12)."""
    if not {ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH} & set(usage):
        raise TrustError(f"{what} is not made for this use (extendedKeyUsage)")


def _read_folder(folder: Path, label: str, files: dict[bytes, Path]) -> list[bytes]:
    """The DER contents of every .pem, .der, .crt or .crl file of a folder, by name; `files` says of which."""
    found: list[bytes] = []
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if path.suffix in {".pem", ".der", ".crt", ".crl"}:
            here = _read_file(path, label)
            files.update(dict.fromkeys(here, path))
            found.extend(here)
    return found


def _read_file(path: Path, label: str) -> list[bytes]:
    data = path.read_bytes()
    if not data.startswith(b"-----BEGIN"):
        return [data]
    try:
        if label == "CERTIFICATE":
            return [certificate.public_bytes(_DER) for certificate in x509.load_pem_x509_certificates(data)]
        return [x509.load_pem_x509_crl(data).public_bytes(_DER)]
    except ValueError:
        raise TrustError(f"{path.name} holds no readable {label}: install it again") from None
