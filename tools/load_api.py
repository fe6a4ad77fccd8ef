"""The part `api` of the benchmark: a sheet posted through the HTTP API, beside the pipeline alone.

Both bill the same care act with the same cards in this process, on the same durable store, in turns: what is
measured is what HTTP, JSON, the token and the idempotency key cost.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta

from gateway.api.client import Client
from gateway.api.server import serving
from gateway.api.service import Service
from gateway.api.tokens import Tokens
from gateway.clock import system_rng
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender
from gateway.inbox import Inbox
from gateway.office import bill_act, unlock
from gateway.practice import Practice
from gateway.seat import Seat
from gateway.sitting import Sitting
from reader.emulated import EmulatedReader
from tools.bench import TEST_PIN, Bench
from tools.measure import seconds_once

TURNS, SHEETS = 200, 100_000
"""One sheet each way in turns, so that both meet the same machine; the median of the turns counts."""


def api(bench: Bench) -> dict[str, float]:
    """`api_ratio`: time of one sheet through the API over that of the pipeline alone."""
    bench.make_cards(["cps-gp-sector1", "vitale-single"])
    practice = bench.practice()
    with ExitStack() as stack:
        stack.enter_context(closing(practice.store))
        desk = _desk(bench, practice, stack)
        client = _client(bench, practice, desk, stack)
        act = {
            "date": legal_day(bench.clock.now()).isoformat(),
            "acts": [{"code": "G"}],
            "third_party": "amo",
        }
        alone, through, read = _in_single_turns(
            lambda: bill_act(practice, desk, act),
            lambda: client.bill(act),
            lambda: client.sheets(limit=50),
        )
    return {"api_fse_per_s": 1 / through, "api_ratio": through / alone, "api_list_ms": read * 1000}


def _in_single_turns(*works: Callable[[], object]) -> list[float]:
    rounds = [[seconds_once(work) for work in works] for _ in range(TURNS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def _desk(bench: Bench, practice: Practice, stack: ExitStack) -> Desk:
    reader = stack.enter_context(EmulatedReader())
    reader.insert("CPS", bench.card("cps-gp-sector1"))
    reader.insert("Vitale", bench.card("vitale-single"))
    desk = Desk(reader)
    desk.sitting = Sitting(bench.clock, timedelta(hours=1), SHEETS)
    unlock(practice, desk, TEST_PIN)
    return desk


def _client(bench: Bench, practice: Practice, desk: Desk, stack: ExitStack) -> Client:
    sender, mailbox = SmtpSender("127.0.0.1", 1), Maildir(bench.directory("mailbox"))
    seat = Seat(practice, desk, Inbox(bench.directory("inbox")), mailbox, lambda _text: None)
    daemon = Daemon([seat], sender, seat.say)
    tokens = Tokens(bench.directory("tokens.json"))
    token = tokens.new("load", practice.id, bench.clock, system_rng)
    port = stack.enter_context(serving(Service(daemon, tokens), "127.0.0.1", 0))
    return stack.enter_context(closing(Client("127.0.0.1", port, token)))
