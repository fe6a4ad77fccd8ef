"""`vitale-gateway` on real PC/SC: the PIN typed on the pad, pcscd killed, cards taken out and put back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.exchange.calendar import legal_day
from tests.interop.bench_pcscd import BINARIES, DRIVERS, Emulated, Pcscd, needs, wait_for
from tools.bench import Bench
from tools.pcscd import TOGETHER

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("pyscard")]
PROFILES = ("cps-gp-sector1", "vitale-single")
ASKED = "asks for a PIN"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with settings for the PC/SC driver."""
    needs("pcscd", files=(DRIVERS / "libccidtwin.so",))
    bench = Bench(tmp_path_factory.mktemp("made"))
    bench.make_cards(PROFILES)
    settings = bench.write_settings(2525)
    text = settings.read_text().replace('driver = "emulated"', 'driver = "pcsc"')
    text = text.replace(
        'slots = ["cards/vitale-single.card", "cards/cps-gp-sector1.card"]', 'slots = ["Vitale"]'
    )
    settings.write_text(text)
    return bench.root


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Bench:
    """A copy that a test may spoil."""
    shutil.copytree(made, tmp_path / "world")
    return Bench(tmp_path / "world")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what a test has started."""
    with ExitStack() as opened:
        yield opened


def act(bench: Bench) -> str:
    """Today's consultation."""
    day = legal_day(SystemClock().now()).isoformat()
    return json.dumps({"date": day, "acts": [{"code": "G"}], "third_party": "amo"})


class Gateway:
    """The program, its lines read as they come."""

    def __init__(self, environment: dict[str, str], *words: str, given: bytes = b"") -> None:
        self.process = subprocess.Popen(
            [*TOGETHER, BINARIES / "vitale-gateway", *words], env=environment | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(given)
        self.process.stdin.close()
        self.said = ""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line.decode()

    def says(self, words: str) -> None:
        wait_for(lambda: words in self.said, lambda: f"never said {words!r}:\n{self.said}")

    def end(self) -> tuple[int, str]:
        """Its exit code and what it said, waited for."""
        code = self.process.wait(60)
        self._reading.join(5)
        return code, self.said

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def two_readers(bench: Bench, folder: Path, stack: ExitStack) -> tuple[Emulated, Emulated, Pcscd]:
    """The CPS in a reader with a PIN pad, the Vitale in one without, before one pcscd."""
    both = folder / "both"
    both.mkdir()
    readers = []
    for profile, serial in (("cps-gp-sector1", "gempcpinpad"), ("vitale-single", "gempctwin")):
        reader = Emulated(folder / serial, [bench.card_file(profile)], serial=serial)
        readers.append(stack.enter_context(reader))
        for entry in reader.conf_dir.iterdir():
            name = entry.read_text().replace("Vitale Gateway Twin", f"Vitale Gateway {serial}")
            (both / f"{serial}-{entry.name}").write_text(name)
    pcscd = stack.enter_context(Pcscd(folder, conf_dir=both))
    pcscd.wait_for_cards(2)
    return readers[0], readers[1], pcscd


def test_a_pin_typed_on_the_pad_bills(world: Bench, tmp_path: Path, stack: ExitStack) -> None:
    """`bill --pin-pad`: cancelled it is one sentence and nothing kept; typed, the FSE is kept."""
    pad, _, pcscd = two_readers(world, tmp_path, stack)
    (tmp_path / "act.json").write_text(act(world))
    config = str(world.root / "vitale-gateway.toml")

    def bill(*order: str, digits: str = "") -> tuple[int, str]:
        asked = pad.log.count(ASKED)
        gateway = Gateway(
            pcscd.environment, "bill", str(tmp_path / "act.json"), "--pin-pad", "--config", config
        )
        stack.callback(gateway.stop)
        wait_for(lambda: pad.log.count(ASKED) > asked, lambda: f"{gateway.said}\n{pad.log}")
        pad.control(*order, digits=digits)
        return gateway.end()

    code, said = bill("cancel")
    assert code == 1
    assert "The PIN entry was cancelled on the pad of the reader of the CPS in the CPS slot" in said
    code, said = bill("pin", digits="1234\n")
    assert code == 0, said
    assert "type the PIN of the CPS on the pad of its reader" in said
    assert json.loads(said[said.index("{") :])["accepted"]


def test_the_daemon_asks_again_on_the_pad(world: Bench, tmp_path: Path, stack: ExitStack) -> None:
    """The CPS is taken out and put back: acts wait and it is said why; the PIN on the pad, and they go on."""
    pad, _, pcscd = two_readers(world, tmp_path, stack)
    config = str(world.root / "vitale-gateway.toml")
    gateway = Gateway(pcscd.environment, "serve", "--pin-pad", "--config", config)
    stack.callback(gateway.stop)
    wait_for(lambda: pad.log.count(ASKED) == 1, lambda: f"{gateway.said}\n{pad.log}")
    pad.control("pin", digits="1234\n")
    gateway.says("CPS unlocked; care acts are taken from")
    _hand_in(world, "first", act(world))
    gateway.says("care act first.json: FSE 1")
    pad.control("remove", "0")
    _hand_in(world, "second", act(world))
    gateway.says("care acts wait: the CPS slot is empty, insert the CPS")
    pad.control("insert", "0")
    gateway.says("type the PIN of the CPS on the pad of its reader")
    wait_for(lambda: pad.log.count(ASKED) == 2, lambda: pad.log)
    pad.control("pin", digits="1234\n")
    gateway.says("care act second.json: FSE 2")
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.end()[0] == 0, gateway.said


def test_the_daemon_outlives_pcscd(world: Bench, tmp_path: Path, stack: ExitStack) -> None:
    """pcscd is killed and comes back: not a word of Python, acts wait and it is said why and what to do."""
    images = [world.card_file("vitale-single"), world.card_file("cps-gp-sector1")]
    reader = stack.enter_context(Emulated(tmp_path / "reader", images))
    pcscd = stack.enter_context(Pcscd(tmp_path, conf_dir=reader.conf_dir))
    pcscd.wait_for_cards(2)
    link = tmp_path / "comm"
    link.symlink_to(pcscd.socket_name)
    environment = pcscd.environment | {"PCSCLITE_CSOCK_NAME": str(link)}
    config = str(world.root / "vitale-gateway.toml")
    gateway = Gateway(environment, "serve", "--pin-stdin", "--config", config, given=b"1234\n")
    stack.callback(gateway.stop)
    gateway.says("CPS unlocked; care acts are taken from")
    reader.control("remove", "Vitale")
    _hand_in(world, "first", act(world))
    gateway.says("care acts wait: the Vitale slot is empty, insert the patient's card")
    reader.control("insert", "Vitale")
    gateway.says("care act first.json: FSE 1")
    os.kill(pcscd.pid, signal.SIGKILL)
    pcscd.stop()
    _hand_in(world, "second", act(world))
    gateway.says("care acts wait: The PC/SC service is not running: start it")
    pcscd.start()
    link.unlink()
    link.symlink_to(pcscd.socket_name)
    gateway.says("care acts wait: the CPS asks for its PIN again, start vitale-gateway serve again")
    gateway.process.send_signal(signal.SIGTERM)
    code, said = gateway.end()
    assert code == 0
    assert "Traceback" not in said
    again = Gateway(environment, "serve", "--pin-stdin", "--config", config, given=b"1234\n")
    stack.callback(again.stop)
    again.says("care act second.json: FSE")
    again.process.send_signal(signal.SIGTERM)
    assert again.end()[0] == 0


def _hand_in(bench: Bench, name: str, text: str) -> None:
    inbox = bench.root / "inbox"
    inbox.mkdir(mode=0o700, exist_ok=True)
    part: Any = inbox / f"{name}.part"
    part.write_text(text)
    part.rename(inbox / f"{name}.json")
