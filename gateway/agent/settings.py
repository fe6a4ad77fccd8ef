"""The settings of one reader agent: a TOML file, every mistake named with its line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from gateway.agent.files import read_whole
from gateway.config import ReaderConfig
from gateway.config.section import Section
from gateway.errors import InputError
from reader.transport.tls import Identity

SETTINGS = "vitale-agent.toml"
LANGUAGES = ("fr", "en")
_SECTIONS = ("agent", "reader", "page")
_GATEWAY = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]{1,253}):\d{1,5}")


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Where the gateway is, who this agent is, which readers it lends, and its page (port 0: none)."""

    host: str
    port: int
    identity: Identity
    reader: ReaderConfig
    page_port: int
    language: str
    folder: Path


def load_settings(path: Path) -> AgentSettings:
    """Read a settings file; InputError names the file, the line and the key that is wrong."""
    if not path.is_file():
        raise InputError(f"there is no settings file {path}: write one with vitale-gateway agent init")
    try:
        text = read_whole(path, "settings").decode("utf-8")
        tables = tomllib.loads(text)
    except UnicodeDecodeError:
        raise InputError(f"the settings file {path} cannot be read as text in UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise InputError(f"{path} is not TOML: {problem}") from None
    if unknown := sorted(set(tables) - set(_SECTIONS)):
        known = ", ".join(_SECTIONS)
        raise InputError(f"{path}: there is no section {unknown[0]!r}; the sections are {known}")
    sections = (Section(str(path), text, path.parent, name, tables.get(name, {})) for name in _SECTIONS)
    with next(sections) as agent, next(sections) as reader, next(sections) as page:
        host, port = _address(agent)
        return AgentSettings(
            host=host,
            port=port,
            identity=Identity(
                agent.path("certificate", "agent.cert.pem"),
                agent.path("key", "agent.key.pem"),
                agent.path("authority", "authority.cert.pem"),
            ),
            reader=_reader(reader, path.parent),
            page_port=page.number("port", 0, 65535, 8431),
            language=page.one_of("language", LANGUAGES, "fr"),
            folder=path.parent,
        )


def _address(section: Section) -> tuple[str, int]:
    host, _, port = section.matching(
        "gateway", _GATEWAY, 'the address of the gateway, "HOST:PORT"'
    ).rpartition(":")
    if not 0 < int(port) < 65536:
        raise section.wrong("gateway", "has a port that does not exist: 1 to 65535")
    return host.strip("[]"), int(port)


def _reader(section: Section, folder: Path) -> ReaderConfig:
    driver, slots, alone = section.text("driver"), section.texts("slots"), section.flag("alone")
    if driver == "agent":
        raise section.wrong("driver", "must be that of a reader of this machine, pcsc for example")
    if alone and driver != "pcsc":
        raise section.wrong("alone", "belongs to the driver pcsc: no other program sees these cards")
    if driver == "emulated":
        slots = tuple(str(folder / slot) if slot else slot for slot in slots)
    return ReaderConfig(driver, slots, alone)


def example_settings(gateway: str = "127.0.0.1:8430") -> str:
    """A settings file that loads as it is: what `vitale-gateway agent init` writes."""
    return _EXAMPLE.replace("GATEWAY", gateway)


_EXAMPLE = """\
# Settings of a reader agent: the machine with the readers lends them to a gateway elsewhere.
# Paths are relative to the folder of this file.

[agent]
gateway = "GATEWAY"           # where the gateway waits for agents: HOST:PORT
certificate = "agent.cert.pem"        # from vitale-gateway agent enrol, on the gateway's machine
key = "agent.key.pem"                 # never leaves this machine when it was made by agent request
authority = "authority.cert.pem"      # the gateway's agent authority

[reader]
driver = "pcsc"
slots = ["Gemalto"]                   # part of the name of one reader for both cards, or of two: the
                                      # Vitale's, then the CPS's (vitale-reader list shows the names)
# alone = true                        # no other program may use a card that the gateway has a session with

[page]
port = 8431                           # http://127.0.0.1:8431, on this machine only; 0: no page
language = "fr"                       # fr or en
"""
