"""The two crypto profiles, fixed in one table. Chosen per receiver, never negotiated (promise B13)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gateway.errors import InputError

MESSAGE_LIMIT = 8 * 1024 * 1024
"""Octets of a CMS message; a full file of 999 records and its certificates has 0.3 MiB."""
CLOCK_SKEW = timedelta(minutes=5)
"""How far in the reader's future a signing time may lie."""
SIGNATURE_AGE = timedelta(days=90)
"""How old a signing time may be: as long as doubles are kept and lot numbers not reused."""


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

    @property
    def is_authenticated(self) -> bool:
        """The envelope itself detects any change of its content."""
        return self.envelope == "authEnvelopedData"


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
