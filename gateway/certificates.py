"""Certificates over the years: which one is in force, what ends soon, and whether the next pair is good.

Old and new stand side by side for a while: a lot is encrypted to the newest certificate of the receiver whose
days have begun, a return is opened with whichever key of the practice it was made for. Thirty days before
anything ends (a list of revoked cards, which lives for days: in the last third of its life) it is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gateway.clock import Rng
from gateway.cms.enveloped import DecryptionKey, decrypt, encrypt
from gateway.cms.policy import Policy
from gateway.errors import InputError, TrustError
from gateway.pki import Certificate, Purpose, Trust
from gateway.practice import Practice

WARNING = timedelta(days=30)
"""How long before its end a certificate is spoken of."""

_DAY = timedelta(days=1)
_REHEARSAL = b"rehearsal of a new pair"
_TRIAL = OAEP(MGF1(SHA256()), SHA256(), None)


@dataclass(frozen=True, slots=True)
class Expiry:
    """One thing that ends: what it is, its file where known, its last moment, whole days left (< 0: over).

    `says` is one sentence with the remedy; `is_near` is True from the day on which it has to be said.
    """

    what: str
    path: str
    ends: datetime
    days_left: int
    says: str
    is_near: bool


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A new pair that is good: from when to when it is in force, and what to know before."""

    begins: datetime
    ends: datetime
    remarks: tuple[str, ...]


# What is in force


def receiver_in_force(practice: Practice, now: datetime) -> bytes:
    """The receiver's certificate (DER) to encrypt to: the newest whose days have begun and that is trusted.

    TrustError says what is wrong with the newest when none is good.
    """
    known = [Certificate.parse(der) for der in (practice.receiver_certificate, *practice.other_receivers)]
    begun = [one for one in known if one.not_before <= now] or known
    newest, *older = sorted(begun, key=lambda one: one.not_before, reverse=True)
    try:
        return practice.trust.validate(newest.der, now, Purpose.RECEIVER_ENCRYPTION).der
    except TrustError:
        for certificate in older:
            with suppress(TrustError):
                return practice.trust.validate(certificate.der, now, Purpose.RECEIVER_ENCRYPTION).der
        raise


def keys_of(practice: Practice) -> tuple[DecryptionKey, ...]:
    """Every key that a return may have been made for, the newest first."""
    keys = (practice.decryption, *practice.other_keys)
    return tuple(sorted(keys, key=lambda one: Certificate.parse(one.certificate).not_before, reverse=True))


# What ends


def expiries(practice: Practice, now: datetime, cps: bytes | None = None) -> list[Expiry]:
    """Everything that ends, the next end first. `cps`: the certificate (DER) of the CPS in its slot.

    Of certificates that overlap, those that a newer one has taken over from are over without a word.
    """
    receivers = (practice.receiver_certificate, *practice.other_receivers)
    own = tuple(key.certificate for key in keys_of(practice))
    found = [
        *_certificates("the receiver's certificate", receivers, practice, now),
        *_certificates("the certificate of the practice", own, practice, now),
        *_authorities(practice.trust, now),
        *_lists(practice.trust, now),
    ]
    if cps is not None:
        found += _certificates("the certificate of the CPS in its slot", (cps,), practice, now)
    return sorted(found, key=lambda one: one.ends)


_REMEDIES: Mapping[str, str] = {
    "the receiver's certificate": "fetch the receiver's new one and add it to [receiver] certificate",
    "the certificate of the practice": "have a new pair issued and add it to [practice] certificate and key",
    "the certificate of the CPS in its slot": "order a new card",
}


def _certificates(what: str, encoded: Sequence[bytes], practice: Practice, now: datetime) -> Iterator[Expiry]:
    """The latest end of this kind: the older ones no longer matter once a newer one is in force."""
    known = [Certificate.parse(der) for der in encoded]
    last = max(known, key=lambda one: one.not_after)
    path = str(practice.files.get(last.der, ""))
    yield _expiry(what, path, last.not_after, now, _REMEDIES[what])


def _authorities(trust: Trust, now: datetime) -> Iterator[Expiry]:
    for authority in trust.authorities:
        what = f"the authority's certificate {authority.common_name}".rstrip()
        path = str(trust.files.get(authority.der, ""))
        yield _expiry(what, path, authority.not_after, now, "install the authority's new certificate")


def _lists(trust: Trust, now: datetime) -> Iterator[Expiry]:
    for name, crl in trust.newest_lists(now):
        what = f"the revocation list of {name}".rstrip()
        path = str(trust.files.get(crl.der, ""))
        ahead = min(WARNING, (crl.next_update - crl.this_update) / 3)
        yield _expiry(what, path, crl.next_update, now, "fetch the new list", ahead)


def _expiry(
    what: str, path: str, ends: datetime, now: datetime, remedy: str, ahead: timedelta = WARNING
) -> Expiry:
    left = ends - now
    days = left // _DAY
    if left < timedelta():
        says = f"{what} ended on {ends:%Y-%m-%d}: {remedy}"
    elif days == 0:
        says = f"{what} ends within a day ({ends:%Y-%m-%d %H:%M} UTC): {remedy}"
    else:
        says = f"{what} ends in {days} day{'s' * (days > 1)} ({ends:%Y-%m-%d}): {remedy}"
    return Expiry(what, path, ends, days, says, left <= ahead)


# The next pair


def rehearse_own(
    certificate: Path, key: Path, trust: Trust, policy: Policy, now: datetime, rng: Rng, held: bytes
) -> Rehearsal:
    """Try a new pair of the practice before it is in force: it opens what is made for it, and is believed.

    `held`: the present certificate (DER). InputError or TrustError say what is wrong, file first.
    """
    pair = load_pair(certificate, key)
    try:
        sealed = encrypt(_REHEARSAL, pair.certificate, policy, rng)
        opened = decrypt(sealed, pair, policy)
    except TrustError as wrong:
        raise TrustError(f"{certificate}: {wrong}", code=wrong.code) from None
    if opened != _REHEARSAL:
        raise InputError(f"{key} does not open what is made for {certificate}: ask for another pair")
    return _rehearsed(certificate, pair.certificate, trust, Purpose.PRACTICE_ENCRYPTION, now, held)


def rehearse_receiver(
    certificate: Path, trust: Trust, policy: Policy, now: datetime, rng: Rng, held: bytes
) -> Rehearsal:
    """Try a new certificate of the receiver before it is in force: a lot can be encrypted to it."""
    encoded = load_certificate(certificate)
    try:
        encrypt(_REHEARSAL, encoded, policy, rng)
    except TrustError as wrong:
        raise TrustError(f"{certificate}: {wrong}", code=wrong.code) from None
    return _rehearsed(certificate, encoded, trust, Purpose.RECEIVER_ENCRYPTION, now, held)


def _rehearsed(
    path: Path, encoded: bytes, trust: Trust, purpose: Purpose, now: datetime, held: bytes
) -> Rehearsal:
    try:
        new = trust.rehearse(encoded, now, purpose)
    except TrustError as wrong:
        raise TrustError(f"{path}: {wrong}", code=wrong.code) from None
    return Rehearsal(new.not_before, new.not_after, tuple(_remarks(new, Certificate.parse(held), now)))


def _remarks(new: Certificate, old: Certificate, now: datetime) -> Iterator[str]:
    if new.der == old.der:
        yield "this is the certificate that is in the settings already"
        return
    if new.not_before > old.not_after:
        yield (
            f"nothing is in force from {old.not_after:%Y-%m-%d} to {new.not_before:%Y-%m-%d}: "
            "ask for one that begins earlier"
        )
    if new.not_after <= old.not_after:
        yield f"it ends on {new.not_after:%Y-%m-%d}, no later than the present one: is it really the new one?"
    if new.public_key.public_numbers() == old.public_key.public_numbers():
        yield "it holds the same key as the present one: a new certificate usually comes with a new key"
    if new.not_before > now:
        yield f"it takes over by itself on {new.not_before:%Y-%m-%d}: name it in the settings beside the old"


# Reading


def load_certificate(path: Path) -> bytes:
    """One certificate in PEM as DER; InputError names the file."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    except OSError as problem:
        raise _unreadable(path, problem) from None
    except ValueError:
        raise InputError(f"{path} is not a certificate in PEM: correct its path in the settings") from None


def load_pair(certificate: Path, key: Path) -> DecryptionKey:
    """A key and its certificate, both PEM; InputError names the file that is not good."""
    private, encoded = _load_key(key), load_certificate(certificate)
    if x509.load_der_x509_certificate(encoded).public_key() != private.public_key():
        raise InputError(
            f"{key} is not the key of {certificate}: correct one of the two paths in the settings"
        )
    return DecryptionKey(private, encoded)


def _unreadable(path: Path, problem: OSError) -> InputError:
    return InputError(
        f"{path} cannot be read ({problem.strerror}): correct its rights, or its path in the settings"
    )


def _load_key(path: Path) -> RSAPrivateKey:
    """An RSA key; that it opens what its own public half closes is tried, which takes 0.3 ms.

    The library's check of the primes takes 30 ms, and half a minute for a thousand practices.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
        if isinstance(key, RSAPrivateKey):
            key.decrypt(key.public_key().encrypt(_REHEARSAL, _TRIAL), _TRIAL)
            return key
    except OSError as problem:
        raise _unreadable(path, problem) from None
    except (ValueError, TypeError):
        pass
    raise InputError(f"{path} is not an RSA key in PEM: correct its path in the settings")
