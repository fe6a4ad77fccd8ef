"""Readers lent to a gateway elsewhere, as people run it: `vitale-gateway serve` and `vitale-gateway
agent`, processes.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gateway.cli import main
from gateway.exchange.calendar import legal_day
from tests.gateway.agent.browser import Browser
from tests.interop.bench_pcscd import free_ports
from tests.journey.test_daemon import BIN, PATIENCE, STOP_SECONDS, Program, Surgery, until
from tools.bench import PRACTICE, Bench

SECOND = "second"
CARDS = {PRACTICE: ("vitale-single", "cps-gp-sector1"), SECOND: ("vitale-family", "cps-gp-sector2")}


class Machine:
    """A practice's machine: its folder, its agent, a browser on its page."""

    def __init__(self, clinic: Clinic, name: str, practice: str) -> None:
        self.clinic, self.practice = clinic, practice
        assert main(["agent", "enrol", name, "--practice", practice, "--config", str(clinic.settings)]) == 0
        self.folder = clinic.bench.root / f"machine-{name}"
        shutil.move(clinic.bench.root / "agents" / name, self.folder)
        file = self.folder / "vitale-agent.toml"
        images = [str(clinic.bench.card_file(profile)) for profile in CARDS[practice]]
        text = re.sub(r"(?m)^slots = .*$", f"slots = {json.dumps(images)}", file.read_text("utf-8"), count=1)
        text = text.replace('driver = "pcsc"', 'driver = "emulated"').replace("8431", str(free_ports()))
        file.write_text(text, encoding="utf-8")

    def start(self) -> Program:
        """The agent."""
        command = [str(BIN / "vitale-gateway"), "agent", "--config", str(self.folder / "vitale-agent.toml")]
        started = Program(command)
        self.clinic.running.append(started)
        return started

    def types(self, agent: Program, pin: str) -> Browser:
        """Open the page with its link, wait for the question, type the PIN."""
        link = agent.says(r"page: (http://127.0.0.1:(\d+)/open\S+)")
        browser = Browser(int(link[2]))
        browser.opens(link[1])
        until(lambda: browser.hidden("question"), "the question for the PIN")
        browser.types(pin)
        return browser

    def working(self) -> Program:
        """The agent, its CPS unlocked."""
        unlocked = self.clinic.unlocked()
        started = self.start()
        self.types(started, "1234")
        until(lambda: self.clinic.unlocked() > unlocked, "the CPS is unlocked")
        return started


class Clinic(Surgery):
    """A gateway for two practices whose readers are elsewhere; the first one's receiver."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.bench.authority.practice_keys(SECOND)
        self.gateway: Program | None = None

    def configure(self, port: int) -> None:
        """Two practices, a lent reader for each; lots are closed at once."""
        super().configure(port)
        text = self.settings.read_text("utf-8")
        first = text[text.index("[practice]") : text.index("[reader]")]
        practices = first.replace("[practice]", "[[practice]]")
        practices += practices.replace(f'"{PRACTICE}"', f'"{SECOND}"').replace(f"/{PRACTICE}.", f"/{SECOND}.")
        readers = "".join(
            f'[[reader]]\ndriver = "agent"\nslots = ["{name}"]\nname = "{name}"\npractice = "{practice}"\n\n'
            for name, practice in (("north", PRACTICE), ("south", SECOND))
        )
        rest = text[text.index("[receiver]") :]
        agents = f"\n[agents]\nport = {free_ports()}\n"
        self.settings.write_text(practices + readers + rest + agents, encoding="utf-8")

    def serve(self, failpoint: str = "") -> Program:
        """The gateway; no PIN is given to it, ever."""
        command = [str(BIN / "vitale-gateway"), "serve", "--config", str(self.settings)]
        started = self.gateway = Program(command, failpoint=failpoint)
        self.running.append(started)
        started.says("agents: 127.0.0.1")
        return started

    def unlocked(self) -> int:
        """How often the gateway said that a CPS is unlocked."""
        assert self.gateway is not None
        return sum("CPS unlocked" in line for line in list(self.gateway.lines))

    def hand_in(self, practice: str, name: str) -> None:
        """One care act into a practice's inbox."""
        folder = self.bench.root / "inbox" / practice
        folder.mkdir(parents=True, exist_ok=True)
        day = legal_day(self.bench.clock.now()).isoformat()
        act = {"date": day, "acts": [{"code": "G", "quantity": 1}], "third_party": "amo"}
        partial = self.bench.root / f"{name}.partial"
        partial.write_text(json.dumps(act), encoding="utf-8")
        partial.rename(folder / f"{name}.json")

    def answered(self, practice: str) -> dict[str, Mapping[str, Any]]:
        """The answers so far."""
        done = (self.bench.root / "inbox" / practice / "done").glob("*.answer.json")
        return {path.name.removesuffix(".answer.json"): json.loads(path.read_text("utf-8")) for path in done}


@pytest.fixture
def clinic(bench: Bench) -> Iterator[Clinic]:
    """A gateway for two practices; whatever still runs at the end is killed."""
    made = Clinic(bench)
    yield made
    for program in made.running:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()


@pytest.mark.slow
def test_two_practices_bill_through_their_agents(clinic: Clinic) -> None:
    """Enrolled, started, PIN typed at each page: acts are billed with the right cards, sent, acknowledged."""
    clinic.receiver()
    north, south = Machine(clinic, "north", PRACTICE), Machine(clinic, "south", SECOND)
    gateway = clinic.serve()
    clinic.hand_in(PRACTICE, "first")
    gateway.says("practice demo: care acts wait: The agent north that lends the CPS slot is not connected")
    agents = [north.start(), south.start()]
    gateway.says("agent north: here")
    wrong = south.types(agents[1], "9999")
    agents[1].says("CPS: wrong PIN, tries left: 2")
    gateway.says("practice second: Wrong PIN for the CPS in the CPS slot: 2 tries are left")
    until(lambda: "essais restants : 2" in wrong.ask("/").body, "what the card said, on the page")
    north.types(agents[0], "1234")
    until(lambda: clinic.answered(PRACTICE), "the answer to the act that waited")
    assert clinic.answered(PRACTICE)["first"]["accepted"]
    assert clinic.unlocked() == 1
    code, took = agents[1].end(signal.SIGTERM)
    assert (code, took < STOP_SECONDS) == (0, True)
    assert agents[1].lines[-1] == "stopped in good order; the readers are not lent any more."
    agents[1] = south.working()
    clinic.hand_in(SECOND, "second")
    until(lambda: clinic.answered(SECOND), "the second practice's answer")
    assert clinic.answered(SECOND)["second"]["accepted"]
    kept = {row.practice: row.practitioner for row in clinic.kept()}
    assert kept.keys() == {PRACTICE, SECOND}
    assert kept[PRACTICE] != kept[SECOND], "each practice signs with its own CPS"
    until(clinic.claims, "the receiver's ledger")
    code, took = gateway.end(signal.SIGTERM)
    assert (code, took < STOP_SECONDS) == (0, True), gateway.lines
    assert gateway.lines[-1] == "stopped in good order; what was accepted is kept."
    agents[0].says("the gateway stops")
    said = [line for program in clinic.running for line in program.lines]
    assert not any(re.search(r"(?<!\d)(1234|9999)(?!\d)", line) for line in said), "a PIN was said"


@pytest.mark.slow
def test_killed_on_either_side(clinic: Clinic) -> None:
    """SIGKILL of the agent, then of the gateway, in a full inbox: what was answered is kept once, the rest
    waits.
    """
    clinic.receiver()
    north = Machine(clinic, "north", PRACTICE)
    gateway = clinic.serve()
    acts = [f"act{number:02}" for number in range(30)]
    agent = north.working()
    for name in acts:
        clinic.hand_in(PRACTICE, name)
    until(lambda: len(clinic.answered(PRACTICE)) >= 4, "some answers")
    agent.end(signal.SIGKILL)
    gateway.says(r"agent north: away \(the connection broke\)")
    agent = north.working()
    before = len(clinic.answered(PRACTICE))
    until(lambda: len(clinic.answered(PRACTICE)) > before, "answers after the agent came back")
    gateway.end(signal.SIGKILL)
    gateway = clinic.serve()
    assert agent.process.poll() is None, "the agent goes on"
    until(lambda: "type the PIN" in " ".join(gateway.lines), "the PIN is asked again")
    link = subprocess.run(
        [str(BIN / "vitale-gateway"), "agent", "page", "--config", str(north.folder / "vitale-agent.toml")],
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    ).stdout.strip()  # fmt: skip
    browser = Browser(int(re.findall(r":(\d+)/", link)[0]))
    browser.opens(link)
    until(lambda: browser.hidden("question"), "the question for the PIN")
    browser.types("1234")
    inbox = clinic.bench.root / "inbox" / PRACTICE
    until(lambda: not list(inbox.glob("*.json")), "an empty inbox")

    def taken() -> set[str]:
        return {path.stem for path in (inbox / "taken").glob("*.json")}

    until(lambda: len(clinic.answered(PRACTICE).keys() | taken()) == len(acts), "an answer to each act")
    until(lambda: len(taken() - clinic.answered(PRACTICE).keys()) <= 1, "only the interrupted act is left")
    answers, interrupted = clinic.answered(PRACTICE), taken()
    numbers = [answer["number"] for answer in answers.values() if answer["accepted"]]
    kept = {row.number for row in clinic.kept()}
    assert len(numbers) == len(set(numbers)), "a number was used twice"
    assert set(numbers) <= kept, "an answered act was lost"
    assert len(kept) - len(numbers) <= len(interrupted - answers.keys()) <= 1
    refused = [answer for answer in answers.values() if not answer["accepted"]]
    assert len(refused) <= 2, refused
    assert all("slot" in answer["reason"] for answer in refused), refused
    assert gateway.end(signal.SIGTERM)[0] == 0
