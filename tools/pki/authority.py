"""A whole test authority in one directory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.cms.enveloped import DecryptionKey
from gateway.cms.signed import SoftwareSigner
from gateway.pki import Trust, VitaleAuthority


@dataclass(frozen=True)
class ReceiverKeys:
    """What the mock receiver holds: its signer and its decryption key (certificates inside, DER)."""

    signer: SoftwareSigner
    decryption: DecryptionKey


@dataclass(frozen=True)
class PracticeKeys:
    """What a practice holds to open receipts and payments."""

    decryption: DecryptionKey


class Authority:
    """Roots, issuing authorities, receiver and practice keys, revocation lists, the Vitale authority."""

    @classmethod
    def create(cls, directory: Path, now: datetime) -> Authority:
        """Make everything new under `directory` (0700)."""
        raise NotImplementedError

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """Read a directory made by `create`."""
        raise NotImplementedError

    def trust(self) -> Trust:
        """What gateway and receiver believe."""
        raise NotImplementedError

    def vitale_authority(self) -> VitaleAuthority:
        """Checks Vitale certificates of this authority."""
        raise NotImplementedError

    def receiver_keys(self) -> ReceiverKeys:
        """The receiver's signer and decryption key."""
        raise NotImplementedError

    def practice_keys(self, practice: str) -> PracticeKeys:
        """The decryption key of a practice, issued at first use."""
        raise NotImplementedError

    def renew_crls(self, now: datetime) -> None:
        """Publish fresh revocation lists."""
        raise NotImplementedError

    def software_cps(self, national_id: str, now: datetime) -> SoftwareSigner:
        """A CPS signature key in software, for tests and load: same certificate as a card's."""
        raise NotImplementedError
