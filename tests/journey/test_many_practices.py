"""Three practices in one gateway, started as a person does: a PIN for each, one reader that comes later."""

from __future__ import annotations

import json
import re
import signal

import pytest

from gateway.exchange.calendar import legal_day
from reader.emulated import EmulatedReader
from reader.galss import LadDevice
from reader.transport.galss import GalssServer
from tests.interop.bench_pcscd import free_ports
from tests.journey import test_daemon
from tests.journey.test_daemon import BIN, Program, until
from tools.bench import Bench

PRACTICES = {
    "nord": ("emulated", '"cards/vitale-single.card", "cards/cps-gp-sector1.card"'),
    "sud": ("galss", '"127.0.0.1:PORT"'),
    "est": ("emulated", '"", ""'),
}
PRACTICE = """
[[practice]]
id = "{name}"
address = "{name}@practice.test"
certificate = "authority/practices/{name}.cert.pem"
key = "authority/practices/{name}.key.pem"
"""
READER = """
[[reader]]
name = "desk-{name}"
practice = "{name}"
driver = "{driver}"
slots = [{slots}]
"""


class Town:
    """One gateway for three practices, in the folder of a bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.galss = bench, free_ports()
        self.settings = bench.write_settings(1, free_ports())
        text = self.settings.read_text(encoding="utf-8")
        single = re.compile(r"^\[practice\].*?(?=^\[receiver\])", flags=re.M | re.S)
        tables = ""
        for name, (driver, slots) in PRACTICES.items():
            bench.authority.practice_keys(name)
            tables += PRACTICE.format(name=name)
            tables += READER.format(name=name, driver=driver, slots=slots.replace("PORT", str(self.galss)))
        self.settings.write_text(single.sub(lambda _: tables, text), encoding="utf-8")

    def serve(self, pins: bytes) -> Program:
        """Start it with these PINs, a line each."""
        command = [str(BIN / "vitale-gateway"), "serve", "--pin-stdin", "--config", str(self.settings)]
        return Program(command, given=pins)

    def drop(self, practice: str) -> None:
        """One care act into the inbox of a practice."""
        day = legal_day(self.bench.clock.now()).isoformat()
        act = {"date": day, "acts": [{"code": "G"}], "third_party": "amo"}
        place = self.bench.directory("inbox") / practice
        place.mkdir(parents=True, exist_ok=True)
        (place / "a.partial").write_text(json.dumps(act), encoding="utf-8")
        (place / "a.partial").rename(place / "a.json")

    def answered(self, practice: str) -> bool:
        """Whether it was accepted."""
        path = self.bench.directory("inbox") / practice / "done" / "a.answer.json"
        return path.exists() and json.loads(path.read_text(encoding="utf-8"))["accepted"]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes start side by side here: on a machine that is busy that takes its time."""
    monkeypatch.setattr(test_daemon, "PATIENCE", 90.0)


@pytest.fixture
def town(bench: Bench) -> Town:
    """The settings of three practices."""
    return Town(bench)


def test_each_practice_works_when_it_can(town: Town) -> None:
    """One works at once, one when its reader comes, one waits for its cards; one signal ends them all."""
    gateway = town.serve(b"1234\n1234\n\n")
    try:
        gateway.says(r"practice nord: reader: desk-nord \(emulated\), CPS unlocked; care acts are taken from")
        gateway.says(r"practice sud: reader: desk-sud \(galss\) is waited for")
        gateway.says(r"practice est: slots: Vitale with no card, CPS with no card")
        gateway.says(r"API: http://127.0.0.1:\d+/v1 \(0 tokens")
        for practice in PRACTICES:
            town.drop(practice)
        until(lambda: town.answered("nord"), "the answer to nord")
        gateway.says("practice est: care acts wait: the CPS slot is empty")
        assert not town.answered("sud")
        with EmulatedReader() as far:
            far.insert("CPS", town.bench.card("cps-gp-sector2"))
            far.insert("Vitale", town.bench.card("vitale-family"))
            with GalssServer(LadDevice(far.slots), port=town.galss):
                gateway.says("practice sud: the reader desk-sud is there")
                gateway.says("practice sud: CPS unlocked")
                until(lambda: town.answered("sud"), "the answer to sud")
        code, took = gateway.end(signal.SIGTERM)
        assert (code, took < 5) == (0, True), (code, took)
        assert not any("1234" in line for line in gateway.lines)
    finally:
        gateway.process.kill()
        gateway.process.wait()


def test_a_wrong_pin_of_one_stops_no_other(town: Town) -> None:
    """Said for that practice, with the tries that are left; the gateway works on, that desk locked."""
    gateway = town.serve(b"0000\n\n\n")
    try:
        gateway.says("practice nord: .*PIN.*2 tries")
        gateway.says("practice nord: reader: desk-nord .*, CPS locked")
        assert gateway.end(signal.SIGINT)[0] == 0
        assert gateway.lines[-1] == "stopped in good order; what was accepted is kept."
    finally:
        gateway.process.kill()
        gateway.process.wait()
