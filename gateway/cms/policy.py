"""The two crypto profiles, fixed in one table. Chosen per receiver, never negotiated (promise B13)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import InputError


@dataclass(frozen=True)
class Policy:
    """One profile: what is written, and the closed list of what is read."""

    name: str
    signed: bool
    """Lots and receipts travel as SignedData inside the envelope."""
    envelope: str
    """Content type of the envelope: `authEnvelopedData` or `envelopedData`."""
    writes: str
    """Content encryption used when writing."""
    reads: frozenset[str]
    """Content encryptions accepted when reading."""
    key_transport: str
    """`rsaes-oaep-sha256` or `rsaes-pkcs1-v1_5`."""


MODERN = Policy(
    name="modern",
    signed=True,
    envelope="authEnvelopedData",
    writes="aes256-gcm",
    reads=frozenset({"aes256-gcm"}),
    key_transport="rsaes-oaep-sha256",
)
SESAM = Policy(
    name="sesam",
    signed=False,
    envelope="envelopedData",
    writes="aes128-cbc",
    reads=frozenset({"aes128-cbc", "des-ede3-cbc"}),
    key_transport="rsaes-pkcs1-v1_5",
)

POLICIES = {policy.name: policy for policy in (MODERN, SESAM)}


def policy_named(name: str) -> Policy:
    """The profile of that name; InputError names the two that exist."""
    try:
        return POLICIES[name]
    except KeyError:
        raise InputError(f"crypto profile {name!r} does not exist: choose modern or sesam") from None
