"""A settings file read: paths are relative to its folder, every mistake is named with file, line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gateway.config.section import Section, line_of
from gateway.config.values import (
    LEGAL_RETENTION_DAYS,
    POLICIES,
    ZONES,
    AgentsConfig,
    ApiConfig,
    Config,
    LogConfig,
    PageConfig,
    PracticeConfig,
    PublisherConfig,
    ReaderConfig,
    ReceiverConfig,
    StoreConfig,
)
from gateway.errors import InputError
from gateway.exchange.address import checked
from gateway.exchange.calendar import TERRITORIES

SECTIONS = (
    "practice", "reader", "receiver", "store", "trust", "mailbox", "inbox", "paper", "lots", "api", "page",
    "log", "agents",
)  # fmt: skip
MANY = ("practice", "reader")
"""What may be written several times, as [[practice]]."""

LEVELS, FORMATS = ("debug", "info", "warning", "error"), ("plain", "text", "json")
LANGUAGES = ("fr", "en")

_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,180}[A-Za-z0-9])?")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?")
_NATIONAL_ID = re.compile(r"8\d{11}")
_POSTGRES = re.compile(r"postgresql://(?:(?P<user>[^/:@]+)(?P<password>:[^/@]*)?@)?[^/@]*/[^/?]+(?:\?.*)?")
_KEYRING = "keyring:"


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
    unknown = sorted(set(tables) - set(SECTIONS))
    if unknown:
        line = line_of(text, unknown[0], "", None) or line_of(text, unknown[0], "", 1)
        at, known = f"line {line}, " if line else "", ", ".join(sorted(SECTIONS))
        raise InputError(f"{name}: {at}there is no section {unknown[0]!r}; the sections are {known}")
    return _Reading(text, folder, name, tables).config()


class _Reading:
    """One settings file being read."""

    def __init__(self, text: str, folder: Path, name: str, tables: Mapping[str, Any]) -> None:
        self._text, self._folder, self._name, self._tables = text, folder, name, tables

    def config(self) -> Config:
        """All of it."""
        practices = self._practices()
        with self._one("trust") as trust, self._one("lots") as lots:
            return Config(
                practices=practices,
                readers=self._readers([practice.id for practice in practices]),
                receiver=_receiver(self._one("receiver")),
                store=_store(self._one("store")),
                trust=trust.path("directory"),
                opposition=trust.path("opposition"),
                publisher=_publisher(trust),
                lot_after_minutes=lots.number("after_minutes", 0, 24 * 60, 30),
                api=_api(self._one("api")) if "api" in self._tables else None,
                page=self._page(),
                log=_log(self._one("log")),
                agents=_agents(self._one("agents")) if "agents" in self._tables else None,
            )

    def _practices(self) -> tuple[PracticeConfig, ...]:
        sections = list(self._all("practice"))
        with ExitStack() as stack:
            rooms = [stack.enter_context(self._one(name)) for name in ("mailbox", "inbox", "paper")]
            folders = [
                room.path("directory", default)
                for room, default in zip(rooms, (None, None, "var/paper"), strict=True)
            ]
        found: dict[str, PracticeConfig] = {}
        for section in sections:
            one = _practice(section, folders, apart=len(sections) > 1)
            if one.id in found:
                raise section.wrong("id", f"is that of another practice: {one.id} is written twice")
            found[one.id] = one
        return tuple(found.values())

    def _readers(self, practices: Sequence[str]) -> tuple[ReaderConfig, ...]:
        readers: list[ReaderConfig] = []
        for section in self._all("reader") if "reader" in self._tables else ():
            one = _reader(section, practices)
            if any(other.name == one.name for other in readers):
                raise section.wrong("name", f"is needed: another reader is called {one.name} already")
            if one.driver == "agent" and "agents" not in self._tables:
                raise section.wrong("driver", "needs the section [agents]: where agents arrive")
            if one.driver == "agent" and any(
                (other.driver, other.slots) == ("agent", one.slots) for other in readers
            ):
                raise section.wrong(
                    "slots", f"names {one.slots[0]} a second time: an agent serves one practice"
                )
            if any(other.practice == one.practice for other in readers):
                raise section.wrong(
                    "practice", f"has a reader already: give {one.practice} one reader in each gateway"
                )
            taken = {slot for other in readers if other.driver == one.driver for slot in other.slots if slot}
            if not taken.isdisjoint(one.slots):
                raise section.wrong("slots", "are those of another reader: a card is at one practice's desk")
            readers.append(one)
        return tuple(readers)

    def _page(self) -> PageConfig | None:
        if "page" not in self._tables:
            return None
        with self._one("page") as section:
            enabled, language = (
                section.flag("enabled", default=True),
                section.one_of("language", LANGUAGES, "fr"),
            )
            if enabled and "api" not in self._tables:
                raise section.wrong("enabled", "needs the section [api]: the page is at its port")
            hosts = section.texts("hosts", [])
            if not all(_HOST.fullmatch(host) for host in hosts):
                raise section.wrong("hosts", "must be a list of host names, without a port, in small letters")
        return PageConfig(language, hosts) if enabled else None

    def _one(self, name: str) -> Section:
        return Section(self._name, self._text, self._folder, name, self._tables.get(name, {}))

    def _all(self, name: str) -> Iterator[Section]:
        """Every [[name]] of the file, or its only [name]."""
        tables = self._tables.get(name, {})
        if not isinstance(tables, list):
            yield self._one(name)
            return
        for place, table in enumerate(tables, 1):
            yield Section(self._name, self._text, self._folder, name, table, place)


def _practice(section: Section, folders: Sequence[Path], *, apart: bool) -> PracticeConfig:
    """One practice; with several, each has its own folder in mailbox, inbox and paper (`apart`)."""
    with section:
        known = section.matching("id", _ID, "1 to 40 letters, digits, - or _")
        mailbox, inbox, paper = (folder / known if apart else folder for folder in folders)
        practitioners = section.texts("practitioners", [])
        if not all(_NATIONAL_ID.fullmatch(one) for one in practitioners):
            raise section.wrong(
                "practitioners", "must be a list of national ids: 8 and the 11 digits of the RPPS number"
            )
        certificates, keys = section.paths("certificate"), section.paths("key")
        if len(certificates) != len(keys):
            raise section.wrong("key", "must name one key for each file of certificate, in its order")
        return PracticeConfig(
            id=known,
            address=section.matching("address", _ADDRESS, "a mail address"),
            practitioners=practitioners,
            zone=section.one_of("zone", ZONES, "metropole"),
            holidays=section.one_of("holidays", TERRITORIES, "") if section.holds("holidays") else "",
            optam=section.flag("optam"),
            certificate=certificates[0],
            key=keys[0],
            mailbox=mailbox,
            inbox=inbox,
            paper=paper,
            other_certificates=certificates[1:],
            other_keys=keys[1:],
        )


def _reader(section: Section, practices: Sequence[str]) -> ReaderConfig:
    with section:
        driver, slots, alone = section.text("driver"), section.texts("slots"), section.flag("alone")
        if driver == "pcsc" and (len(slots) not in (1, 2) or not all(slot.strip() for slot in slots)):
            raise section.wrong(
                "slots", "must be part of the name of one reader, or of two: the Vitale's, then the CPS's"
            )
        if driver == "agent" and (len(slots) != 1 or not _ID.fullmatch(slots[0])):
            raise section.wrong(
                "slots", "must be the name of one agent, as vitale-gateway agent enrol knows it"
            )
        if alone and driver != "pcsc":
            raise section.wrong("alone", "belongs to the driver pcsc: no other program sees these cards")
        practice = section.text("practice", practices[0] if len(practices) == 1 else None)
        if practice not in practices:
            raise section.wrong("practice", f"must be the id of a practice: {', '.join(practices)}")
        name = section.matching("name", _ID, "1 to 40 letters, digits, - or _", _usual_name(driver))
    if driver == "emulated":
        slots = tuple(_image(section.folder, slot) for slot in slots)
    return ReaderConfig(driver, slots, alone, practice, name)


def _usual_name(driver: str) -> str:
    """What a reader is called that has no name of its own."""
    return driver if _ID.fullmatch(driver) else "reader"


def _image(folder: Path, slot: str) -> str:
    """A slot of the emulated reader is PATH or NAME=PATH; an empty one stays empty."""
    name, equals, path = slot.rpartition("=")
    return f"{name}{equals}{folder / path}" if path else slot


def _publisher(section: Section) -> PublisherConfig | None:
    """Who is asked for the opposition list."""
    minutes = section.number("opposition_minutes", 0, 24 * 60, 10)
    allow_remote = section.flag("opposition_remote")
    if not section.holds("opposition_source"):
        return None
    url = section.text("opposition_source")
    try:
        checked(url, allow_remote=allow_remote)
    except InputError as wrong:
        raise section.wrong("opposition_source", str(wrong)) from None
    return PublisherConfig(url, allow_remote, minutes)


def _receiver(section: Section) -> ReceiverConfig:
    with section:
        certificates = section.paths("certificate")
        return ReceiverConfig(
            host=section.text("host"),
            port=section.number("port", 1, 65535),
            allow_remote=section.flag("allow_remote"),
            policy=section.one_of("policy", POLICIES, "modern"),
            certificate=certificates[0],
            sends=section.flag("sends", default=True),
            other_certificates=certificates[1:],
        )


def _store(section: Section) -> StoreConfig:
    with section:
        url, shared = _store_url(section)
        key = section.text("key", None if shared else "-")
        return StoreConfig(
            url=url,
            retention_days=section.number("retention_days", LEGAL_RETENTION_DAYS, 3660, LEGAL_RETENTION_DAYS),
            key="" if key == "-" else _key(section, key),
            owner=section.matching(
                "owner", _ID, "1 to 40 letters, digits, - or _", None if shared else "gateway"
            ),
        )


def _key(section: Section, key: str) -> str:
    if key.startswith(_KEYRING):
        if not _ID.fullmatch(key.removeprefix(_KEYRING)):
            raise section.wrong("key", "must be a file, or keyring: and a name of letters and digits")
        return key
    return str(section.folder / Path(key).expanduser())


def _store_url(section: Section) -> tuple[str, bool]:
    """The URL with its password, and whether it is PostgreSQL."""
    url, lite = section.text("url"), "sqlite:///"
    if url.startswith(lite) and url.removeprefix(lite):
        if section.holds("password_file"):
            raise section.wrong("password_file", "belongs to postgresql://: SQLite has no password")
        return lite + str(section.folder / url.removeprefix(lite)), False
    found = _POSTGRES.fullmatch(url)
    if found is None:
        raise section.wrong(
            "url", "must be sqlite:/// and the path of a file, or postgresql://USER@HOST/DATABASE"
        )
    if not section.holds("password_file"):
        return url, True
    if found["user"] is None or found["password"] is not None:
        raise section.wrong("password_file", "wants a url with a user and without a password")
    password = _password(section, section.path("password_file"))
    return url.replace("@", f":{quote(password, safe='')}@", 1), True


def _password(section: Section, path: Path) -> str:
    """The first line of a file that nobody else may read."""
    try:
        if path.stat().st_mode & 0o007:
            raise section.wrong("password_file", f"can be read by others: chmod 600 {path}")
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as problem:
        raise section.wrong("password_file", f"cannot be read ({problem.strerror})") from None
    except UnicodeDecodeError:
        raise section.wrong("password_file", "holds no text") from None
    if not lines or not lines[0]:
        raise section.wrong("password_file", "is empty: write the password on its first line")
    return lines[0]


def _api(section: Section) -> ApiConfig:
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


def _log(section: Section) -> LogConfig:
    with section:
        return LogConfig(
            level=section.one_of("level", LEVELS, "info"),
            format=section.one_of("format", FORMATS, "plain"),
            file=section.path("file") if section.holds("file") else None,
        )


def _agents(section: Section) -> AgentsConfig:
    with section:
        return AgentsConfig(
            address=str(section.address("address", "127.0.0.1")),
            port=section.number("port", 1, 65535),
            certificate=section.path("certificate", "agents/gateway.cert.pem"),
            key=section.path("key", "agents/gateway.key.pem"),
            authority=section.path("authority", "agents/authority.cert.pem"),
        )
