"""What a person would check first when something does not work, each in one sentence that says what to do.

Nothing is changed, no PIN is asked, no lot is sent: the receiver is only greeted. Beside a gateway that runs
the cards are left to it.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.agent import checks as agents
from gateway.api.tokens import Tokens
from gateway.cards.cps import CpsSession
from gateway.certificates import expiries
from gateway.clock import Clock, Rng
from gateway.config import Config
from gateway.desk import Desk
from gateway.errors import ExchangeError, GatewayError, StoreError
from gateway.exchange.smtp import SmtpSender
from gateway.pki import Purpose
from gateway.practice import Practice
from gateway.start import Shared, equip, open_reader, open_store
from gateway.store.rows import Counts
from gateway.store.sqlite import held, path_of
from gateway.store.store import Store
from reader.agent.driver import AGENT
from reader.console import said
from reader.errors import ReaderError

LITTLE_SPACE, NO_SPACE = 500 * 2**20, 20 * 2**20
GREETING_SECONDS = 5.0
STEP_BACK = timedelta(minutes=5)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class Level(StrEnum):
    """How a finding is to be taken."""

    GOOD = "good"
    LOOK = "look"
    BAD = "BAD"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing (`about`: reader, store …); it says what is to be done, if anything is."""

    level: Level
    about: str
    says: str


Said = Iterator[tuple[Level, str]]


@dataclass
class Visit:
    """What one examination knows so far.

    `store`: None when there is none that opens; `running`: a gateway works on it.
    """

    config: Config
    clock: Clock
    rng: Rng = field(repr=False)
    store: Store | None = None
    running: bool = False
    practices: list[Practice] = field(default_factory=list)
    ends: ExitStack = field(default_factory=ExitStack, repr=False)

    @property
    def now(self) -> datetime:
        """The present moment, UTC."""
        return self.clock.now()

    def empty_store(self) -> Store:
        """Where none opens: certificates are looked at all the same, and an examination keeps nothing."""
        folder = self.ends.enter_context(TemporaryDirectory())
        return self.ends.enter_context(Store(f"sqlite:///{folder}/empty.db", self.clock))


def examine(config: Config, clock: Clock, rng: Rng) -> Iterator[Finding]:
    """Every check, in the order in which things are needed; a check that cannot be made stops no other."""
    visit = Visit(config, clock, rng)
    with visit.ends:
        for about, check in _CHECKS.items():
            yield from _made(about, check, visit)


def _made(about: str, check: Callable[[Visit], Said], visit: Visit) -> Iterator[Finding]:
    try:
        yield from (Finding(level, about, says) for level, says in check(visit))
    except (GatewayError, ReaderError) as wrong:
        yield Finding(Level.BAD, about, str(wrong))
    except OSError as problem:
        yield Finding(Level.BAD, about, f"{said(problem)}: correct this file's place or rights")


def _store(visit: Visit) -> Said:
    try:
        opened = open_store(visit.config, visit.clock, visit.rng, read_only=True)
    except StoreError as refused:
        if refused.code not in ("no-store", "schema") or "restore" in str(refused):
            raise
        left = Path(visit.config.store.url.removeprefix("sqlite:///") + ".key")
        if refused.code == "no-store" and left.exists():
            yield Level.BAD, f"there is a key {left}, but not its store: restore the store from the backup"
        else:
            yield Level.LOOK, str(refused)
        return
    visit.store = visit.ends.enter_context(opened)
    visit.running = _is_in_use(visit)
    used = "a gateway works on it" if visit.running else "no gateway works on it: start vitale-gateway serve"
    yield Level.GOOD if visit.running else Level.LOOK, f"the store opens; {used}"
    visit.store.verify_audit()
    yield Level.GOOD, "the audit trail is whole"


def _is_in_use(visit: Visit) -> bool:
    """Whether a gateway has this store: on SQLite its lock says so."""
    if visit.config.store.is_shared:
        return False
    try:
        with held(path_of(visit.config.store.url)):
            return False
    except StoreError as refused:
        if refused.code != "in-use":
            raise
        return True


def _disk(visit: Visit) -> Said:
    places = {_nearest(folder).stat().st_dev: _nearest(folder) for folder in _folders(visit.config)}
    for place in sorted(places.values()):
        free = shutil.disk_usage(place).free
        left = f"{free // 2**20} MB are free in {place}"
        if free < NO_SPACE:
            yield Level.BAD, f"{left}: nothing more can be kept, free some space now"
        elif free < LITTLE_SPACE:
            yield Level.LOOK, f"{left}: free some space soon"
        else:
            yield Level.GOOD, left


def _rights(visit: Visit) -> Said:
    """Folders can be written, and nobody else reads keys."""
    for folder in _folders(visit.config):
        if folder.exists() and not folder.is_dir():
            yield (
                Level.BAD,
                f"{folder} is a file, and a folder is needed there: correct its path in the settings",
            )
        elif not os.access(_nearest(folder), os.W_OK | os.X_OK):
            yield Level.BAD, f"{folder} cannot be written by this user: correct its owner or its rights"
    for secret in _secrets(visit.config):
        if secret.exists() and stat.S_IMODE(secret.stat().st_mode) & 0o077:
            yield Level.BAD, f"{secret} can be read by others: chmod 600 {secret}, then think of changing it"
    yield Level.GOOD, "folders can be written, keys are readable by their owner alone"


def _clock(visit: Visit) -> Said:
    """No clock says by itself that it is wrong; what was written before it says so."""
    newest = _last_written(visit.store) if visit.store is not None else visit.now
    if newest - visit.now > STEP_BACK:
        yield (
            Level.BAD,
            (
                f"this machine's clock says {visit.now:%Y-%m-%d %H:%M} UTC, but the store was written at "
                f"{newest:%Y-%m-%d %H:%M}: set the clock"
            ),
        )
        return
    yield Level.GOOD, f"the clock says {visit.now:%Y-%m-%d %H:%M} UTC"


def _last_written(store: Store) -> datetime:
    """When the newest sheet or lot last changed."""
    moments = [row.changed_at for row in store.fse_list(limit=1)]
    return max(moments + [row.changed_at for row in store.lot_list(limit=1)], default=LONG_AGO)


def _keys(visit: Visit) -> Said:
    """Keys and certificates of each practice can be read and belong together."""
    store = visit.store or visit.empty_store()
    shared = Shared.load(visit.config)
    for one in visit.config.practices:
        visit.practices.append(equip(visit.config, one, store, visit.clock, visit.rng, shared))
    yield Level.GOOD, "every practice has its key and certificate"


def _certificates(visit: Visit) -> Said:
    for practice in visit.practices:
        for expiry in expiries(practice, visit.now):
            level = Level.BAD if expiry.days_left < 0 else Level.LOOK if expiry.is_near else None
            if level is not None:
                yield level, expiry.says
        practice.trust.validate(practice.decryption.certificate, visit.now, Purpose.PRACTICE_ENCRYPTION)
        practice.trust.validate(practice.receiver_certificate, visit.now, Purpose.RECEIVER_ENCRYPTION)
    if visit.practices:
        yield Level.GOOD, "the certificates of practice and receiver are trusted today"


def _opposition(visit: Visit) -> Said:
    for practice in visit.practices[:1]:
        held = practice.opposition
        held.check_fresh(visit.now)
        yield Level.GOOD, f"the opposition list {held.number} is of {held.issued:%Y-%m-%d %H:%M} UTC"


def _receiver(visit: Visit) -> Said:
    receiver = visit.config.receiver
    sender = SmtpSender(receiver.host, receiver.port, GREETING_SECONDS, allow_remote=receiver.allow_remote)
    try:
        sender.greet()
    except ExchangeError as wrong:
        why = f"the relay {receiver.host}:{receiver.port} takes no lots now"
        yield Level.BAD, f"{why} ({str(wrong).rstrip('.')}): start it, or correct host and port of [receiver]"
        return
    yield Level.GOOD, f"the relay {receiver.host}:{receiver.port} answers"


def _api(visit: Visit) -> Said:
    api = visit.config.api
    if api is None:
        yield Level.GOOD, "no HTTP API is asked for in the settings"
        return
    answers = _listens(api.address, api.port)
    if visit.running and not answers:
        yield Level.BAD, f"the gateway runs, but nothing answers on port {api.port}: start it again"
    elif answers and not visit.running:
        yield (
            Level.BAD,
            (
                f"port {api.port} of {api.address} belongs to another program: "
                "stop that one, or choose another in [api]"
            ),
        )
    else:
        yield Level.GOOD, f"port {api.port} of {api.address} " + ("answers" if answers else "is free")
    if not Tokens(api.tokens).entries():
        yield Level.LOOK, "no software has a token: vitale-gateway token new NAME makes one"


def _work(visit: Visit) -> Said:
    """What waits for a person."""
    if visit.store is None:
        return
    counts: Counts = visit.store.counts()
    parked = counts.lots.get("PARKED", 0)
    refused = counts.fse.get("REJECTED", 0) + counts.fse.get("PAYMENT_REJECTED", 0)
    for number, says in (
        (counts.late, "FSE are past their legal day and not sent: vitale-gateway status says why"),
        (parked, "lots are parked: vitale-gateway lots says why, release sends them again"),
        (refused, "FSE are refused: vitale-gateway payments says what to do, rectify makes them anew"),
        (counts.unmatched, "returns match nothing of ours: vitale-gateway payments shows them"),
    ):
        if number:
            yield Level.LOOK, f"{number} {says}"
    yield Level.GOOD, f"{sum(counts.fse.values())} FSE and {sum(counts.lots.values())} lots are kept"


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), GREETING_SECONDS).close()
    except OSError:
        return False
    return True


def _folders(config: Config) -> list[Path]:
    """Where the gateway writes."""
    own = [folder for one in config.practices for folder in (one.mailbox, one.inbox, one.paper)]
    store = config.store.url.removeprefix("sqlite:///")
    return [*own, config.opposition.parent, *([] if config.store.is_shared else [Path(store).parent])]


def _secrets(config: Config) -> list[Path]:
    """Files that only their owner may read."""
    keys = [key for one in config.practices for key in (one.key, *one.other_keys)]
    if config.api is not None:
        keys.append(config.api.tokens)
    return keys


def _nearest(folder: Path) -> Path:
    """The folder, or the one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _readers(visit: Visit) -> Said:
    """Each reader is there, with the right card in each slot; the cards of a running gateway are its own."""
    if not visit.config.readers:
        yield Level.GOOD, "no reader is asked for in the settings: this gateway sends and collects only"
    for settings in visit.config.readers:
        if settings.driver == AGENT:
            yield Level.GOOD, f"{settings.name}: the reader is lent by its agent, see agents"
            continue
        try:
            reader = open_reader(settings)
        except (GatewayError, ReaderError) as wrong:
            yield Level.BAD, f"{settings.name}: {wrong}"
            continue
        try:
            yield from _reader(visit, settings.name, Desk(reader))
        finally:
            reader.close()


def _agents(visit: Visit) -> Said:
    """Reader agents: the authority's files are good, every lent reader has an agent, no certificate ends
    soon.
    """
    if visit.config.agents is None:
        return
    wrong = list(agents.faults(visit.config))
    yield from ((Level.BAD, sentence) for sentence in wrong)
    yield from ((Level.LOOK, sentence) for sentence in agents.soon(visit.config, visit.clock))
    if not wrong:
        yield Level.GOOD, "every lent reader has an agent that may come"


def _reader(visit: Visit, name: str, desk: Desk) -> Said:
    if desk.trouble is not None:
        yield Level.BAD, f"{name}: {desk.trouble}"
        return
    for what, there in (("Vitale", desk.has_vitale), ("CPS", desk.has_cps)):
        if not there:
            yield Level.LOOK, f"{name}: the {what} slot is empty, insert the card when it is needed"
    if not desk.has_cps or visit.running:
        yield Level.GOOD, f"{name}: the reader answers"
        return
    session = CpsSession.open(desk.slots[1].connect())
    try:
        for practice in visit.practices:
            for expiry in expiries(practice, visit.now, session.certificate):
                if expiry.is_near and "CPS" in expiry.what:
                    yield Level.LOOK, f"{name}: {expiry.says}"
            practice.trust.validate(session.certificate, visit.now, Purpose.CPS_SIGNATURE)
    finally:
        session.close()
    yield Level.GOOD, f"{name}: the CPS in its slot is valid today"


_CHECKS: dict[str, Callable[[Visit], Said]] = {
    "store": _store,
    "disk": _disk,
    "rights": _rights,
    "clock": _clock,
    "keys": _keys,
    "certificates": _certificates,
    "opposition": _opposition,
    "reader": _readers,
    "agents": _agents,
    "receiver": _receiver,
    "API": _api,
    "work": _work,
}
