"""A whole test world under one directory: authority, cards, a practice. For demo, run, load and tests.

`python -m tools.bench FOLDER` makes one for `vitale-gateway`, settings included; run again, it publishes
fresh revocation and opposition lists and changes nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from card.issuer import IssuerError
from card.kernel.errors import ImageError
from card.kernel.storage import FileStorage
from card.personalise import list_outcomes, load_profile, open_card, personalise
from card.profile import InsuredProfile
from gateway.billing.tables import Tables
from gateway.clock import Clock, SystemClock, system_rng
from gateway.cms.policy import policy_named
from gateway.config import example_config
from gateway.errors import GatewayError
from gateway.exchange.calendar import legal_day
from gateway.pki import OppositionList
from gateway.pki.opposition import Opposition, encode_base
from gateway.practice import Practice
from gateway.secret import Secret
from gateway.store.store import Store
from reader.console import finish
from tools.pki import Authority

if TYPE_CHECKING:
    from card.kernel.os import CardOS

TEST_PIN = Secret(b"1234")
PRACTICE = "demo"
ADDRESS = "cabinet@practice.test"
PORTAL_PORT = 8425
"""Where the receiver's web portal listens unless told otherwise."""


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
        """Publish a complete, fresh opposition list: the shipped stolen cards are always on it."""
        listed = {one.serial: one for one in (*stolen_cards(), *entries)}
        known = OppositionList.load(self.opposition_file).number if self.opposition_file.exists() else 0
        OppositionList.parse(encode_base(known + 1, self.clock.now(), [*listed.values()])).save(
            self.opposition_file
        )

    def card_file(self, profile: str) -> Path:
        """The image of the card of this profile; `NAME#2` is a second card, with a key of its own."""
        return self.directory("cards") / f"{profile}.card"

    def make_cards(self, profiles: Iterable[str]) -> None:
        """Personalise the cards that do not exist yet, side by side (key generation leaves Python)."""
        self.directory("cards").mkdir(mode=0o700, exist_ok=True)
        missing = [profile for profile in profiles if not self.card_file(profile).exists()]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._make_card, missing))

    def _make_card(self, profile: str) -> None:
        storage = FileStorage(self.card_file(profile))
        now = self.clock.now()
        personalise(
            load_profile(profile.partition("#")[0], legal_day(now)), storage, self.authority.issuer, now
        )

    def card(self, profile: str) -> CardOS:
        """The card of this profile, ready for a slot; ImageError names the file that is not sound."""
        file = self.card_file(profile)
        try:
            return open_card(FileStorage(file))
        except ImageError as wrong:
            raise ImageError(f"{file}: {wrong}") from None

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

    def write_settings(self, port: int, api: int = 0) -> Path:
        """`vitale-gateway.toml` for this world, the receiver on `port` of loopback; kept if it is there.

        `api`: the port of the gateway's HTTP API, 0 for none.
        """
        target = self.root / "vitale-gateway.toml"
        if target.exists():
            return target
        self.authority.practice_keys(PRACTICE)
        text = example_config()
        for example, here in _SETTINGS.items():
            assert f'"{example}"' in text, f"the example settings have no {example}"
            text = text.replace(f'"{example}"', f'"{here}"')
        text = text.replace("port = 2525", f"port = {port}")
        if api:
            text += f'\n[api]\nport = {api}\ntokens = "tokens.json"\n'
        target.write_text(text, encoding="utf-8")
        return target


_SETTINGS = {
    "cabinet": PRACTICE,
    "cabinet@practice.test": ADDRESS,
    "keys/cabinet.cert.pem": f"authority/practices/{PRACTICE}.cert.pem",
    "keys/cabinet.key.pem": f"authority/practices/{PRACTICE}.key.pem",
    "cards/vitale.card": "cards/vitale-single.card",
    "cards/cps.card": "cards/cps-gp-sector1.card",
    "trust/receiver.cert.pem": "authority/receiver-encryption.cert.pem",
    "trust": "authority/trust",
    "var/mailbox": "mailbox",
    "var/inbox": "inbox",
    "sqlite:///var/gateway.db": "sqlite:///gateway.db",
}


def stolen_cards() -> list[Opposition]:
    """The shipped cards that are on every opposition list of the bench."""
    profiles = [load_profile(name) for name in list_outcomes()]
    return [
        Opposition(profile.serial, profile.valid_from, profile.opposed)
        for profile in profiles
        if isinstance(profile, InsuredProfile) and profile.opposed
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make or refresh a world; exit code 1 with one sentence when that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where everything is made")
    parser.add_argument("--port", type=int, default=2525, help="where the receiver will listen")
    parser.add_argument("--api", type=int, default=0, metavar="PORT", help="offer the HTTP API there")
    options = parser.parse_args(arguments)
    if not (1 <= options.port <= 65535 and 0 <= options.api <= 65535):
        parser.error("--port is a number from 1 to 65535, --api too, or 0 for none")
    return finish("bench", lambda: _make(options), (GatewayError, IssuerError, ImageError))


def _make(options: argparse.Namespace) -> int:
    folder, port = options.folder, options.port
    bench = Bench(folder)
    bench.authority.renew_crls(bench.clock.now())
    bench.make_cards(["cps-gp-sector1", "vitale-single"])
    settings, place = bench.write_settings(port, options.api), quote(str(folder))
    print(f"authority, cards, lists and settings are ready in {folder} (PIN 1234); next, in two terminals:")
    print(
        f"  python -m tools.receiver serve --authority {place}/authority --state {place}/receiver "
        f"--maildir {place}/mailbox --practice {PRACTICE} --port {port} "
        f"--opposition {place}/opposition.txt --portal {PORTAL_PORT}"
    )
    print(f"  vitale-gateway serve --config {quote(str(settings))}")
    print(f"access codes of the web portal: python -m tools.receiver codes --state {place}/receiver")
    return 0


if __name__ == "__main__":
    sys.exit(main())
