"""What the gateway costs a machine: the start of its command and of its daemon, the memory of an idle one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.bench import Bench
from tools.measure import seconds_once

SETTLE_SECONDS = 2.0
PATIENCE = 60.0
COMMAND = [sys.executable, "-m", "gateway.cli"]


def help_seconds() -> float:
    """Seconds until `vitale-gateway --help` has answered: the best of five."""
    return min(
        seconds_once(lambda: subprocess.run([*COMMAND, "--help"], check=True, capture_output=True))
        for _ in range(5)
    )


def idle_figures(bench: Bench) -> dict[str, float]:
    """`serve` with API and page, an unlocked CPS and nothing to do.

    `serve_start_s`: seconds until it is ready, the best of three; `idle_mb`: its resident memory, in MB.
    """
    settings = bench.write_settings(port=1, api=_free_port())  # nobody listens at port 1, nothing is sent
    with settings.open("a", encoding="utf-8") as file:
        file.write("\n[page]\nenabled = true\n")
    starts = []
    for _ in range(3):
        with _serving(settings) as (process, seconds):
            starts.append(seconds)
            time.sleep(SETTLE_SECONDS)
            megabytes = _resident_megabytes(process.pid)
    return {"serve_start_s": min(starts), "idle_mb": megabytes}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def _serving(settings: Path) -> Iterator[tuple[subprocess.Popen[str], float]]:
    """A daemon at work, and the seconds that it took from its start."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"{folder}/notify")
        heard.settimeout(PATIENCE)
        command = [*COMMAND, "serve", "--config", str(settings), "--pin-stdin"]
        environment = {**os.environ, "NOTIFY_SOCKET": f"{folder}/notify"}
        began = time.monotonic()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            assert process.stdin is not None
            process.stdin.write("1234\n")
            process.stdin.close()
            try:
                assert heard.recv(64) == b"READY=1", "the daemon never was ready"
                yield process, time.monotonic() - began
            finally:
                process.terminate()


def _resident_megabytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(resident.split()[1]) / 1024
