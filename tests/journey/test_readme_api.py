"""The README's tour of the HTTP API works as written; `serve` with an API lives and ends as one process."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.api.client import ApiProblem, Client
from gateway.api.tokens import Tokens
from gateway.clock import SystemClock, system_rng
from tests.interop.bench_pcscd import unavailable
from tools.bench import PRACTICE, Bench

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def tour() -> str:
    """The block of commands of the section about the HTTP API."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^## The HTTP API\n.*?```sh\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)
    assert found, "README has no section about the HTTP API with a block of commands"
    return found[1]


def test_the_tour_runs(tmp_path: Path) -> None:
    """Every line of the tour ends well in one bash, and says what the README promises."""
    if not (shutil.which("curl") and shutil.which("bash")):
        unavailable("the tour needs bash and curl")
    script = f"set -e\n{tour().replace('8420', str(free_port()))}wait\n"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"HOME": str(tmp_path), "PATH": path, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-m", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for expected in ('"card_present":true', '"state": "open"', '"accepted": true', '"after":"SIGNED"',
                     '"lots": [', "event: card", '"state": "locked"', "stopped in good order"):  # fmt: skip
        assert expected in done.stdout, f"{expected}\n{done.stdout}"
    assert "Traceback" not in done.stderr


class Serving:
    """`vitale-gateway serve` with an API, as a process."""

    def __init__(self, bench: Bench, *options: str) -> None:
        self.port = free_port()
        settings = bench.write_settings(1, self.port)
        tokens = Tokens(bench.root / "tokens.json")
        self.token = tokens.new("soft", PRACTICE, SystemClock(), system_rng)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "serve", "--config", str(settings), *options],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line)
            if "care acts are taken" in line:
                return
        raise AssertionError(self.lines)

    def end(self) -> str:
        """SIGTERM; what it said until its end."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=PATIENCE)
        return "".join(self.lines) + str(out)


@pytest.fixture
def gateway(bench: Bench) -> Iterator[Serving]:
    """A gateway whose PIN comes later."""
    made = Serving(bench, "--pin-later")
    yield made
    made.process.kill()
    made.process.communicate()


def test_a_gateway_serves_and_ends(gateway: Serving) -> None:
    """The PIN comes through the API, a sheet is billed, SIGTERM ends it beside an open stream of events."""
    with Client("127.0.0.1", gateway.port, gateway.token) as client:
        assert client.session()["state"] == "locked"
        client.open_session("1234")
        assert client.session()["sheets_left"] == 250
        watcher = Client("127.0.0.1", gateway.port, gateway.token)
        stream = watcher.events(3600)
        next(stream)
        ended = threading.Thread(target=lambda: list(stream))
        ended.start()
        said = gateway.end()
        ended.join(PATIENCE)
        watcher.close()
    assert gateway.process.returncode == 0
    assert "API: http://127.0.0.1" in said
    assert "stopped in good order" in said
    assert gateway.token not in said


def test_a_port_that_is_taken_is_said(bench: Bench, gateway: Serving) -> None:
    """A second program on the port: one sentence that names the port, and nothing is begun."""
    other = bench.root.parent / "other"
    shutil.copytree(bench.root, other, ignore=shutil.ignore_patterns("gateway.db*"))
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "serve", "--config", str(other / "vitale-gateway.toml"),
         "--pin-later"],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"port {gateway.port} of 127.0.0.1 cannot be used" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_pin_later_needs_an_api(bench: Bench) -> None:
    """Without a section [api] nobody could give the PIN: said in one sentence."""
    settings = bench.write_settings(1)
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "serve", "--config", str(settings), "--pin-later"],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, "add a section [api]" in done.stderr) == (1, True), done.stderr


def test_without_the_framework_it_is_said(bench: Bench) -> None:
    """The extra `api` is not installed: one sentence says how to have it."""
    settings = bench.write_settings(1, free_port())
    code = "import sys; sys.modules['uvicorn'] = None; from gateway.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--config", str(settings), "--pin-later"],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, "pip install 'vitale-gateway[api]'" in done.stderr) == (1, True), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_killed_and_asked_again_bills_once(bench: Bench) -> None:
    """SIGKILL while a sheet is billed, then the same request under its key: one FSE, wherever it fell."""
    first = Serving(bench, "--pin-later")
    act = {"date": SystemClock().now().date().isoformat(), "acts": [{"code": "G"}], "third_party": "amo"}
    with Client("127.0.0.1", first.port, first.token) as client:
        client.open_session("1234")
        client.bill(act, key="before")
        killer = threading.Timer(0.02, first.process.kill)
        killer.start()
        with pytest.raises(OSError) as _lost:  # noqa: PT012 - whichever request it falls into
            for number in range(1000):
                client.bill(act, key=f"k{number}")
    first.process.communicate()
    shutil.move(bench.root / "vitale-gateway.toml", bench.root / "old.toml")
    (bench.root / "tokens.json").unlink()
    second = Serving(bench, "--pin-later")
    try:
        with Client("127.0.0.1", second.port, second.token) as client:
            client.open_session("1234")
            for again in range(number + 1):
                client.bill(act, key=f"k{again}")
            assert len(client.sheets(limit=200)["items"]) == number + 2
            with pytest.raises(ApiProblem):
                client.bill({**act, "third_party": "none"}, key="before")
    finally:
        second.end()
