"""`vitale-gateway doctor` on a gateway with lent readers: good, and what may be wrong with it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.agent import checks
from gateway.agent.enrolment import enrol
from gateway.cli import main
from gateway.clock import SimulatedClock
from gateway.config import Config, load_config
from gateway.doctor import Visit, _agents, _readers
from gateway.errors import InputError
from reader.errors import ReaderError
from tools.bench import PRACTICE, Bench

NOW = datetime.now(UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A gateway whose only reader is lent by the agent north."""
    file = Bench(tmp_path).write_settings(2525)
    text = file.read_text("utf-8").replace('driver = "emulated"', 'driver = "agent"')
    text = re.sub(r"(?m)^slots = .*$", 'slots = ["north"]', text, count=1)
    file.write_text(text + "\n[agents]\nport = 8430\n", encoding="utf-8")
    return file


def said(config: Config) -> list[str]:
    visit = Visit(config, SimulatedClock(NOW), bytes)
    return [
        f"{level.name.lower()} {sentence}"
        for check in (_readers, _agents)
        for level, sentence in check(visit)
    ]


def test_a_good_set_up(settings: Path) -> None:
    """Enrolled: the reader is its agent's affair, nothing is wrong, nothing ends soon."""
    config = load_config(settings)
    enrol(config.agents, "north", PRACTICE, NOW)
    assert said(config) == [
        "good agent: the reader is lent by its agent, see agents",
        "good every lent reader has an agent that may come",
    ]


def test_an_agent_of_another_practice_does_not_count(settings: Path) -> None:
    """The reader waits for an agent that may never serve it: which one, and what to type."""
    config = load_config(settings)
    enrol(config.agents, "north", "other", NOW)
    assert list(checks.faults(config)) == [
        f"agent: no agent north of practice {PRACTICE} is enrolled: vitale-gateway agent enrol north "
        f"--practice {PRACTICE}"
    ]


def test_a_certificate_that_ends(settings: Path) -> None:
    """Within thirty days it is said; the newest of an agent counts."""
    config = load_config(settings)
    enrol(config.agents, "north", PRACTICE, NOW - timedelta(days=710))
    clock = SimulatedClock(NOW)
    assert any("the agent north ends on" in sentence for sentence in checks.soon(config, clock))
    enrol(config.agents, "north", PRACTICE, NOW, renew=True)
    assert checks.soon(config, clock) == []


SPOILT: dict[str, Callable[[Path], object]] = {
    "authority.key.pem is not the key of": lambda home: shutil.copy(
        home / "gateway.key.pem", home / "authority.key.pem"
    ),
    "authority.cert.pem cannot be read as a certificate": lambda home: (home / "authority.cert.pem").unlink(),
    "gateway.cert.pem cannot be used as a certificate whose key is": lambda home: (
        home / "gateway.key.pem"
    ).unlink(),
    "agents.json is not a register": lambda home: (home / "agents.json").write_text("{"),
}


@pytest.mark.parametrize("sentence", SPOILT)
def test_files_that_are_wrong(settings: Path, sentence: str) -> None:
    """Each file by its name, in one sentence."""
    config = load_config(settings)
    enrol(config.agents, "north", PRACTICE, NOW)
    SPOILT[sentence](settings.parent / "agents")
    with pytest.raises((InputError, ReaderError), match=sentence):
        list(checks.faults(config))


def test_other_commands_say_where_a_lent_reader_works(settings: Path, tmp_path: Path, capsys) -> None:
    """`bill` has no lobby where an agent could arrive: it says that serve has."""
    act = tmp_path / "act.json"
    act.write_text('{"date": "2026-11-23", "acts": [{"code": "G"}]}')
    assert main(["bill", str(act), "--pin-pad", "--config", str(settings)]) == 1
    assert "The driver agent works in a gateway only" in capsys.readouterr().err
