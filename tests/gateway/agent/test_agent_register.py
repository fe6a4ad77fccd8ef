"""Enrolment: authority, register, requests; names, practices, renewals and revocations; files nobody else
reads.
"""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.agent import enrolment
from gateway.agent.authority import AgentAuthority, load_certificate
from gateway.agent.ends import Daily
from gateway.agent.enrolment import enrol
from gateway.agent.register import Register
from gateway.agent.settings import load_settings
from gateway.cli import main
from gateway.clock import SimulatedClock
from gateway.config import AgentsConfig, example_config
from gateway.errors import InputError
from reader.agent.lobby import Peer

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path) -> AgentsConfig:
    """Settings of a gateway without any authority yet."""
    home = tmp_path / "agents"
    return AgentsConfig(
        "192.0.2.7", 8430, home / "gateway.cert.pem", home / "gateway.key.pem", home / "authority.cert.pem"
    )


def peer_of(certificate: x509.Certificate) -> Peer:
    named = {one.oid: str(one.value) for one in certificate.subject}
    return Peer(
        named[NameOID.COMMON_NAME], named[NameOID.ORGANIZATION_NAME], certificate.serial_number,
        certificate.not_valid_after_utc,
    )  # fmt: skip


def test_the_first_enrolment_makes_everything(config: AgentsConfig) -> None:
    """Authority, gateway pair, agent's folder with settings that load; keys are their owner's only."""
    made = enrol(config, "desk-1", "cabinet", NOW)
    assert made.founded
    assert not enrol(config, "desk-2", "cabinet", NOW).founded
    assert {file.name for file in made.files} == {
        "agent.cert.pem", "agent.key.pem", "authority.cert.pem", "vitale-agent.toml",
    }  # fmt: skip
    keys = [*config.authority.parent.rglob("*.key.pem"), config.authority.parent / "agents.json"]
    assert len(keys) == 5
    assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in keys)
    settings = load_settings(made.folder / "vitale-agent.toml")
    assert (settings.host, settings.port, settings.page_port) == ("192.0.2.7", 8430, 8431)
    assert (made.entry.practice, made.entry.last_moment) == ("cabinet", NOW + timedelta(days=730))


def test_who_is_admitted(config: AgentsConfig) -> None:
    """The very certificate in the register, until its end; another name, practice or number is nobody."""
    folder = enrol(config, "desk-1", "cabinet", NOW).folder
    register = Register.beside(config.authority)
    peer = peer_of(load_certificate(folder / "agent.cert.pem"))
    assert register.admits(peer, NOW)
    assert not register.admits(peer, peer.ends)
    for other in (replace(peer, name="desk-2"), replace(peer, practice="x"), replace(peer, serial=7)):
        assert not register.admits(other, NOW)
    register.revoke("desk-1", NOW)
    assert not register.admits(peer, NOW)


def test_names_are_given_once(config: AgentsConfig) -> None:
    """An enrolled name is refused without --renew, for another practice always; a free one cannot be
    renewed.
    """
    enrol(config, "desk-1", "cabinet", NOW)
    with pytest.raises(InputError, match="is enrolled already: add --renew"):
        enrol(config, "desk-1", "cabinet", NOW)
    with pytest.raises(InputError, match="belongs to another practice"):
        enrol(config, "desk-1", "other", NOW, renew=True)
    with pytest.raises(InputError, match="no agent is called desk-2"):
        enrol(config, "desk-2", "cabinet", NOW, renew=True)
    for name in ("", "a b", "../x", "é", "x" * 41):
        with pytest.raises(InputError, match="1 to 40 letters"):
            enrol(config, name, "cabinet", NOW)
    assert len(Register.beside(config.authority).entries()) == 1


def test_renewed_and_taken_back(config: AgentsConfig) -> None:
    """Old and new are admitted side by side; taking the name back takes both, and frees the name."""
    first = peer_of(load_certificate(enrol(config, "desk-1", "cabinet", NOW).folder / "agent.cert.pem"))
    made = enrol(config, "desk-1", "cabinet", NOW, renew=True)
    assert "vitale-agent.toml" not in {file.name for file in made.files}
    second = peer_of(load_certificate(made.folder / "agent.cert.pem"))
    register = Register.beside(config.authority)
    assert register.admits(first, NOW)
    assert register.admits(second, NOW)
    assert register.revoke("desk-1", NOW) == 2
    assert not register.admits(first, NOW)
    assert not register.admits(second, NOW)
    with pytest.raises(InputError, match="agent list shows them"):
        register.revoke("desk-1", NOW)
    assert not enrol(config, "desk-1", "other", NOW).founded


def test_a_request_keeps_the_key_at_home(config: AgentsConfig, tmp_path: Path) -> None:
    """The gateway never has the key; a request for another name, a spoilt one or none is refused."""
    key, asked = enrolment.request(tmp_path / "home", "desk-1", "cabinet")
    made = enrol(config, "desk-1", "cabinet", NOW, request=asked)
    assert not list(made.folder.glob("*.key.pem"))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    shown = load_certificate(made.folder / "agent.cert.pem").public_key()
    assert shown == x509.load_pem_x509_csr(asked.read_bytes()).public_key()
    with pytest.raises(InputError, match="asks for another agent or practice"):
        enrol(config, "desk-2", "cabinet", NOW, request=asked)
    with pytest.raises(InputError, match="is not a request"):
        enrol(config, "desk-2", "cabinet", NOW, request=key)
    with pytest.raises(InputError, match="cannot be read as a request"):
        enrol(config, "desk-2", "cabinet", NOW, request=tmp_path / "none")
    with pytest.raises(InputError, match=r"agent.key.pem exists: move it away"):
        enrolment.request(tmp_path / "home", "desk-1", "cabinet")


def test_no_certificate_outlives_its_authority(config: AgentsConfig) -> None:
    """Near the authority's end an agent's certificate is shorter; after it none is made, and it is said."""
    AgentAuthority.found(config.authority, NOW)
    late = NOW + timedelta(days=3600)
    entry = enrol(config, "desk-1", "cabinet", late).entry
    assert entry.last_moment <= load_certificate(config.authority).not_valid_after_utc
    with pytest.raises(InputError, match="agent authority has ended"):
        enrol(config, "desk-2", "cabinet", NOW + timedelta(days=3650))


@pytest.mark.parametrize("content", ["{", "[1]", '[{"name": "x"}]', "[[[[", "null"])
def test_a_damaged_register(config: AgentsConfig, content: str) -> None:
    """What is not a register admits nobody and is named; nothing is written over it."""
    enrol(config, "desk-1", "cabinet", NOW)
    file = config.authority.with_name("agents.json")
    file.write_text(content)
    for use in (Register(file).entries, lambda: enrol(config, "desk-2", "cabinet", NOW)):
        with pytest.raises(InputError, match=r"agents.json is not a register of agents"):
            use()
    assert file.read_text() == content


def test_a_key_of_another_authority(config: AgentsConfig) -> None:
    """Certificate and key of the authority that do not fit are refused before anything is signed."""
    enrol(config, "desk-1", "cabinet", NOW)
    (config.authority.parent / "authority.key.pem").write_bytes(config.key.read_bytes())
    with pytest.raises(InputError, match=r"authority.key.pem is not the key of"):
        enrol(config, "desk-2", "cabinet", NOW)


def test_ends_are_said_once_a_day() -> None:
    """Thirty-one days ahead silence; thirty days ahead one sentence a day with the remedy."""
    said: list[str] = []
    clock = SimulatedClock(NOW)
    daily = Daily(said.append, clock)
    last = NOW + timedelta(days=31)
    for _ in range(8):  # days 0 to 3.5, twice a day
        daily.look("the certificate of x", last, "renew it")
        clock.advance(timedelta(hours=12))
    day = f"{last:%Y-%m-%d}"
    assert said == [f"the certificate of x ends on {day}, in {left} days: renew it" for left in (29, 28, 27)]
    clock.advance(timedelta(days=40))
    daily.look("the certificate of x", last, "renew it")
    assert said[-1] == f"the certificate of x ended on {day}: renew it"


# ---- the command line


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The gateway's settings with a section [agents]."""
    file = tmp_path / "vitale-gateway.toml"
    text = example_config().replace("# [agents] ", "[agents] ").replace("# port = 8430", "port = 8430")
    file.write_text(text, encoding="utf-8")
    return file


def run(*words: object) -> int:
    return main(["agent", *map(str, words)])


def test_the_commands_of_the_gateway(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """enrol prints what to copy and what to write; list shows it, revoke takes it back; all in plain
    words.
    """
    assert run("enrol", "desk-1", "--practice", "cabinet", "--config", settings) == 0
    said = capsys.readouterr().out
    assert "the agent authority was made" in said
    assert "agents/desk-1/agent.key.pem" in said
    assert 'slots = ["desk-1"], practice = "cabinet"' in said
    assert run("list", "--config", settings) == 0
    assert "desk-1                   cabinet                  until 20" in capsys.readouterr().out
    assert run("revoke", "desk-1", "--config", settings) == 0
    assert run("list", "--json", "--config", settings) == 0
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [bool(entry["revoked"]) for entry in listed] == [True]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("enrol", "desk-1", "--practice", "nobody"), "there is no practice 'nobody' in the settings"),
        (("revoke", "desk-9"), "no agent is called desk-9"),
        (("enrol", "desk 1", "--practice", "cabinet"), "1 to 40 letters"),
    ],
)
def test_mistakes_on_the_command_line(settings: Path, capsys, words: tuple[str, ...], sentence: str) -> None:
    """Each is one sentence and exit code 1."""
    assert run(*words, "--config", settings) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_without_a_section_agents(settings: Path, capsys) -> None:
    """The sentence says what to add."""
    settings.write_text(example_config(), encoding="utf-8")
    assert run("list", "--config", settings) == 1
    assert "there is no section [agents]" in capsys.readouterr().err


def test_the_commands_of_the_agents_machine(tmp_path: Path, capsys) -> None:
    """init writes settings that load, once; request makes key and request; page needs an agent that runs."""
    assert run("init", tmp_path / "home") == 0
    assert load_settings(tmp_path / "home" / "vitale-agent.toml").reader.driver == "pcsc"
    assert run("init", tmp_path / "home") == 1
    assert run("request", "desk-1", tmp_path / "home", "--practice", "cabinet") == 0
    assert run("request", "desk 1", tmp_path / "x", "--practice", "cabinet") == 1
    assert run("page", "--config", tmp_path / "home" / "vitale-agent.toml") == 1
    assert "no agent with a page runs here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("good", "bad", "sentence"),
    [
        (
            'gateway = "127.0.0.1:8430"',
            'gateway = "here"',
            r"line 5, gateway of \[agent\] must be the address",
        ),
        ('gateway = "127.0.0.1:8430"', 'gateway = "h:0"', r"line 5, gateway of \[agent\] has a port"),
        (
            'driver = "pcsc"',
            'driver = "agent"',
            r"driver of \[reader\] must be that of a reader of this machine",
        ),
        ("port = 8431", "port = 70000", r"port of \[page\] must be a whole number"),
        ('language = "fr"', 'language = "de"', r"language of \[page\] must be one of fr, en"),
        ("[page]", "[pages]", "there is no section 'pages'"),
        ("[page]", "[page", "is not TOML"),
        ("[page]", "[page]\ncolour = 1", "colour of .page. is not a known key"),
    ],
)
def test_mistakes_in_the_agents_settings(tmp_path: Path, capsys, good: str, bad: str, sentence: str) -> None:
    """Each is one sentence with file, line and key; the twin loads."""
    assert run("init", tmp_path) == 0
    file = tmp_path / "vitale-agent.toml"
    load_settings(file)
    text = file.read_text(encoding="utf-8")
    assert good in text
    file.write_text(text.replace(good, bad), encoding="utf-8")
    with pytest.raises(InputError, match=sentence):
        load_settings(file)
