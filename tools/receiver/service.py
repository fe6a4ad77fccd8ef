"""A running receiver: SMTP door, crypto threads, one writer, one outbox. For the demo and the CLI."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gateway.billing.request import Practitioner
from gateway.billing.tables import Tables
from gateway.clock import Clock
from gateway.cms.policy import policy_named
from gateway.errors import GatewayError, InputError, StoreError
from gateway.lots.organism import destination_of
from gateway.pki import OppositionList
from gateway.records.noemie_file import NoemieReturn
from tools.pki import Authority
from tools.receiver.adjudication import Adjudicator
from tools.receiver.answers import Answer
from tools.receiver.api import Actions, Api, Controls
from tools.receiver.claims import Clerk, Payday
from tools.receiver.config import ReceiverConfig
from tools.receiver.core import Receiver
from tools.receiver.delivery import Postman
from tools.receiver.directory import Entry, PracticeDirectory
from tools.receiver.faults import Faults
from tools.receiver.insured import InsuredBase
from tools.receiver.insurers import InsurerBase
from tools.receiver.ledger import LEDGER_FILE, Ledger
from tools.receiver.opening import Gate
from tools.receiver.paper import PaperCounter
from tools.receiver.parties import Party, all_parties, front_end
from tools.receiver.population import (
    barred_practitioners,
    known_contracts,
    known_insured,
    known_practitioners,
)
from tools.receiver.public import Publications
from tools.receiver.publishing import OppositionPublisher
from tools.receiver.reply import Secretary
from tools.receiver.returns import Paymaster
from tools.receiver.server import House
from tools.receiver.shares import ShareJudge
from tools.receiver.vault import Vault
from tools.receiver.writer import Intake

if TYPE_CHECKING:
    from tools.portal.server import Portal

_PULSE_SECONDS = 0.2


@dataclass
class Parts:
    """The receiver's objects, put together from a configuration and not yet running."""

    receiver: Receiver
    paymaster: Paymaster
    postman: Postman
    ledger: Ledger
    faults: Faults
    clerk: Clerk
    insured: InsuredBase
    insurers: InsurerBase
    practitioners: Mapping[str, Sequence[Practitioner]]
    tables: Tables
    parties: Sequence[Party]
    counter: PaperCounter
    publisher: OppositionPublisher | None
    vault: Vault = field(repr=False)
    authority: Authority = field(repr=False)

    def publications(self, clock: Clock) -> Publications:
        """What the receiver publishes for everybody."""
        signer, crls = self.authority.receiver_keys().signer, self.authority.trust_directory / "crls"
        return Publications(self.publisher, signer, clock, self.parties, crls)


def assemble(
    config: ReceiverConfig,
    insured: InsuredBase | None = None,
    practitioners: Mapping[str, Sequence[Practitioner]] | None = None,
    insurers: InsurerBase | None = None,
) -> Parts:
    """Everything but threads and sockets. Errors are one sentence (GatewayError).

    `insured`, `practitioners`, `insurers`: the files of caisses and insurers; those of the card profiles
    when not given.
    """
    authority, policy = Authority.load(config.authority), policy_named(config.policy)
    trust, keys = authority.trust(), authority.receiver_keys()
    default = Entry(authority.practice_keys(config.practice).decryption.certificate, config.maildir)
    directory = (
        PracticeDirectory.load(config.directory, default)
        if config.directory
        else PracticeDirectory({}, default)
    )
    directory.open_default()
    insured = known_insured(config.profiles) if insured is None else insured
    if practitioners is None:
        practitioners = known_practitioners(config.profiles)
    insurers = known_contracts(config.profiles) if insurers is None else insurers
    if config.overrides is not None:
        insured, insurers = insured.overridden(config.overrides), insurers.overridden(config.overrides)
    ledger = Ledger(config.state / LEDGER_FILE)
    vault = Vault.open(config.state / "ledger.key", config.rng)
    faults = Faults(config.faults, config.state / "faults")
    secretary = Secretary(
        policy, keys.signer, trust, directory, config.rng, stale_signer=authority.stale_receiver_signer
    )
    tables = Tables.load()
    payday = Payday(config.payment_days, config.day_seconds, config.insurer_days, config.paper_days)
    clerk = Clerk(
        Adjudicator(insured, practitioners, tables, insurers, barred_practitioners(config.profiles)),
        ShareJudge(insurers, practitioners, tables),
        vault,
        payday,
    )
    parties = all_parties(authority, insured, insurers) if config.parties else (front_end(authority),)
    gate = Gate(parties, policy, trust, authority.vitale_authority(), config.limits.file_bytes)
    receiver = Receiver(
        gate=gate,
        opposition=OppositionList.load(config.opposition) if config.opposition else None,
        clerk=clerk,
        secretary=secretary,
        ledger=ledger,
        clock=config.clock,
        faults=faults,
    )
    paymaster = Paymaster(
        ledger=ledger,
        vault=vault,
        insured=insured,
        secretary=secretary,
        clock=config.clock,
        limits=config.limits,
        faults=faults,
    )
    counter = PaperCounter(ledger, clerk, insured, insurers, practitioners, tables, config.clock)
    return Parts(
        receiver, paymaster, Postman(ledger, directory, config.clock), ledger, faults, clerk, insured,
        insurers, practitioners, tables, parties, counter, opposition_publisher(config, receiver), vault,
        authority,
    )  # fmt: skip


def opposition_publisher(config: ReceiverConfig, receiver: Receiver) -> OppositionPublisher | None:
    """Who keeps the opposition list: each new version is in force here too."""

    def told(current: OppositionList) -> None:
        receiver.opposition = current

    return None if config.opposition is None else OppositionPublisher(config.opposition, config.clock, told)


class Pulse:
    """Calls a piece of work when woken, and now and then; says its errors and goes on."""

    def __init__(self, name: str, work: Callable[[], object], say: Callable[[str], None]) -> None:
        self._work, self._say, self._ending = work, say, False
        self._event = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is work."""
        self._event.set()

    def _run(self) -> None:
        while not self._ending:
            self._event.wait(_PULSE_SECONDS)
            self._event.clear()
            try:
                self._work()
            except (GatewayError, OSError) as error:
                self._say(f"later: {error}")
                threading.Event().wait(_PULSE_SECONDS)

    def stop(self) -> None:
        """Do what is left once, then end."""
        self._ending = True
        self._event.set()
        self._thread.join()


@dataclass
class RunningReceiver:
    """A receiver that listens on `port` until `stop()`; `ledger` may be asked at any time."""

    port: int
    ledger: Ledger
    faults: Faults
    _house: House = field(repr=False)
    _intake: Intake = field(repr=False)
    _pulses: tuple[Pulse, ...] = field(repr=False)
    _lock: IO[bytes] = field(repr=False)
    _api: Api | None = field(default=None, repr=False)
    _portal: Portal | None = field(default=None, repr=False)
    _stopped: bool = False

    @property
    def api_port(self) -> int | None:
        """Where the API listens, None without one."""
        return None if self._api is None else self._api.port

    @property
    def portal_port(self) -> int | None:
        """Where the web portal listens, None without one."""
        return None if self._portal is None else self._portal.port

    def advance(self, days: float, day_seconds: float) -> int:
        """Bring payments still to come `days` nearer and pay what is due; returns how many moved."""
        moved = self.ledger.advance(days * day_seconds)
        self.wake()
        return moved

    def wake(self) -> None:
        """There may be something to pay or to deliver."""
        for pulse in self._pulses:
            pulse.wake()

    def stop(self) -> None:
        """Finish what is in hand, close the door, deliver what is due; may be called twice."""
        if self._stopped:
            return
        self._stopped = True
        if self._api is not None:
            self._api.close()
        if self._portal is not None:
            self._portal.close()
        self._house.close()
        self._intake.close()
        for pulse in self._pulses:
            pulse.stop()
        self.ledger.close()
        self._lock.close()


def start_receiver(config: ReceiverConfig) -> RunningReceiver:
    """Start serving on loopback in background threads. One receiver per state directory."""
    lock = _only_one(config.state)
    try:
        parts = assemble(config)
    except BaseException:
        lock.close()
        raise
    speaker = Speaker(config.say)
    delivering = Pulse("receiver-deliver", lambda: _deliver(parts, speaker), config.say)
    paying = Pulse("receiver-pay", lambda: _pay(parts, speaker, delivering), config.say)
    limits = config.limits
    intake = Intake(
        parts.receiver,
        threads=config.threads,
        group=limits.group,
        waiting=limits.waiting,
        told=speaker.answered(delivering.wake),
    )
    house = House(intake, parts.faults, limits)
    pulses = (paying, delivering)
    running = RunningReceiver(0, parts.ledger, parts.faults, house, intake, pulses, lock)
    try:
        running.port = house.open(config.host, config.port)
        if config.api_port is not None:
            running._api = _open_api(config, parts, running)
        if config.portal_port is not None:
            running._portal = _open_portal(config, parts, running)
        if parts.publisher is not None:
            running._pulses += (Pulse("receiver-lists", parts.publisher.keep, config.say),)
    except BaseException:
        running.stop()
        raise
    return running


def _open_api(config: ReceiverConfig, parts: Parts, running: RunningReceiver) -> Api:
    assert config.api_port is not None
    actions = Actions(_controls(config, running, parts.counter), parts.publications(config.clock))
    return Api(actions, config.state, config.rng, config.host, config.api_port)


def _open_portal(config: ReceiverConfig, parts: Parts, running: RunningReceiver) -> Portal:
    try:
        from tools.portal.server import Portal, portal_app, portal_office  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as missing:
        raise InputError(f"the portal needs {missing.name}: pip install -e '.[api,bench]'") from None
    assert config.portal_port is not None
    office = portal_office(config, parts)
    app = portal_app(config, parts, Actions(_controls(config, running, parts.counter)), office)
    return Portal(app, config.host, config.portal_port)


def _controls(config: ReceiverConfig, running: RunningReceiver, counter: PaperCounter) -> Controls:
    return Controls(
        ledger=running.ledger,
        faults=running.faults,
        advance=lambda days: running.advance(days, config.day_seconds),
        counter=counter,
        now=lambda: config.clock.now().timestamp(),
        wake=running.wake,
    )


class Speaker:
    """One line per lot, delivery and payment; never a NIR, never a name."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def answered(self, wake: Callable[[], None]) -> Callable[[list[Answer]], None]:
        """What to do when a group of answers is durable."""

        def told(answers: list[Answer]) -> None:
            for answer in answers:
                self._say(describe(answer))
            wake()

        return told

    def paid(self, answer: NoemieReturn) -> None:
        """A payment return was made."""
        rejects = sum(payment.is_rejected for payment in answer.payments)
        self._say(
            f"NOEMIE {answer.file_id} of {destination_of(answer.sender).key} to {answer.destination}:"
            f" {len(answer.payments)} invoices,"
            f" {answer.total_cents / 100:.2f} EUR paid, {rejects} rejected"
        )

    def delivered(self, counts: dict[str, int]) -> None:
        """Mails reached their mailboxes."""
        for kind, count in counts.items():
            self._say(f"delivered: {count} {kind.upper()}")


def describe(answer: Answer) -> str:
    """One line about one message received."""
    name = "message" if answer.key is None else f"lot {answer.key}"
    alarm = "ALARM " if answer.alarm else ""
    again = " (again, the stored ARL)" if answer.repeated else ""
    if answer.positive:
        return f"{name}: {answer.invoices} invoices, ARL +{again}"
    return f"{alarm}{name}: ARL - {answer.error_class}{answer.code}{again}: {answer.reason}"


def _deliver(parts: Parts, speaker: Speaker) -> None:
    speaker.delivered(parts.postman.deliver())


def _pay(parts: Parts, speaker: Speaker, delivering: Pulse) -> None:
    parts.faults.refresh()
    for answer in parts.paymaster.pay_due():
        speaker.paid(answer)
        delivering.wake()


def _only_one(state: Path) -> IO[bytes]:
    """The lock of a state directory (0700), held until the receiver stops."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(state / "ledger.lock", os.O_RDWR | os.O_CREAT, 0o600)
    lock = os.fdopen(handle, "r+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StoreError(f"{state.name}: another receiver uses this state directory; stop it first") from None
    return lock
