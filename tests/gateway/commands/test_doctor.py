"""`vitale-gateway doctor` on a good set-up, and on broken ones: each explained in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.clock import SimulatedClock, SystemClock
from gateway.config import load_config
from gateway.doctor import Finding, Level, examine
from gateway.exchange.breaker import Breaker
from gateway.store.store import Store
from tests.gateway.store.line import Line
from tools.bench import Bench

Findings = Callable[..., list[Finding]]


class Relay:
    """A relay that greets and takes its leave."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._server.accept()
                with peer, peer.makefile("rwb") as line:
                    line.write(b"220 bench\r\n")
                    line.flush()
                    for said in line:
                        line.write(b"221 bye\r\n" if said.upper().startswith(b"QUIT") else b"250 bench\r\n")
                        line.flush()

    def close(self) -> None:
        """Hang up."""
        self._server.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with cards, keys and lists."""
    root = tmp_path_factory.mktemp("doctor")
    bench = Bench(root)
    bench.make_cards(["cps-gp-sector1", "vitale-single"])
    bench.write_settings(4321)
    bench.write_opposition([])
    Store(bench.store_url, bench.clock).close()
    return root


@pytest.fixture
def relay() -> Iterator[Relay]:
    """Somebody to send to."""
    with closing(Relay()) as greeting:
        yield greeting


@pytest.fixture
def world(made: Path, tmp_path: Path, relay: Relay) -> Path:
    """A set-up in which all is well."""
    root = tmp_path / "world"
    shutil.copytree(made, root)
    edit(root, "port = 4321", f"port = {relay.port}")
    return root


@pytest.fixture
def examined(world: Path) -> Findings:
    """What the doctor says of that world, at an hour that may be another one."""

    def look(hours: float = 0) -> list[Finding]:
        clock = SimulatedClock(SystemClock().now() + timedelta(hours=hours))
        return list(examine(load_config(world / "vitale-gateway.toml"), clock, os.urandom))

    return look


def edit(world: Path, old: str, new: str) -> None:
    """One edit of the settings."""
    path = world / "vitale-gateway.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def bad(findings: list[Finding]) -> list[Finding]:
    """What has to be mended."""
    return [one for one in findings if one.level is Level.BAD]


def test_all_is_well(examined: Findings) -> None:
    """A good set-up has nothing to mend; a gateway that does not run is all there is to look at."""
    findings = examined()
    assert bad(findings) == []
    assert [one.about for one in findings if one.level is Level.LOOK] == ["store"]
    assert {one.about for one in findings} >= {"store", "disk", "reader", "receiver", "opposition", "clock"}


def no_relay(world: Path) -> None:
    """Nothing listens where the relay should be."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    path = world / "vitale-gateway.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [f"port = {port}" if line.startswith("port = ") else line for line in lines]
    path.write_text("\n".join(lines), encoding="utf-8")


def no_key(world: Path) -> None:
    """The practice's key is gone."""
    (world / "authority/practices/demo.key.pem").unlink()


def another_key(world: Path) -> None:
    """The key is not that of the certificate."""
    bench = Bench(world)
    bench.authority.practice_keys("other")
    practices = world / "authority/practices"
    shutil.copy(practices / "other.key.pem", practices / "demo.key.pem")


def open_key(world: Path) -> None:
    """Everybody can read the key."""
    (world / "authority/practices/demo.key.pem").chmod(0o644)


def file_for_folder(world: Path) -> None:
    """The inbox is a file."""
    edit(world, 'directory = "inbox"', 'directory = "opposition.txt"')


def no_list(world: Path) -> None:
    """No opposition list was ever fetched."""
    (world / "opposition.txt").unlink()


def damaged_list(world: Path) -> None:
    """The opposition list is torn."""
    with (world / "opposition.txt").open("r+b") as file:
        file.truncate(150)


def no_root(world: Path) -> None:
    """No authority is trusted."""
    shutil.rmtree(world / "authority/trust/roots")


def damaged_store(world: Path) -> None:
    """The store is overwritten."""
    with (world / "gateway.db").open("r+b") as file:
        file.write(b"x" * 200)


def no_store_key(world: Path) -> None:
    """The store without the key of its bodies."""
    (world / "gateway.db.key").unlink()


def lost_store(world: Path) -> None:
    """The key without its store."""
    (world / "gateway.db").unlink()


def damaged_card(world: Path) -> None:
    """The image in the CPS slot is no card."""
    (world / "cards/cps-gp-sector1.card").write_bytes(b"x" * 64)


def cards_swapped(world: Path) -> None:
    """The Vitale is in the slot of the CPS."""
    edit(world, '"cards/cps-gp-sector1.card"', '"cards/vitale-single.card"')


def unknown_driver(world: Path) -> None:
    """A driver that does not exist."""
    edit(world, 'driver = "emulated"', 'driver = "emulate"')


def port_taken(world: Path) -> None:
    """The port of the API is the relay's."""
    text = (world / "vitale-gateway.toml").read_text("utf-8")
    port = next(line for line in text.splitlines() if line.startswith("port = "))
    (world / "vitale-gateway.toml").write_text(f'{text}\n[api]\n{port}\ntokens = "tokens.json"\n', "utf-8")


BROKEN = {
    no_relay: ("receiver", "start it, or correct host and port of [receiver]"),
    no_key: ("keys", "demo.key.pem cannot be read"),
    another_key: ("keys", "is not the key of"),
    open_key: ("rights", "chmod 600"),
    file_for_folder: ("rights", "is a file, and a folder is needed there"),
    no_list: ("keys", "there is no opposition list"),
    damaged_list: ("keys", "the opposition list is damaged or incomplete: fetch it again"),
    no_root: ("keys", "install the authority's root"),
    damaged_store: ("store", "restore the last backup"),
    no_store_key: ("store", "put it back from the backup"),
    lost_store: ("store", "restore the store from the backup"),
    damaged_card: ("reader", "cps-gp-sector1.card"),
    cards_swapped: ("reader", "CPS slot"),
    unknown_driver: ("reader", "choose one of"),
    port_taken: ("API", "belongs to another program"),
}


@pytest.mark.parametrize("break_it", BROKEN, ids=lambda one: one.__name__)
def test_a_broken_one(world: Path, examined: Findings, break_it: Callable[[Path], None]) -> None:
    """One thing is broken: it is the one thing to mend, in one sentence that says what to do."""
    break_it(world)
    about, words = BROKEN[break_it]
    [found] = bad(examined())
    assert (found.about, words in found.says) == (about, True), found
    assert "\n" not in found.says


@pytest.mark.parametrize(
    ("hours", "about", "words"),
    [
        (30, "opposition", "older than 24 hours: fetch today's update"),
        (-30, "opposition", "set this machine's clock"),
        (24 * 365 * 30, "certificates", "ended on"),
    ],
)
def test_another_hour(examined: Findings, hours: float, about: str, words: str) -> None:
    """A list that is too old, a clock that was set back, certificates that have ended."""
    assert any(one.about == about and words in one.says for one in bad(examined(hours)))


def test_the_clock_was_set_back(world: Path, examined: Findings) -> None:
    """The store was written later than the clock says; an hour later it is not said any more."""
    later = SimulatedClock(SystemClock().now() + timedelta(hours=1))
    (world / "gateway.db").unlink()
    (world / "gateway.db.key").unlink()
    line = Line(world, later)
    line.keep()
    line.store.close()
    [found] = [one for one in bad(examined()) if one.about == "clock"]
    assert "set the clock" in found.says
    assert not [one for one in bad(examined(2)) if one.about == "clock"]


def test_little_space(examined: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is nearly full is looked at, one that is full is to be mended."""
    for free, level in ((100 * 2**20, Level.LOOK), (2**20, Level.BAD)):
        monkeypatch.setattr("gateway.doctor.shutil.disk_usage", lambda _, free=free: _Free(free))
        assert {one.level for one in examined() if one.about == "disk"} == {level}


class _Free:
    def __init__(self, free: int) -> None:
        self.free = free


def test_a_gateway_that_runs(world: Path, examined: Findings) -> None:
    """Beside a gateway nothing is said of starting one, and its cards are left to it."""
    with Store(f"sqlite:///{world / 'gateway.db'}", SystemClock()):
        findings = examined()
    assert bad(findings) == []
    assert any("a gateway works on it" in one.says for one in findings)
    assert not any("CPS in its slot" in one.says for one in findings)


def test_nothing_is_changed(world: Path, examined: Findings) -> None:
    """An examination leaves the store as it is: no claim is given back, no line is tried sooner."""
    now = SystemClock().now()
    held = Breaker("127.0.0.1:9", 5, now, now + timedelta(minutes=9), "no")
    with Store(f"sqlite:///{world / 'gateway.db'}", SystemClock()) as store:
        store.note_line(held.name, held)
    examined()
    with Store(f"sqlite:///{world / 'gateway.db'}", SystemClock(), read_only=True) as store:
        assert store.breakers() == [held]


def test_the_command(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 when nothing is to be mended, 1 otherwise; --json for programs, --quiet for the rest."""
    settings = ["--config", str(world / "vitale-gateway.toml")]
    assert main(["doctor", *settings]) == 0
    assert "0 to mend, 1 to look at" in capsys.readouterr().out
    no_list(world)
    assert main(["doctor", "--json", *settings]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {"BAD", "look", "good"} == {one["level"] for one in findings}
    assert main(["doctor", "--quiet", *settings]) == 1
    assert "good  " not in capsys.readouterr().out
    assert main(["doctor", "--config", str(world / "nothing.toml")]) == 1
    assert "write one with vitale-gateway init" in capsys.readouterr().err
