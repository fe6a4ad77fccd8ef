"""From file bytes to a mail and back: gzip, inner MIME part, CMS, outer MIME. Frozen once sealed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from gateway.clock import Rng
from gateway.lots.lot import Lot

if TYPE_CHECKING:
    from gateway.cms.enveloped import DecryptionKey
    from gateway.cms.policy import Policy
    from gateway.cms.signed import Signer, VerifiedSigner
    from gateway.pki.certificate import Purpose
    from gateway.pki.trust import Trust


@dataclass(frozen=True, slots=True)
class Envelope:
    """The outside of one mail: addresses, the 14-digit sender, the compostage (19), count and description."""

    sender: str
    recipient: str
    sender_number: str
    compostage: str
    count: int
    description: str


@dataclass(frozen=True, slots=True)
class SealedLot:
    """A lot fixed for ever: `message` are the bytes of every sending, `digest` is the SHA-256 of the file.

    `id`: "<sender 14>-<file id>-<compostage>", the identity the receiver deduplicates on.
    """

    id: str
    lot_number: int
    lot_date: date
    file_id: str
    compostage: str
    count: int
    sender: str
    recipient: str
    digest: bytes
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A mail opened: its outside, the payload, and who signed it (None in the profile `sesam`)."""

    envelope: Envelope
    payload: bytes = field(repr=False)
    signer: VerifiedSigner | None


def seal(
    lot: Lot,
    *,
    sender: str,
    recipient: str,
    recipient_certificate: bytes,
    policy: Policy,
    signer: Signer | None,
    rng: Rng,
    now: datetime,
) -> SealedLot:
    """Seal one lot for one recipient under one policy. `signer` is required where the policy signs."""
    raise NotImplementedError


def seal_content(
    payload: bytes,
    envelope: Envelope,
    *,
    recipient_certificate: bytes,
    policy: Policy,
    signer: Signer | None,
    rng: Rng,
    now: datetime,
) -> bytes:
    """Any payload (file, ARL, NOEMIE return) as the bytes of one mail."""
    raise NotImplementedError


def open_sealed(
    message: bytes,
    *,
    key: DecryptionKey,
    policy: Policy,
    trust: Trust,
    purpose: Purpose,
    when: datetime,
    limit: int = 4 * 1024 * 1024,
) -> Opened:
    """Open one mail. Everything that fails here is the one opaque LotRefusal of class E (promise A9)."""
    raise NotImplementedError
