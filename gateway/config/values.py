"""The settings of one gateway as frozen values. A database's password is secret here, and never shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import InputError

ZONES = ("metropole", "antilles", "guyane_reunion", "mayotte")
POLICIES = ("modern", "sesam")
LEGAL_RETENTION_DAYS = 90

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


@dataclass(frozen=True, slots=True)
class PracticeConfig:
    """Who bills. `id` is a short name without any person's name in it.

    `practitioners`: national ids (8 and the RPPS number) whose CPS may work here; empty: every valid CPS.
    `other_certificates`, `other_keys`: pairs that stand beside the first while an old and a new one overlap.
    `mailbox`, `inbox`, `paper`: its own folders. `holidays`: the territory whose public holidays count there,
    "" when the zone tells it.
    """

    id: str
    address: str
    practitioners: tuple[str, ...]
    zone: str
    optam: bool
    certificate: Path
    key: Path
    mailbox: Path
    inbox: Path
    paper: Path
    other_certificates: tuple[Path, ...] = ()
    other_keys: tuple[Path, ...] = ()
    holidays: str = ""


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """Which reader driver, and what it is given for its slots (Vitale, then CPS).

    `alone` (PC/SC): other programs cannot connect to a card while the gateway has a session with it.
    `practice`: whose reader it is; `name`: what it is called among the readers of one store.
    """

    driver: str
    slots: tuple[str, ...]
    alone: bool = False
    practice: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """Where lots go: the relay, the cryptographic profile and the certificate that lots are encrypted to.

    `sends`: False when another gateway of the same store sends and collects. `other_certificates` of the
    receiver stand beside the first while an old and a new one overlap.
    """

    host: str
    port: int
    allow_remote: bool
    policy: str
    certificate: Path
    sends: bool = True
    other_certificates: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class PublisherConfig:
    """Who is asked for newer opposition lists, every so many minutes (0: at every turn).

    `allow_remote`: it may be on another machine.
    """

    url: str
    allow_remote: bool
    minutes: int


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """The durable state. `key`: the file of its key, `keyring:NAME`, or "" for that beside a SQLite store.

    `owner`: the name of this gateway among those that share the store.
    """

    url: str = field(repr=False)
    retention_days: int
    key: str = ""
    owner: str = "gateway"

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return _PASSWORD.sub(r"\1:…@", self.url)

    @property
    def is_shared(self) -> bool:
        """Whether several gateways may work on it at a time."""
        return self.url.startswith("postgresql")


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Where practice software finds the HTTP API, who may use it, and how long one PIN is good there.

    `tokens`: a file that holds digests only. `sheets`: FSE signed before the PIN is asked again.
    """

    address: str
    port: int
    allow_remote: bool
    tokens: Path
    session_minutes: int
    session_sheets: int


@dataclass(frozen=True, slots=True)
class PageConfig:
    """The practice's page at the port of the API. `language`: fr or en, until a person chooses.

    `hosts`: the names under which a TLS proxy offers it to browsers; this machine's own need no mention.
    """

    language: str
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is told while the gateway works. `file`: where it goes; None: standard output.

    `level`: debug, info, warning or error; `format`: plain, text or json.
    """

    level: str = "info"
    format: str = "plain"
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class AgentsConfig:
    """Where reader agents arrive (TLS 1.3), the gateway's own pair there, and the authority of them all.

    The authority's key and the register of agents lie beside its certificate (`gateway.agent.authority`).
    """

    address: str
    port: int
    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class Config:
    """Everything `vitale-gateway` needs to know before it starts.

    A gateway without `readers` is a worker: it sends and collects for its practices, and makes no sheet with
    cards.
    """

    practices: tuple[PracticeConfig, ...]
    readers: tuple[ReaderConfig, ...]
    receiver: ReceiverConfig
    store: StoreConfig
    trust: Path
    opposition: Path
    lot_after_minutes: int
    publisher: PublisherConfig | None = None
    api: ApiConfig | None = None
    page: PageConfig | None = None
    log: LogConfig = LogConfig()
    agents: AgentsConfig | None = None

    @property
    def practice(self) -> PracticeConfig:
        """The first practice."""
        return self.practices[0]

    @property
    def reader(self) -> ReaderConfig:
        """The reader of the first practice that has one; InputError when this gateway has none."""
        if not self.readers:
            raise InputError("there is no section [reader] in the settings: add it, or use another gateway")
        return self.readers[0]

    @property
    def store_url(self) -> str:
        """Where the store is, its password included."""
        return self.store.url

    @property
    def retention_days(self) -> int:
        """How long doubles and receipts are kept."""
        return self.store.retention_days

    def practice_named(self, practice: str) -> PracticeConfig:
        """One practice; InputError when the settings do not have it."""
        for one in self.practices:
            if one.id == practice:
                return one
        known = ", ".join(one.id for one in self.practices)
        raise InputError(f"there is no practice {practice!r} in the settings: they have {known}")

    def reader_of(self, practice: str) -> ReaderConfig | None:
        """The reader of one practice; None when it has none here."""
        return next((reader for reader in self.readers if reader.practice == practice), None)
