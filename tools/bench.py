"""A whole test world under one directory: authority, cards, a practice. For demo, run, load and tests."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from card.kernel.storage import FileStorage
from card.personalise import load_profile, open_card, personalise
from gateway.billing.tables import Tables
from gateway.clock import Clock, SystemClock, system_rng
from gateway.cms.policy import policy_named
from gateway.pki import OppositionList
from gateway.pki.opposition import Opposition, encode_base
from gateway.practice import Practice
from gateway.secret import Secret
from gateway.store.store import Store
from tools.pki import Authority

if TYPE_CHECKING:
    from card.kernel.os import CardOS

TEST_PIN = Secret(b"1234")
PRACTICE = "demo"
ADDRESS = "cabinet@practice.test"


@dataclass
class Bench:
    """Directories: `authority`, `cards`, `mailbox`, `receiver`, and the gateway's store."""

    root: Path
    clock: Clock = field(default_factory=SystemClock)
    policy: str = "modern"

    def __post_init__(self) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.authority = Authority.open(self.directory("authority"), self.clock.now())
        self.write_opposition([])

    def directory(self, name: str) -> Path:
        """A sub-directory of the world; not created here."""
        return self.root / name

    @property
    def opposition_file(self) -> Path:
        """Where the opposition list is kept."""
        return self.root / "opposition.txt"

    @property
    def store_url(self) -> str:
        """The gateway's store."""
        return f"sqlite:///{self.root / 'gateway.db'}"

    def write_opposition(self, entries: list[Opposition]) -> None:
        """Publish a complete, fresh opposition list."""
        known = OppositionList.load(self.opposition_file).number if self.opposition_file.exists() else 0
        OppositionList.parse(encode_base(known + 1, self.clock.now(), entries)).save(self.opposition_file)

    def card_file(self, profile: str) -> Path:
        """The image of the card of this profile."""
        return self.directory("cards") / f"{profile}.card"

    def make_cards(self, profiles: Iterable[str]) -> None:
        """Personalise the cards that do not exist yet, side by side (key generation leaves Python)."""
        self.directory("cards").mkdir(mode=0o700, exist_ok=True)
        missing = [profile for profile in profiles if not self.card_file(profile).exists()]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._make_card, missing))

    def _make_card(self, profile: str) -> None:
        storage = FileStorage(self.card_file(profile))
        personalise(load_profile(profile), storage, self.authority.issuer, self.clock.now())

    def card(self, profile: str) -> CardOS:
        """The card of this profile, ready for a slot."""
        return open_card(FileStorage(self.card_file(profile)))

    def practice(self, store: Store | None = None, *, practice: str = PRACTICE) -> Practice:
        """The practice at work, on its own durable store."""
        keys = self.authority.receiver_keys()
        return Practice(
            id=practice,
            address=ADDRESS,
            store=store if store is not None else Store(self.store_url, self.clock),
            clock=self.clock,
            rng=system_rng,
            tables=Tables.load(),
            trust=self.authority.trust(),
            vitale_authority=self.authority.vitale_authority(),
            opposition=OppositionList.load(self.opposition_file),
            policy=policy_named(self.policy),
            receiver_certificate=keys.decryption.certificate,
            decryption=self.authority.practice_keys(practice).decryption,
        )
