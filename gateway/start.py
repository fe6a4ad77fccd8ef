"""From settings to a working gateway: reads keys, certificates and lists, opens store and readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gateway.api.tokens import Tokens
from gateway.billing.tables import Tables
from gateway.certificates import load_certificate, load_pair
from gateway.clock import Clock, Rng, system_rng
from gateway.cms.enveloped import DecryptionKey
from gateway.cms.policy import Policy, policy_named
from gateway.complaints import Say
from gateway.config import Config, PracticeConfig, ReaderConfig
from gateway.daemon import Daemon
from gateway.desk import Desk, Reader
from gateway.errors import InputError
from gateway.exchange.breaker import relay_line
from gateway.exchange.fetch import Fetcher
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender
from gateway.inbox import Inbox
from gateway.lease import ReaderLease
from gateway.lists import OppositionSource
from gateway.log import about
from gateway.page.codes import Codes
from gateway.pki import OppositionList, Trust, VitaleAuthority
from gateway.practice import Practice
from gateway.seat import Seat
from gateway.sitting import Sitting
from gateway.store.store import Store
from reader.agent.driver import AGENT
from reader.agent.lobby import Lobby

if TYPE_CHECKING:
    from gateway.api.app import Page
    from gateway.api.service import Service

DRIVERS = "vitale_gateway.reader_drivers"
LOOK_SECONDS = 0.4
"""Between two looks at the files of the lists, however many practices ask."""


@dataclass(frozen=True)
class Shared:
    """What every practice of one gateway uses: loaded once."""

    tables: Tables
    trust: Trust
    vitale_authority: VitaleAuthority
    opposition: OppositionList
    policy: Policy
    receivers: tuple[bytes, ...]
    files: Mapping[bytes, Path]

    @classmethod
    def load(cls, config: Config) -> Self:
        """GatewayError names the file that is missing or wrong."""
        files: dict[bytes, Path] = {}
        receiver = config.receiver
        return cls(
            tables=Tables.load(),
            trust=Trust.load(config.trust),
            vitale_authority=VitaleAuthority.load(config.trust),
            opposition=_opposition(config.opposition),
            policy=policy_named(receiver.policy),
            receivers=tuple(
                _certificate(path, files) for path in (receiver.certificate, *receiver.other_certificates)
            ),
            files=files,
        )


def open_store(config: Config, clock: Clock, rng: Rng = system_rng, *, read_only: bool = False) -> Store:
    """The store of the settings, for work or for looking only."""
    store = config.store
    return Store(store.url, clock, rng=rng, owner=store.owner, key=store.key, read_only=read_only)


def equip(
    config: Config,
    practice: PracticeConfig,
    store: Store,
    clock: Clock,
    rng: Rng,
    shared: Shared | None = None,
) -> Practice:
    """What the line needs for one practice; GatewayError names the file that is missing or wrong.

    `shared`: what was loaded already, for another practice of these settings.
    """
    common = Shared.load(config) if shared is None else shared
    files = dict(common.files)
    keys = [
        _decryption(certificate, key, files)
        for certificate, key in zip(
            (practice.certificate, *practice.other_certificates),
            (practice.key, *practice.other_keys),
            strict=True,
        )
    ]
    return Practice(
        id=practice.id,
        address=practice.address,
        clock=clock,
        rng=rng,
        tables=common.tables,
        trust=common.trust,
        vitale_authority=common.vitale_authority,
        opposition=common.opposition,
        policy=common.policy,
        receiver_certificate=common.receivers[0],
        other_receivers=common.receivers[1:],
        decryption=keys[0],
        other_keys=tuple(keys[1:]),
        files=files,
        optam=practice.optam,
        zone=practice.zone,
        holidays=practice.holidays,
        practitioners=practice.practitioners,
        store=store,
    )


def open_practice(config: Config, clock: Clock, rng: Rng, practice: str = "") -> Practice:
    """One practice of the settings (the first one when none is named), and the store."""
    chosen, shared = config.practice_named(practice) if practice else config.practice, Shared.load(config)
    store = open_store(config, clock, rng)
    try:
        return equip(config, chosen, store, clock, rng, shared)
    except BaseException:
        store.close()
        raise


def open_seats(
    config: Config, store: Store, clock: Clock, rng: Rng, say: Say, lobby: Lobby | None = None
) -> list[Seat]:
    """A seat for each practice, its reader not opened yet. `lobby`: where readers wait for their agents."""
    _fetch_first_list(config, clock, rng)
    shared, refresh, many = Shared.load(config), Refresher(config), len(config.practices) > 1
    return [
        _seat(
            config,
            equip(config, one, store, clock, rng, shared),
            _named(one.id, say) if many else say,
            refresh,
            lobby,
        )
        for one in config.practices
    ]


def _seat(config: Config, practice: Practice, say: Say, refresh: Refresher, lobby: Lobby | None) -> Seat:
    mine, reader = config.practice_named(practice.id), config.reader_of(practice.id)
    seat = Seat(
        practice,
        None,
        Inbox(mine.inbox),
        Maildir(mine.mailbox),
        say,
        refresh=refresh,
        lot_after=timedelta(minutes=config.lot_after_minutes),
        has_api=config.api is not None,
    )
    if reader is not None:
        seat.reader, seat.driver, seat.paper = reader.name, reader.driver, mine.paper
        seat.opens = partial(open_desk, config, reader, practice.clock, lobby)
        if config.store.is_shared:
            seat.lease = ReaderLease(practice.store, reader.name, practice.clock)
    return seat


def _named(practice: str, say: Say) -> Say:
    """Says which practice it is about."""

    def said(sentence: str) -> None:
        say(about(sentence, practice))

    return said


def open_desk(config: Config, reader: ReaderConfig, clock: Clock, lobby: Lobby | None = None) -> Desk:
    """The desk of one reader, with the limits of one PIN when the gateway has an API."""
    opened = open_reader(reader, lobby)
    try:
        desk = Desk(opened)
    except BaseException:
        opened.close()
        raise
    if config.api is not None:
        longest = timedelta(minutes=config.api.session_minutes)
        desk.sitting = Sitting(clock, longest, config.api.session_sheets)
    return desk


def open_reader(config: ReaderConfig, lobby: Lobby | None = None) -> Reader:
    """The reader of the settings, through the driver registered under its name; an agent's waits in
    `lobby`.
    """
    found = entry_points(group=DRIVERS)
    if config.driver not in found.names:
        known = ", ".join(sorted(found.names)) or "none is installed"
        raise InputError(f"reader driver {config.driver!r} is not known: choose one of {known}")
    driver: Callable[..., Reader] = found[config.driver].load()
    if config.driver == AGENT:
        return driver(config.slots, lobby=lobby, practice=config.practice)
    return driver(config.slots, alone=True) if config.alone else driver(config.slots)


def open_daemon(config: Config, seats: Sequence[Seat], say: Say) -> Daemon:
    """The daemon of the settings, ready to run."""
    receiver, first = config.receiver, seats[0]
    sender, again = (
        SmtpSender(receiver.host, receiver.port, allow_remote=receiver.allow_remote) for _ in range(2)
    )
    return Daemon(
        seats,
        sender,
        say,
        again=again,
        relay=relay_line(receiver.host, receiver.port),
        retention_days=config.retention_days,
        sends=receiver.sends,
        source=_source(config, lambda: first.practice.trust, first.practice.clock, first.practice.rng),
    )


def _source(config: Config, trust: Callable[[], Trust], clock: Clock, rng: Rng) -> OppositionSource | None:
    """Who is asked for newer opposition lists."""
    publisher = config.publisher
    if publisher is None:
        return None
    fetcher = Fetcher(publisher.url, allow_remote=publisher.allow_remote)
    every = timedelta(minutes=publisher.minutes)
    return OppositionSource(fetcher, config.opposition, trust, clock, rng, every)


def _fetch_first_list(config: Config, clock: Clock, rng: Rng) -> None:
    """An opposition list that is not there yet; ExchangeError or TrustError says why it cannot be fetched."""
    if config.publisher is None or config.opposition.is_file():
        return
    trust = Trust.load(config.trust)
    source = _source(config, lambda: trust, clock, rng)
    if source is not None:
        source.fetch()


@contextmanager
def api_beside(config: Config, daemon: Daemon, tokens: Tokens) -> Iterator[int]:
    """The HTTP API of the settings while the block runs; its port. InputError says what keeps it from it."""
    api = config.api
    if api is None:
        raise InputError("there is no section [api] in the settings: add it, with its port and tokens")
    try:
        from gateway.api.server import serving  # noqa: PLC0415 - the framework is an extra
        from gateway.api.service import Service  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise InputError(
            f"the API needs {missing.name}: pip install 'vitale-gateway[api]', or leave [api] out"
        ) from None
    service = Service(daemon, tokens)
    with serving(service, api.address, api.port, _page(config, service)) as port:
        yield port


def _page(config: Config, service: Service) -> Page | None:
    """The practice's page of the settings; None when they have none. InputError: an extra is missing."""
    if config.page is None or config.api is None:
        return None
    try:
        from gateway.page.site import Site  # noqa: PLC0415 - an extra, as the API is
    except ModuleNotFoundError as missing:
        raise InputError(
            f"the page needs {missing.name}: pip install 'vitale-gateway[api]', or leave [page] out"
        ) from None
    page = config.page
    return Site(service, Codes.beside(config.api.tokens), page.language, page.hosts).door()


class Refresher:
    """Reads the revocation and opposition lists again when one of their files has changed.

    One for all practices of a gateway: the files are looked at now and then, and loaded once for all.
    """

    def __init__(self, config: Config, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config, self._monotonic, self._guard = config, monotonic, threading.Lock()
        self._seen, self._looked_at = self._stamp(config), monotonic()
        self._lists: tuple[Trust, OppositionList] | None = None

    def __call__(self, practice: Practice) -> Practice:
        """The practice with the present lists; an unusable file leaves the lists that are held."""
        with self._guard:
            self._look()
            lists = self._lists
        if lists is None:
            return practice
        trust, opposition = lists
        if practice.trust is trust and practice.opposition is opposition:
            return practice
        return replace(practice, trust=trust, opposition=opposition)

    def _look(self) -> None:
        now = self._monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at, stamp = now, self._stamp(self._config)
        if stamp == self._seen:
            return
        self._seen = stamp
        self._lists = Trust.load(self._config.trust), _opposition(self._config.opposition)

    @staticmethod
    def _stamp(config: Config) -> tuple[tuple[str, int, int], ...]:
        files = [path for path in (*config.trust.rglob("*"), config.opposition) if path.is_file()]
        return tuple(sorted((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files))


def _opposition(path: Path) -> OppositionList:
    if not path.is_file():
        raise InputError(f"there is no opposition list {path}: fetch today's list before billing")
    return OppositionList.load(path)


def _decryption(certificate: Path, key: Path, files: dict[bytes, Path]) -> DecryptionKey:
    """The practice's own pair; `files` learns where its certificate was read from."""
    pair = load_pair(certificate, key)
    files[pair.certificate] = certificate
    return pair


def _certificate(path: Path, files: dict[bytes, Path]) -> bytes:
    """A certificate (DER); `files` learns where it was read from."""
    found = load_certificate(path)
    files[found] = path
    return found
