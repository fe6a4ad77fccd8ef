"""A card declared stolen in the portal reaches a gateway at work: nobody copies a file (A12)."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator

import pytest

from gateway.clock import SystemClock
from gateway.pki.opposition import OppositionList, encode_base
from tests.interop.bench_pcscd import free_ports
from tests.journey.test_daemon import Program, Surgery, until
from tests.tools.portal_visitor import Visitor
from tools.bench import PRACTICE, Bench
from tools.portal.register import Seal

WHO = "vitale-single"


class National(Surgery):
    """A practice whose receiver publishes the list; the gateway has no list of its own yet."""

    def receiver(self) -> Program:
        """The receiver with its API, its portal and its own copy of the list."""
        root, place = self.bench.root, self.bench.root / "national"
        place.mkdir()
        published = place / "opposition.txt"
        OppositionList.parse(encode_base(1, SystemClock().now(), [])).save(published)
        command = [sys.executable, "-m", "tools.receiver", "serve", "--port", "0", "--practice", PRACTICE]
        command += ["--api", "0", "--portal", str(free_ports())]
        for option, where in (
            ("--authority", root / "authority"), ("--state", root / "receiver"),
            ("--maildir", root / "mailbox"), ("--opposition", published),
        ):  # fmt: skip
            command += [option, str(where)]
        started = Program(command)
        self.running.append(started)
        self.configure(int(started.says(r"listening on .* port (\d+)")[1]))
        source = started.says(r"API on (http://127.0.0.1:\d+)")[1]
        self.portal = int(started.says(r"portal on http://127.0.0.1:(\d+)")[1])
        text = self.settings.read_text(encoding="utf-8")
        asked = f'[trust]\nopposition_source = "{source}"\nopposition_minutes = 0'
        self.settings.write_text(text.replace("[trust]", asked), encoding="utf-8")
        self.bench.opposition_file.unlink()
        return started


@pytest.fixture
def surgery(bench: Bench) -> Iterator[National]:
    """A practice; whatever still runs at the end is killed."""
    made = National(bench)
    yield made
    for program in made.running:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()


def test_a_stolen_card_reaches_a_gateway_at_work(surgery: National) -> None:
    """Billed, declared stolen in the portal, refused: by one running gateway, which fetched every list."""
    surgery.receiver()
    gateway = surgery.serving()
    held = OppositionList.load(surgery.bench.opposition_file)
    assert len(held) == 0, "the first list was fetched at the start"
    surgery.drop("before")
    assert surgery.answer("before")["accepted"]
    visitor = Visitor(surgery.portal)
    assert visitor.enter(Seal.beside(surgery.bench.directory("receiver")).code(WHO)) == 303
    assert visitor.send("/carte", "/carte/opposition", motif="V") == 303
    gateway.says(r"opposition list 2 of .*: 1 cards")
    until(lambda: len(OppositionList.load(surgery.bench.opposition_file)) == 1, "the update on the disk")
    names = (f"after{number}" for number in itertools.count())

    def refused() -> bool:
        """Until the desk has looked at the new list the card may still be taken."""
        surgery.drop(name := next(names))
        answer = surgery.answer(name)
        return not answer["accepted"] and answer["code"] == "card-opposed"

    until(refused, "a refusal of the stolen card")
    assert not [line for line in gateway.lines if re.search("Traceback|mistake", line)]
