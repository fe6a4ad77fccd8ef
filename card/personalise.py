"""From a profile to a card image, and back: what a card factory and its inspection desk do.

personalise(load_profile("vitale-family"), FileStorage("vitale.img"), issuer, now)
card = open_card(FileStorage("vitale.img"))      # power_on / transmit / power_off
read_image(FileStorage("vitale.img"))            # what is on it, in words
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from card.applets.assembly import assemble
from card.applets.cps import cps_card
from card.applets.vitale import vitale_card
from card.inspection import read_memory
from card.kernel.blueprint import CardSpec, image_items
from card.kernel.errors import ImageError
from card.kernel.filesystem import DfSpec, EfSpec
from card.kernel.memory import Memory
from card.kernel.storage import FileStorage
from card.layout import cps, vitale
from card.layout.tree import Df, Ef
from card.profile import CpsProfile, InsuredProfile, Profile
from card.profile_toml import ProfileError, list_outcomes, list_profiles, load_profile

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from card.issuer import TestIssuer
    from card.kernel.os import CardOS
    from card.kernel.storage import Storage

__all__ = [  # all that a bench needs to make a card and open it
    "FileStorage",
    "ImageError",
    "ProfileError",
    "list_outcomes",
    "list_profiles",
    "load_profile",
    "open_card",
    "personalise",
    "read_image",
]

_DF_ACL = bytes.fromhex("7AFFFFFFFF45")  # nothing but deletion of children by the issuer
PIN, PUK = b"1234", b"12345678"  # the defaults of the public ANS test program


def personalise(
    profile: Profile,
    storage: Storage,
    issuer: TestIssuer,
    now: datetime,
    *,
    key_source: Callable[[], RSAPrivateKey] | None = None,
    compatible: bool = False,
) -> None:
    """Make the card of `profile` in `storage`, in place of whatever was there.

    `now` (with a timezone) is the moment of issue; `key_source` gives RSA-2048 keys (generated when None);
    `compatible` lets OpenSC use the signature key and the PUK of a CPS. Raises ProfileError when the
    profile is a paper attestation or is no longer valid (a profile with an outcome may be meant to be).
    """
    ends = profile.valid_to if isinstance(profile, CpsProfile | InsuredProfile) else date.max
    if now.date() > ends and profile.outcome is None:
        raise ProfileError(f"profile {profile.name}, field card.end: the card would have expired already")
    if key_source is None:
        from card.issuer import generate_key  # noqa: PLC0415 - start-up time of the command line

        key_source = generate_key
    if profile.foreign:
        issuer = type(issuer).make(now=now, rng=issuer.rng, key_source=key_source)
    if isinstance(profile, CpsProfile):
        spec = _cps(profile, issuer, now, key_source, compatible=compatible)
    elif isinstance(profile, InsuredProfile) and profile.kind == "vitale":
        spec = _vitale(profile, issuer, key_source)
    else:
        raise ProfileError(f"profile {profile.name} is a paper attestation: there is no card to make")
    Memory.create(storage, image_items(spec))


def open_card(storage: Storage, rng: Callable[[int], bytes] = os.urandom) -> CardOS:
    """The card in `storage`; raises ImageError when the image is not sound."""
    return assemble(Memory(storage), rng)


def read_image(storage: Storage) -> dict[str, object]:
    """What is on the card, ready for JSON: names and numbers included, secrets and keys left out.

    Raises ImageError when the image is not sound.
    """
    return read_memory(Memory(storage))


def vitale_content(profile: InsuredProfile, certificate: bytes) -> vitale.VitaleContent:
    """What a Vitale made for `profile` carries."""
    people = profile.people
    return vitale.VitaleContent(
        serial=profile.serial,
        valid_from=profile.valid_from,
        holders=tuple(vitale.Holder(one.name, one.first_name, one.birth_date) for one in people),
        nirs=tuple(one.nir or profile.nir for one in people),
        certificate=certificate,
        rights=profile.groups(),
    )


def cps_content(
    profile: CpsProfile, signature_certificate: bytes, authentication_certificate: bytes
) -> cps.CpsContent:
    """What a CPS made for `profile` carries; the certificates are DER."""
    return cps.CpsContent(
        serial=profile.serial,
        card=cps.CardId(
            profile.category, profile.card_type, profile.number, profile.valid_from, profile.valid_to
        ),
        holder=cps.HolderName(
            "8",
            profile.rpps,
            profile.civility,
            profile.last_name,
            profile.first_name,
            profile.profession,
        ),
        info=cps.ProfessionalInfo(profile.national_id, profile.profession, profile.specialty),
        activities=tuple(
            cps.Activity(
                situation.group.get("mode"),
                situation.group.get("structure_name"),
                situation.group.get("structure_id_type") + situation.group.get("structure_id"),
                situation.rpps_sector,
            )
            for situation in profile.situations
        ),
        situations=tuple(situation.group for situation in profile.situations),
        signature_certificate=signature_certificate,
        authentication_certificate=authentication_certificate,
    )


def _vitale(profile: InsuredProfile, issuer: TestIssuer, key_source: Callable[[], RSAPrivateKey]) -> CardSpec:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - start-up time

    key = key_source()
    serial = bytes.fromhex(profile.serial)
    modulus = key.public_key().public_numbers().n.to_bytes(256, "big")
    certificate = issuer.issue_vitale(serial, modulus, profile.valid_to)
    return vitale_card(
        serial=serial,
        root=_df(vitale.vitale_tree(vitale_content(profile, certificate))),
        application=vitale.FID_DF_VITALE,
        seal_key=_pkcs8(key),
        trust=(issuer.cps.certificate.public_bytes(Encoding.DER),),
    )


def _cps(
    profile: CpsProfile,
    issuer: TestIssuer,
    now: datetime,
    key_source: Callable[[], RSAPrivateKey],
    *,
    compatible: bool,
) -> CardSpec:
    from card.issuer import Practitioner  # noqa: PLC0415 - start-up time

    signature, authentication = key_source(), key_source()
    holder = Practitioner(profile.title, profile.last_name, profile.first_name, profile.national_id)
    certificates = issuer.issue_cps(
        holder,
        signature.public_key(),
        authentication.public_key(),
        datetime.combine(min(now.astimezone(UTC).date(), profile.valid_to), time.min, UTC),
        datetime.combine(profile.valid_to, time(23, 59, 59), UTC),
        profile.certificate_serial,
    )
    content = cps_content(profile, *certificates)
    return cps_card(
        serial=cps.serial_object(profile.serial),
        root=_df(cps.cps_tree(content, compatible=compatible)),
        signature_key=_pkcs8(signature),
        authentication_key=_pkcs8(authentication),
        pin=PIN,
        puk=PUK,
        pin_tries=profile.pin_tries,
        second_face=_df(cps.second_face(content)),
        compatible=compatible,
    )


def _pkcs8(key: RSAPrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - start-up time

    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _df(df: Df) -> DfSpec:
    """A neutral directory as the kernel wants it."""
    children = tuple(_ef(child) if isinstance(child, Ef) else _df(child) for child in df.children)
    return DfSpec(df.fid, df.aid, df.acl or _DF_ACL, children, fcp=df.fcp)


def _ef(ef: Ef) -> EfSpec:
    """A neutral file as the kernel wants it."""
    return EfSpec(
        ef.fid,
        ef.kind,
        ef.size or len(ef.content),
        ef.record_size,
        ef.content,
        ef.acl,
        ef.sfi,
        fcp=ef.fcp,
    )
