"""The part `postgres` of the benchmark: two gateways draining one PostgreSQL store, beside one alone.

    python -m tools.load_postgres [--practices 10000] [--json]

Each practice has a sealed lot of 30 FSE queued. Workers are processes of their own that send through
`gateway.delivery.send_due` to a relay that takes everything; one drains a copy of the store, then two drain
another copy. Every lot must have reached the relay once, and the audit trail must hold. What `tools.load`
runs is the whole size; the machine should be otherwise quiet.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import SystemClock, system_rng
from gateway.delivery import send_due
from gateway.exchange.smtp import SmtpSender
from gateway.store.store import Store
from tools.postgres import PostgresServer
from tools.queued import LOT_SIZE, fill

PRACTICES, LIMIT = 10_000, 1.6
"""How many practices have a lot queued, and the ratio that two workers must reach."""

_IN_TURNS = (1, 2, 2, 1)
"""How many workers drain a copy, one measurement after the other; the better one of each counts."""

_QUIET = 0.7
"""Below this load the machine has two cores to spare, which is what two workers want."""

_TEMPLATE, _PARTS = "full", 10
_END = b"\r\n.\r\n"


@dataclass(frozen=True, slots=True)
class Drained:
    """One measurement: seconds, and the largest memory of a worker in MB after a tenth and at the end."""

    workers: int
    seconds: float
    early_mb: float
    late_mb: float


def postgres(practices: int = PRACTICES) -> dict[str, float]:
    """`postgres_two_worker_ratio`: lots per second of two workers over those of one."""
    if (busy := os.getloadavg()[0]) > _QUIET:
        _say(f"this machine does other things (load {busy:.1f}): two workers share what is left of it")
    with PostgresServer() as server, tempfile.TemporaryDirectory(prefix="vitale-key-") as folder:
        key = str(Path(folder) / "key")
        began = time.perf_counter()
        url = server.create(_TEMPLATE)
        with Store(url, SystemClock(), key=key, owner="bench") as store:
            fill(url, store, practices)
        _say(f"{practices * LOT_SIZE:,} FSE queued in {practices:,} lots in {_since(began)}")
        rounds = [_measure(server, key, practices, workers) for workers in _IN_TURNS]
    one, two = (
        min((r for r in rounds if r.workers == workers), key=lambda r: r.seconds) for workers in (1, 2)
    )
    ratio = one.seconds / two.seconds
    verdict = "reached" if ratio >= LIMIT else "NOT reached"
    _say(f"two workers over one: {ratio:.2f}, the limit of {LIMIT} is {verdict}")
    return {
        "postgres_one_worker_fse_per_s": practices * LOT_SIZE / one.seconds,
        "postgres_two_worker_fse_per_s": practices * LOT_SIZE / two.seconds,
        "postgres_two_worker_ratio": ratio,
        "postgres_worker_early_mb": max(one.early_mb, two.early_mb),
        "postgres_worker_late_mb": max(one.late_mb, two.late_mb),
    }


def _measure(server: PostgresServer, key: str, practices: int, workers: int) -> Drained:
    """Drain a fresh copy of the store with so many workers, and check what came of it."""
    name = f"drained{workers}"
    url = server.create(name, _TEMPLATE)
    with ExitStack() as stack:
        relay = stack.enter_context(_relay())
        share = practices // workers
        hired = [stack.enter_context(_worker(url, key, relay.port, share, n)) for n in range(workers)]
        for worker in hired:
            assert worker.stdout is not None
            worker.stdout.readline()  # ready
        server.rest()
        began = time.perf_counter()
        for worker in hired:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        told = [json.loads(worker.communicate(timeout=600)[0]) for worker in hired]
        seconds = time.perf_counter() - began
        taken = relay.taken()
    assert taken == {"mails": practices, "different": practices}, f"the relay took {taken}"
    assert sum(one["sent"] for one in told) == practices
    with Store(url, SystemClock(), key=key, read_only=True) as store:
        assert store.counts().lots["SENT"] == practices
        store.verify_audit()
    server.drop(name)
    done = Drained(workers, seconds, max(one["early"] for one in told), max(one["late"] for one in told))
    rate = practices * LOT_SIZE / seconds
    shares = " + ".join(f"{one['sent']:,}" for one in told)
    _say(
        f"{workers} worker(s): {seconds:6.1f} s, {rate:8,.0f} FSE/s, {practices / seconds:6,.0f} lots/s "
        f"({shares} lots); memory {done.early_mb:.0f} MB after 10 %, {done.late_mb:.0f} MB at the end"
    )
    return done


@dataclass(frozen=True, slots=True)
class _Relay:
    process: subprocess.Popen[str]
    port: int

    def taken(self) -> dict[str, int]:
        """Stop it; how many mails it took, and how many different ones."""
        found: dict[str, int] = json.loads(self.process.communicate("", timeout=30)[0])
        return found


@contextmanager
def _relay() -> Iterator[_Relay]:
    with _child("relay") as process:
        assert process.stdout is not None
        yield _Relay(process, int(process.stdout.readline()))


@contextmanager
def _worker(url: str, key: str, port: int, share: int, number: int) -> Iterator[subprocess.Popen[str]]:
    with _child("worker", url, key, str(port), str(share), f"worker-{number}") as process:
        yield process


@contextmanager
def _child(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.load_postgres", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def work(url: str, key: str, port: int, share: int, name: str) -> None:
    """A worker: send what is due until nothing is; say how many lots left and how much memory that took."""
    clock, sent, early = SystemClock(), 0, 0.0
    with Store(url, clock, key=key, owner=name) as store, closing(SmtpSender("127.0.0.1", port)) as sender:
        print("ready", flush=True)
        sys.stdin.readline()
        while done := send_due(store, sender, clock, system_rng).sent:
            sent += done
            if not early and sent >= share / _PARTS:
                early = _memory()
    print(json.dumps({"sent": sent, "early": early, "late": _memory()}))


def _memory() -> float:
    """Resident memory of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class _Taking(asyncio.Protocol):
    """A relay's side of SMTP, as short as it can be: everything is taken, its hash is noted."""

    def __init__(self, seen: list[int]) -> None:
        self._seen, self._data, self._in_mail = seen, bytearray(), False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 bench\r\n")

    def data_received(self, data: bytes) -> None:
        self._data += data
        while self._in_mail or b"\r\n" in self._data:
            if not self._in_mail:
                line, _, self._data = self._data.partition(b"\r\n")
                self._in_mail = line.upper() == b"DATA"
                self._transport.write(_answer(bytes(line.upper())))
            elif self._data.endswith(_END):
                self._seen.append(hash(bytes(self._data)))
                self._data.clear()
                self._in_mail = False
                self._transport.write(b"250 taken\r\n")
            else:
                return


def _answer(line: bytes) -> bytes:
    if line == b"DATA":
        return b"354 go on\r\n"
    return b"221 bye\r\n" if line == b"QUIT" else b"250 yes\r\n"


async def relay() -> None:
    """A relay on a free port, which it says; until its input ends. Then it says what it took."""
    seen: list[int] = []
    loop = asyncio.get_running_loop()
    served = await loop.create_server(lambda: _Taking(seen), "127.0.0.1", 0)
    print(served.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    served.close()
    print(json.dumps({"mails": len(seen), "different": len(set(seen))}))


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.1f} s"


def _say(line: str) -> None:
    print(f"postgres  {line}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the words `worker` and `relay` are for its own children."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["worker"]:
        work(given[1], given[2], int(given[3]), int(given[4]), given[5])
        return 0
    if given[:1] == ["relay"]:
        asyncio.run(relay())
        return 0
    parser = argparse.ArgumentParser(
        prog="python -m tools.load_postgres", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--practices", type=int, default=PRACTICES, help="how many have a lot of 30 queued")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(given)
    if options.practices < 2 * _PARTS:
        parser.error(f"--practices must be at least {2 * _PARTS}")
    figures = postgres(options.practices)
    if options.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
