"""The part `agent` of the benchmark: cards lent by an agent in a process of its own, over TLS on loopback.

Beside them the same cards in this process: what the line costs is the ratio of the two.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from card.iso7816.apdu import CommandAPDU
from gateway.agent.enrolment import enrol
from gateway.agent.hosted import agents_admitted, make_lobby
from gateway.agent.program import Agent
from gateway.agent.settings import SETTINGS, load_settings
from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.clock import SystemClock, system_rng
from gateway.config import AgentsConfig
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.pipeline import bill
from gateway.practice import Practice
from reader.agent.borrowed import AgentReader
from reader.emulated import EmulatedReader
from reader.pinpad import Digits, PinEntry
from tools.bench import PRACTICE, TEST_PIN, Bench
from tools.measure import in_turns

NAME, READY_SECONDS, BUDGET_SECONDS = "desk-1", 20.0, 0.4
CARDS = {"Vitale": "vitale-single", "CPS": "cps-gp-sector1"}
CHALLENGE = CommandAPDU(0, 0x84, 0, 0, b"", 8)


def agent(bench: Bench) -> dict[str, float]:
    """APDU round trips a second and the milliseconds of one bill, through an agent and in this process."""
    bench.make_cards(list(CARDS.values()))
    with ExitStack() as stack:
        practice = bench.practice()
        stack.enter_context(closing(practice.store))
        lent = _lent(bench, stack)
        local = stack.enter_context(EmulatedReader())
        for slot, profile in CARDS.items():
            local.insert(slot, bench.card(profile))
        far, near = Desk(lent), Desk(local)
        stack.callback(lent.close)
        far.unlock()
        near.unlock(TEST_PIN)
        far_apdu, near_apdu = in_turns(_apdu(far), _apdu(near), budget=BUDGET_SECONDS)
        far_bill, near_bill = in_turns(_bill(practice, far), _bill(practice, near), budget=BUDGET_SECONDS)
        return {
            "agent_apdu_per_s": 1 / far_apdu,
            "in_process_apdu_per_s": 1 / near_apdu,
            "agent_apdu_ms": far_apdu * 1000,
            "agent_bill_ms": far_bill * 1000,
            "in_process_bill_ms": near_bill * 1000,
            "agent_bill_ratio": far_bill / near_bill,
        }


def _apdu(desk: Desk) -> Callable[[], object]:
    connection = desk.cps.connection
    return lambda: connection.transmit(CHALLENGE)


def _bill(practice: Practice, desk: Desk) -> Callable[[], object]:
    act = CareAct(date=legal_day(practice.clock.now()), acts=(Act("G"),))

    def visit() -> None:
        with desk.vitale() as vitale:
            bill(practice, desk.cps, vitale, act)

    return visit


def _lent(bench: Bench, stack: ExitStack) -> AgentReader:
    """The reader of an agent that runs in a process of its own, its cards seen."""
    home, clock = bench.directory("agents"), SystemClock()
    config = AgentsConfig(
        "127.0.0.1", 0, home / "gateway.cert.pem", home / "gateway.key.pem", home / "authority.cert.pem"
    )
    folder = enrol(config, NAME, PRACTICE, clock.now()).folder
    lobby = make_lobby(config, clock, lambda _line: None)
    reader = lobby.reader(NAME, PRACTICE)
    stop = threading.Event()
    stack.callback(stop.set)
    port = stack.enter_context(agents_admitted(config, lobby, clock, lambda _line: None, stop))
    _settings(bench, folder, port)
    process = subprocess.Popen([sys.executable, "-m", "tools.load_agent", str(folder / SETTINGS)])
    stack.callback(process.wait)
    stack.callback(process.send_signal, signal.SIGTERM)
    end = time.monotonic() + READY_SECONDS
    while not all(slot.is_present for slot in reader.slots):
        if time.monotonic() > end or process.poll() is not None:
            raise RuntimeError(
                "the agent of the benchmark does not come: run python -m tools.load_agent by hand"
            )
        time.sleep(0.02)
    return reader


def _settings(bench: Bench, folder: Path, port: int) -> None:
    """The agent's settings: cards of its own (an image belongs to one program), no page."""
    file = folder / SETTINGS
    images = [
        str(shutil.copy(bench.card_file(profile), folder / f"{profile}.card")) for profile in CARDS.values()
    ]
    text = file.read_text(encoding="utf-8")
    text = text.replace('driver = "pcsc"', 'driver = "emulated"').replace("port = 8431", "port = 0")
    text = re.sub(r'(?m)^gateway = "[^"]*"', f'gateway = "127.0.0.1:{port}"', text)
    file.write_text(re.sub(r"(?m)^slots = .*$", f"slots = {images}", text, count=1), encoding="utf-8")


class _Typist:
    """Types the test PIN at once."""

    def ask(self, slot: str, entry: PinEntry, cancelled: threading.Event) -> Digits:
        """The digits."""
        return Digits(TEST_PIN.reveal())

    def heard(self, slot: str, status: bytes) -> None:
        """Nobody looks."""


def main() -> None:
    """The agent of the benchmark, with the settings named on the command line, until SIGTERM."""
    settings = load_settings(Path(sys.argv[1]))
    lending = Agent(settings, _Typist(), SystemClock(), system_rng, lambda _line: None)
    signal.signal(signal.SIGTERM, lambda *_: lending.stop())
    lending.run()


if __name__ == "__main__":
    main()
