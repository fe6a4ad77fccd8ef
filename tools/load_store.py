"""The part `store` of the benchmark: what an SQLite store of a million FSE answers, and what it sustains.

    python -m tools.load store [--json]
    python -m tools.load_store [--count N] [--json]      the same on a store of N FSE

The pages are those that the API and the page offer; the sheets that are kept go down the real pipeline, both
cards included, each with its own durable commits, while a page polls the same store.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.clock import SystemClock
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.pipeline import bill
from gateway.store.lists import Wanted
from gateway.store.rows import StoredFse
from gateway.store.states import FseState, LotState
from gateway.store.store import Store
from reader.emulated import EmulatedReader
from tools.bench import PRACTICE, TEST_PIN, Bench
from tools.filled import fill, queue
from tools.measure import seconds_once

FSE = 1_000_000
TARGET = 100
"""FSE per second that a practice's gateway has to sustain."""
QUEUED, MAIL = 100_000, 6_000
"""Promise C5: so many sealed lots wait, of so many bytes each."""
PURGED = 130_000
"""How many FSE there are of which the old ones are forgotten."""
SECONDS = 15.0
POLL_SECONDS, PAUSE_SECONDS = 0.25, 0.005
TURNS = 5

Figures = dict[str, float]
Asked = dict[str, Callable[[], object]]


def store(bench: Bench, count: int = FSE) -> Figures:
    """Everything, on one filled store; then 100,000 queued lots in a process of their own."""
    path = bench.root / "gateway.db"
    Store(bench.store_url, bench.clock).close()
    fill(path, PRACTICE, count, bench.clock.now())
    with closing(Store(bench.store_url, bench.clock)) as filled:
        figures = {**_pages(filled), **_sustained(bench, filled)}
    return {**figures, **_purged(bench), **_queued(bench)}


# Pages


def _pages(filled: Store) -> Figures:
    """Milliseconds of the slowest list page, of the numbers per state (at first, then again), of figures."""
    today = legal_day(SystemClock().now())
    lists = {**_lists(filled, PRACTICE, today), **_lists(filled, "small-050", today)}
    slowest, name = max((_milliseconds(ask), name) for name, ask in lists.items())
    print(f"store     the slowest of {len(lists)} list pages: {name}", flush=True)
    first = seconds_once(lambda: filled.counts(PRACTICE)) * 1000
    return {
        "list_page_ms": slowest,
        "counts_first_ms": first,
        "counts_ms": _milliseconds(lambda: filled.counts(PRACTICE)),
        "due_ms": _milliseconds(lambda: filled.due(PRACTICE, today)),
        "months_ms": _milliseconds(lambda: filled.months(PRACTICE, today)),
        "statement_ms": _milliseconds(lambda: filled.statement(PRACTICE, today.year, today.month)),
    }


def _lists(filled: Store, practice: str, today: date) -> Asked:
    """Every page of a list that is offered: the first, one in the middle, each filter."""
    middle = Wanted(after=f"{today - timedelta(days=500)}T00:00:00.000000Z~1")
    days = Wanted(first=today - timedelta(days=400), last=today - timedelta(days=390))
    lot = filled.lot_page(practice, Wanted(limit=1)).rows[0].id
    asked: Asked = {
        "sheets": lambda: filled.fse_page(practice),
        "sheets in the middle": lambda: filled.fse_page(practice, middle),
        "sheets of days": lambda: filled.fse_page(practice, days),
        "sheets in any state": lambda: filled.fse_page(practice, middle, tuple(FseState)),
        "sheets by offset": lambda: filled.fse_list(practice, 50, 500),
        "refused sheets by offset": lambda: filled.fse_list(practice, 50, 0, [FseState.REJECTED]),
        "lots": lambda: filled.lot_page(practice),
        "lots by offset": lambda: filled.lot_list(practice, 50, 500),
        "lots in any state": lambda: filled.lot_page(practice, middle, tuple(LotState)),
        "payments": lambda: filled.payments_matched(practice, middle),
        "payments by offset": lambda: filled.payments(practice, 50, 500),
        "late payments": lambda: filled.late_payments(practice, today),
        "refusals": lambda: filled.refusals(practice, 50),
        "due": lambda: filled.due(practice, today),
        "unmatched": lambda: filled.unmatched(50, practice),
        "history": lambda: filled.history(500, practice),
        "trail": lambda: filled.audit_of(practice, 100, 50),
        "changes": lambda: filled.changes_after(practice, filled.last_change() // 2, 50),
        "receipts": lambda: filled.receipts(practice, lot),
        "sheets of a lot": lambda: filled.fse_of_lot(practice, lot),
        "waiting": lambda: filled.fse_waiting(practice),
        "awaiting": lambda: filled.fse_awaiting(practice),
    }
    asked |= {
        f"sheets {state}": lambda state=state: filled.fse_page(practice, Wanted(), [state])  # type: ignore[misc]
        for state in FseState
    }
    return {f"{name} of {practice}": ask for name, ask in asked.items()}


def _milliseconds(ask: Callable[[], object]) -> float:
    return statistics.median(seconds_once(ask) for _ in range(TURNS)) * 1000


# Work beside a polling page


def _sustained(bench: Bench, filled: Store) -> Figures:
    """FSE per second down the pipeline beside a polling page; the slow end of keeping one."""
    bench.make_cards(["cps-gp-sector1", "vitale-single"])
    practice = bench.practice(filled)
    act = CareAct(legal_day(bench.clock.now()), (Act("G"),), third_party="amo")
    kept: list[float] = []
    keep = filled.keep_fse

    def timed(fse: StoredFse) -> None:
        kept.append(seconds_once(lambda: keep(fse)))

    with EmulatedReader() as reader, _polling(filled) as polls:
        for slot, profile in (("CPS", "cps-gp-sector1"), ("Vitale", "vitale-single")):
            reader.insert(slot, bench.card(profile))
        desk = Desk(reader)
        cps = desk.unlock(TEST_PIN)
        filled.keep_fse = timed  # type: ignore[method-assign]
        start = time.perf_counter()
        with desk.vitale() as vitale:
            while time.perf_counter() < start + SECONDS:
                bill(practice, cps, vitale, act)
        rate = len(kept) / (time.perf_counter() - start)
        filled.keep_fse = keep  # type: ignore[method-assign]
        desk.lock()
    return {
        "durable_fse_per_s": rate,
        "durable_ratio": rate / TARGET,
        "keep_p50_ms": statistics.median(kept) * 1000,
        "keep_p99_ms": statistics.quantiles(kept, n=100)[98] * 1000,
        "poll_p99_ms": statistics.quantiles(polls, n=100)[98] * 1000,
    }


@contextmanager
def _polling(filled: Store) -> Iterator[list[float]]:
    """What a page asks, four times a second, in a thread of its own; the seconds of each round."""
    ended, rounds = threading.Event(), list[float]()

    def ask() -> None:
        today = legal_day(SystemClock().now())
        filled.counts(PRACTICE)
        filled.fse_page(PRACTICE)
        filled.lot_page(PRACTICE)
        filled.due(PRACTICE, today)
        filled.refusals(PRACTICE, 50)

    def poll() -> None:
        while not ended.wait(POLL_SECONDS):
            rounds.append(seconds_once(ask))

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        yield rounds
    finally:
        ended.set()
        poller.join()


def _purged(bench: Bench) -> Figures:
    """Years of bodies are forgotten while numbers are reserved: how long these wait."""
    url = f"sqlite:///{bench.directory('purged') / 'gateway.db'}"
    Store(url, bench.clock).close()
    fill(bench.directory("purged") / "gateway.db", PRACTICE, PURGED, bench.clock.now())
    forgotten: list[int] = []
    waits: list[float] = []
    with closing(Store(url, bench.clock)) as old:
        purging = threading.Thread(target=lambda: forgotten.append(old.forget_bodies(bench.clock.now())))
        start = time.perf_counter()
        purging.start()
        while purging.is_alive():
            waits.append(seconds_once(lambda: old.reserve_fse_number(PRACTICE)))
            time.sleep(PAUSE_SECONDS)
        seconds = time.perf_counter() - start
    return {
        "purge_bodies_per_s": forgotten[0] / seconds,
        "purge_wait_p99_ms": statistics.quantiles(waits, n=100)[98] * 1000,
        "purge_wait_max_ms": max(waits) * 1000,
    }


# Many queued lots


def _queued(bench: Bench) -> Figures:
    """A store with 100,000 queued lots, opened by a process of its own: seconds and peak memory."""
    folder = bench.directory("queued")
    url = f"sqlite:///{folder / 'gateway.db'}"
    Store(url, bench.clock).close()
    queue(folder / "gateway.db", PRACTICE, QUEUED, bench.clock.now(), MAIL)
    command = [sys.executable, "-m", "tools.load_store", "--open", url]
    said: list[str] = []
    whole = seconds_once(
        lambda: said.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    )
    return {"queued_100k_open_s": whole, "queued_100k_peak_mb": json.loads(said[0])["peak_mb"]}


def _open(url: str) -> Figures:
    """Open a store for work, look at it and take the first lots; the peak memory of this process."""
    clock = SystemClock()
    with closing(Store(url, clock)) as opened:
        assert opened.counts().lots["SEALED"] == QUEUED
        opened.due(PRACTICE, legal_day(clock.now()))
        assert len(opened.claim_due(clock.now(), 20, timedelta(minutes=10))) == 20
    return {"peak_mb": _peak_megabytes()}


def _peak_megabytes() -> float:
    """The most memory that this program had; `getrusage` would count that of the one it came from."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or `--open URL` for the process that measures the opening."""
    parser = argparse.ArgumentParser(prog="python -m tools.load_store", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=FSE, help="how many FSE the store holds")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--open", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.open:
        print(json.dumps(_open(options.open)))
        return 0
    with tempfile.TemporaryDirectory(prefix="vitale-load-") as root:
        figures = store(Bench(Path(root)), options.count)
    for name, value in figures.items():
        print(f"store     {name:24} {value:12,.2f}")
    if options.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
