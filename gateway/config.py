"""The settings of one gateway: a TOML file read into frozen values, every mistake named with its line.

Paths are relative to the folder of the file. Nothing here is secret: keys stay in their own files.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, TypeVar

from gateway.errors import InputError

T = TypeVar("T")

ZONES = ("metropole", "antilles", "guyane_reunion", "mayotte")
POLICIES = ("modern", "sesam")
LEGAL_RETENTION_DAYS = 90

_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,180}[A-Za-z0-9])?")
_NATIONAL_ID = re.compile(r"8\d{11}")


@dataclass(frozen=True, slots=True)
class PracticeConfig:
    """Who bills. `id` is a short name without any person's name in it.

    `practitioners`: national ids (8 and the RPPS number) whose CPS may work here; empty: every valid CPS.
    """

    id: str
    address: str
    practitioners: tuple[str, ...]
    zone: str
    optam: bool
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """Which reader driver, and what it is given for its slots (Vitale, then CPS).

    `alone` (PC/SC): other programs cannot connect to a card while the gateway has a session with it.
    """

    driver: str
    slots: tuple[str, ...]
    alone: bool = False


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """Where lots go: the relay, the cryptographic profile and the certificate that lots are encrypted to."""

    host: str
    port: int
    allow_remote: bool
    policy: str
    certificate: Path


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
class Config:
    """Everything `vitale-gateway` needs to know before it starts."""

    practice: PracticeConfig
    reader: ReaderConfig
    receiver: ReceiverConfig
    store_url: str
    retention_days: int
    trust: Path
    opposition: Path
    mailbox: Path
    inbox: Path
    paper: Path
    lot_after_minutes: int
    api: ApiConfig | None = None


def load_config(path: Path) -> Config:
    """Read a settings file; InputError names the file, the line and the key that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no settings file {path}: write one with vitale-gateway init") from None
    except OSError as problem:
        raise InputError(f"the settings file {path} cannot be read ({problem.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"the settings file {path} cannot be read as text in UTF-8") from None
    return parse_config(text, path.parent, str(path))


def parse_config(text: str, folder: Path, name: str = "settings") -> Config:
    """Read the text of a settings file; paths inside are relative to `folder`."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise InputError(f"{name} is not TOML: {problem}") from None
    except RecursionError:
        raise InputError(f"{name} is nested too deeply: write plain sections") from None
    unknown = sorted(set(tables) - _SECTIONS)
    if unknown:
        known = ", ".join(sorted(_SECTIONS))
        raise InputError(f"{name}: there is no section {unknown[0]!r}; the sections are {known}")
    return _config(lambda section: _Section(name, text, folder, section, tables.get(section, {})), tables)


_SECTIONS = frozenset(
    {"practice", "reader", "receiver", "store", "trust", "mailbox", "inbox", "paper", "lots", "api"}
)


def _config(section: Callable[[str], _Section], present: Collection[str]) -> Config:
    with ExitStack() as stack:
        store, trust, mailbox, inbox, paper, lots = (
            stack.enter_context(section(name))
            for name in ("store", "trust", "mailbox", "inbox", "paper", "lots")
        )
        least = LEGAL_RETENTION_DAYS
        return Config(
            practice=_practice(section("practice")),
            reader=_reader(section("reader")),
            receiver=_receiver(section("receiver")),
            store_url=_store_url(store),
            retention_days=store.number("retention_days", least, 3660, least),
            trust=trust.path("directory"),
            opposition=trust.path("opposition"),
            mailbox=mailbox.path("directory"),
            inbox=inbox.path("directory"),
            paper=paper.path("directory", "var/paper"),
            lot_after_minutes=lots.number("after_minutes", 0, 24 * 60, 30),
            api=_api(section("api")) if "api" in present else None,
        )


def _api(section: _Section) -> ApiConfig:
    with section:
        address = section.address("address", "127.0.0.1")
        allow_remote = section.flag("allow_remote")
        if not (allow_remote or address.is_loopback):
            raise section.wrong(
                "address", "is not of this machine: put a TLS proxy before 127.0.0.1, or set allow_remote"
            )
        return ApiConfig(
            address=str(address),
            port=section.number("port", 1, 65535),
            allow_remote=allow_remote,
            tokens=section.path("tokens"),
            session_minutes=section.number("session_minutes", 1, 24 * 60, 12 * 60),
            session_sheets=section.number("session_sheets", 1, 10_000, 250),
        )


def _practice(section: _Section) -> PracticeConfig:
    with section:
        return PracticeConfig(
            id=section.matching("id", _ID, "1 to 40 letters, digits, - or _"),
            address=section.matching("address", _ADDRESS, "a mail address"),
            practitioners=section.practitioners("practitioners"),
            zone=section.one_of("zone", ZONES, "metropole"),
            optam=section.flag("optam"),
            certificate=section.path("certificate"),
            key=section.path("key"),
        )


def _reader(section: _Section) -> ReaderConfig:
    with section:
        driver, slots, alone = section.text("driver"), section.texts("slots"), section.flag("alone")
        if driver == "pcsc" and (len(slots) not in (1, 2) or not all(slot.strip() for slot in slots)):
            raise section.wrong(
                "slots", "must be part of the name of one reader, or of two: the Vitale's, then the CPS's"
            )
        if alone and driver != "pcsc":
            raise section.wrong("alone", "belongs to the driver pcsc: no other program sees these cards")
    if driver == "emulated":
        slots = tuple(_image(section.folder, slot) for slot in slots)
    return ReaderConfig(driver, slots, alone)


def _image(folder: Path, slot: str) -> str:
    """A slot of the emulated reader is PATH or NAME=PATH; an empty one stays empty."""
    name, equals, path = slot.rpartition("=")
    return f"{name}{equals}{folder / path}" if path else slot


def _receiver(section: _Section) -> ReceiverConfig:
    with section:
        return ReceiverConfig(
            host=section.text("host"),
            port=section.number("port", 1, 65535),
            allow_remote=section.flag("allow_remote"),
            policy=section.one_of("policy", POLICIES, "modern"),
            certificate=section.path("certificate"),
        )


def _store_url(section: _Section) -> str:
    url = section.text("url")
    prefix = "sqlite:///"
    if not url.startswith(prefix) or not url.removeprefix(prefix):
        raise section.wrong("url", "must be sqlite:/// and the path of a file")
    return prefix + str(section.folder / url.removeprefix(prefix))


class _Section:
    """One table of the file: every key is taken once, and what is left at the end is a mistake."""

    def __init__(self, name: str, text: str, folder: Path, section: str, table: object) -> None:
        self._name, self._text, self._section, self.folder = name, text, section, folder
        if not isinstance(table, Mapping):
            raise InputError(f"{name}: {section!r} is a section: write [{section}] on a line of its own")
        self._left: dict[str, Any] = dict(table)

    def __enter__(self) -> _Section:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._left:
            raise self.wrong(min(self._left), "is not a known key")

    def wrong(self, key: str, what: str) -> InputError:
        """The sentence for a bad key, with its line."""
        line = _line_of(self._text, self._section, key)
        where = f"line {line}, " if line else ""
        return InputError(f"{self._name}: {where}{key} of [{self._section}] {what}")

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self._take(key, str, "must be a text in quotes", default)
        if not value.strip():
            raise self.wrong(key, "is empty")
        if not value.isprintable():
            raise self.wrong(key, "holds a character that cannot be seen: type it again")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, perhaps empty ones."""
        values: list[object] = self._take(key, list, "must be a list of texts in quotes")
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "must be a list of texts in quotes")
        return tuple(str(value) for value in values)

    def practitioners(self, key: str) -> tuple[str, ...]:
        """A list of national ids, empty when the key is absent."""
        values = self.texts(key) if key in self._left else ()
        if not all(_NATIONAL_ID.fullmatch(value) for value in values):
            raise self.wrong(key, "must be a list of national ids: 8 and the 11 digits of the RPPS number")
        return values

    def path(self, key: str, default: str | None = None) -> Path:
        """A path, relative to the folder of the file."""
        try:
            return self.folder / Path(self.text(key, default)).expanduser()
        except RuntimeError:
            raise self.wrong(key, "begins with ~ and the name of nobody here: write the whole path") from None

    def matching(self, key: str, pattern: re.Pattern[str], what: str) -> str:
        """A text of a given form."""
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise self.wrong(key, f"must be {what}")
        return value

    def address(self, key: str, default: str) -> IPv4Address | IPv6Address:
        """An IP address."""
        try:
            return ip_address(self._take(key, str, "must be a text in quotes", default))
        except ValueError:
            raise self.wrong(key, "must be an IP address such as 127.0.0.1") from None

    def one_of(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        value = self._take(key, str, "must be a text in quotes", default)
        if value not in choices:
            raise self.wrong(key, f"must be one of {', '.join(choices)}")
        return value

    def flag(self, key: str) -> bool:
        """true or false, false when the key is absent."""
        return self._take(key, bool, "must be true or false", False)

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number within bounds."""
        value = self._take(key, int, "must be a whole number", default)
        if isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(key, f"must be a whole number from {low} to {high}")
        return value

    def _take(self, key: str, kind: type[T], what: str, default: T | None = None) -> T:
        value = self._left.pop(key, default)
        if value is None:
            raise InputError(f"{self._name}: {key} is missing in [{self._section}]")
        if not isinstance(value, kind):
            raise self.wrong(key, what)
        return value


def _line_of(text: str, section: str, key: str) -> int | None:
    """The line of a key, found by reading; None when it is written in another way."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            inside = line.split("#")[0].strip() == f"[{section}]"
        elif inside and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
            return number
    return None


def example_config() -> str:
    """A settings file that loads as it is: what `vitale-gateway init` writes."""
    return _EXAMPLE


_EXAMPLE = """\
# Settings of vitale-gateway. Paths are relative to the folder of this file.

[practice]
id = "cabinet"                        # a short name, never a person's name
address = "cabinet@practice.test"     # lots leave under this address, returns come to it
zone = "metropole"                    # metropole, antilles, guyane_reunion or mayotte
optam = false                         # the practice has signed the OPTAM contract
certificate = "keys/cabinet.cert.pem" # returns are encrypted to this certificate
key = "keys/cabinet.key.pem"          # and opened with this key
# practitioners = ["810000000000"]    # only these CPS may bill here (8 and the RPPS number)

[reader]
driver = "emulated"
slots = ["cards/vitale.card", "cards/cps.card"]   # the Vitale slot, then the CPS slot
# driver = "pcsc"                     # real readers: part of the name of one reader for both cards,
# slots = ["Gemalto"]                 # or of two (vitale-reader list shows the names)
# alone = true                        # no other program may use a card that the gateway has a session with

[receiver]
host = "127.0.0.1"                    # the mail relay
port = 2525
allow_remote = false                  # true: the relay may be another machine
policy = "modern"                     # modern or sesam, whichever the receiver speaks
certificate = "trust/receiver.cert.pem"

[trust]
directory = "trust"                   # roots, authorities and revocation lists
opposition = "opposition.txt"         # the list of opposed cards

[store]
url = "sqlite:///var/gateway.db"
retention_days = 90                   # doubles and receipts; the law asks for 90 or more

[mailbox]
directory = "var/mailbox"             # a maildir: receipts and payment returns arrive here

[inbox]
directory = "var/inbox"               # practice software drops care acts here

[paper]
directory = "var/paper"               # paper twins of sheets made without a Vitale, for the insured person

[lots]
after_minutes = 30                    # how long a sheet waits for company in its lot

# [api]                               # practice software over HTTP, see gateway/api/README.md
# port = 8420                         # on this machine; address = "127.0.0.1" is the default
# tokens = "var/tokens.json"          # digests only: vitale-gateway token new NAME adds one
# session_minutes = 720               # how long one PIN is good
# session_sheets = 250                # and for how many sheets
"""
