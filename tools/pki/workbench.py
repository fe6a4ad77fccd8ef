"""A ready test authority with two practitioners and the receiver, for tests and measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from gateway.cms.signed import SoftwareSigner
from gateway.pki import Trust
from tools.pki.authority import Authority, ReceiverKeys
from tools.pki.broken import HOLDER, Breaker, Broken
from tools.pki.keys import numbered_key, pooled_keys

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CONTENT = b"TEST lot 001 " * 40
OTHER_HOLDER = "899700000020"


@dataclass(frozen=True)
class Workbench:
    """One authority at one moment. `cps` and `other` are software CPS of two practitioners."""

    authority: Authority
    trust: Trust
    cps: SoftwareSigner
    other: SoftwareSigner
    receiver: ReceiverKeys
    now: datetime = NOW
    key: RSAPrivateKey = field(repr=False, default_factory=lambda: numbered_key(6))
    """The private key of `cps`, for what a signer would refuse to do."""

    def broken(self, name: str) -> Broken:
        """A deliberately broken certificate of this bench (names: tools.pki.broken.EDITS)."""
        return Breaker(self.authority, self.now, self.key).make(name)

    @classmethod
    def make(cls, directory: Path, *, first_key: int = 0, now: datetime = NOW) -> Workbench:
        """A new bench under `directory`; equal `first_key` shares keys inside one process."""
        authority = Authority.create(directory / "authority", now, key_source=pooled_keys(first_key))
        cps, other = (authority.software_cps(holder, now) for holder in (HOLDER, OTHER_HOLDER))
        key = numbered_key(first_key + 6)
        return cls(authority, authority.trust(), cps, other, authority.receiver_keys(), now, key)
