"""What the gateway costs a machine: the start of its command, the memory of its idle daemon."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tools.bench import Bench
from tools.measure import seconds_once

SETTLE_SECONDS = 2.0
COMMAND = [sys.executable, "-m", "gateway.cli"]


def help_seconds() -> float:
    """Seconds until `vitale-gateway --help` has answered: the best of five."""
    return min(
        seconds_once(lambda: subprocess.run([*COMMAND, "--help"], check=True, capture_output=True))
        for _ in range(5)
    )


def idle_megabytes(bench: Bench) -> float:
    """Resident memory of `vitale-gateway serve` with an unlocked CPS and nothing to do, in MB."""
    settings = bench.write_settings(port=1)  # nobody listens there, and nothing is sent
    command = [*COMMAND, "serve", "--config", str(settings), "--pin-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("1234\n")
        process.stdin.flush()
        assert "unlocked" in process.stdout.readline()
        time.sleep(SETTLE_SECONDS)
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        process.terminate()
        process.stdout.read()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(resident.split()[1]) / 1024
