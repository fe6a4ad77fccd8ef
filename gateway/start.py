"""From settings to a working gateway: reads keys, certificates and lists, opens store and reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gateway.api.tokens import Tokens
from gateway.billing.tables import Tables
from gateway.clock import Clock, Rng
from gateway.cms.enveloped import DecryptionKey
from gateway.cms.policy import policy_named
from gateway.config import Config, PracticeConfig, ReaderConfig
from gateway.daemon import Daemon
from gateway.desk import Desk, Reader
from gateway.errors import InputError
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender
from gateway.inbox import Inbox
from gateway.pki import OppositionList, Trust, VitaleAuthority
from gateway.practice import Practice
from gateway.seat import Seat
from gateway.sitting import Sitting
from gateway.store.store import Store

DRIVERS = "vitale_gateway.reader_drivers"


def open_practice(config: Config, clock: Clock, rng: Rng) -> Practice:
    """Everything the line needs; GatewayError names the file that is missing or wrong."""
    practice = config.practice
    return Practice(
        id=practice.id,
        address=practice.address,
        clock=clock,
        rng=rng,
        tables=Tables.load(),
        trust=Trust.load(config.trust),
        vitale_authority=VitaleAuthority.load(config.trust),
        opposition=_opposition(config.opposition),
        policy=policy_named(config.receiver.policy),
        receiver_certificate=_certificate(config.receiver.certificate),
        decryption=_decryption(practice),
        optam=practice.optam,
        zone=practice.zone,
        practitioners=practice.practitioners,
        store=Store(config.store_url, clock),
    )


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
    longest = timedelta(minutes=api.session_minutes)
    for seat in daemon.seats:
        seat.has_api = True
        if seat.desk is not None:
            seat.desk.sitting = Sitting(daemon.clock, longest, api.session_sheets)
    with serving(Service(daemon, tokens), api.address, api.port) as port:
        yield port


def open_reader(config: ReaderConfig) -> Reader:
    """The reader of the settings, through the driver registered under its name."""
    found = entry_points(group=DRIVERS)
    if config.driver not in found.names:
        known = ", ".join(sorted(found.names)) or "none is installed"
        raise InputError(f"reader driver {config.driver!r} is not known: choose one of {known}")
    driver: Callable[..., Reader] = found[config.driver].load()
    return driver(config.slots, alone=True) if config.alone else driver(config.slots)


def open_daemon(config: Config, practice: Practice, desk: Desk, say: Callable[[str], None]) -> Daemon:
    """The daemon of the settings, ready to run."""
    receiver = config.receiver
    seat = Seat(
        practice,
        desk,
        Inbox(config.inbox),
        Maildir(config.mailbox),
        say,
        driver=config.reader.driver,
        paper=config.paper,
        refresh=Refresher(config),
        lot_after=timedelta(minutes=config.lot_after_minutes),
    )
    sender = SmtpSender(receiver.host, receiver.port, allow_remote=receiver.allow_remote)
    return Daemon([seat], sender, say, retention_days=config.retention_days)


class Refresher:
    """Reads the revocation and opposition lists again when one of their files has changed."""

    def __init__(self, config: Config) -> None:
        self._config, self._seen = config, self._stamp(config)

    def __call__(self, practice: Practice) -> Practice:
        """The practice with the present lists; an unusable file leaves the lists that are held."""
        stamp = self._stamp(self._config)
        if stamp == self._seen:
            return practice
        self._seen = stamp
        return replace(
            practice, trust=Trust.load(self._config.trust), opposition=_opposition(self._config.opposition)
        )

    @staticmethod
    def _stamp(config: Config) -> tuple[tuple[str, int, int], ...]:
        files = [path for path in (*config.trust.rglob("*"), config.opposition) if path.is_file()]
        return tuple(sorted((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files))


def _opposition(path: Path) -> OppositionList:
    if not path.is_file():
        raise InputError(f"there is no opposition list {path}: fetch today's list before billing")
    return OppositionList.load(path)


def _decryption(practice: PracticeConfig) -> DecryptionKey:
    """The practice's own pair: another key could open none of the returns."""
    key, certificate = _key(practice.key), _certificate(practice.certificate)
    if x509.load_der_x509_certificate(certificate).public_key() != key.public_key():
        raise InputError(
            f"{practice.key} is not the key of {practice.certificate}: "
            "correct one of the two paths in the settings"
        )
    return DecryptionKey(key, certificate)


def _certificate(path: Path) -> bytes:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    except OSError as problem:
        raise _unreadable(path, problem) from None
    except ValueError:
        raise InputError(f"{path} is not a certificate in PEM: correct its path in the settings") from None


def _unreadable(path: Path, problem: OSError) -> InputError:
    return InputError(
        f"{path} cannot be read ({problem.strerror}): correct its rights, or its path in the settings"
    )


def _key(path: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as problem:
        raise _unreadable(path, problem) from None
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise InputError(f"{path} is not an RSA key in PEM: correct its path in the settings")
    return key
