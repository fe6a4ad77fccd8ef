"""`vitale-gateway payments`: what payment returns said, refusals with what to do about them."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from gateway.clock import SystemClock
from gateway.commands.opened import looked_at
from gateway.commands.table import as_json, euros, show
from gateway.commands.typed import looking_options
from gateway.exchange.calendar import legal_day
from gateway.remedies import of_payment
from gateway.store.rows import PaymentLine
from gateway.store.store import Store


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and how many."""
    parser.add_argument("--late", action="store_true", help="only what should have been paid by now")
    looking_options(parser)


def work(options: argparse.Namespace) -> int:
    """Look at the store; a gateway that runs is not disturbed."""
    with looked_at(options) as (store, practice):
        if options.late:
            _late(options, store, practice)
        else:
            _all(options, store, practice)
    return 0


def _all(options: argparse.Namespace, store: Store, practice: str) -> None:
    rows = store.payments(practice, options.limit)
    strangers = store.unmatched(options.limit, practice)
    if options.json:
        content = {
            "payments": [as_json(asdict(row)) for row in rows],
            "unmatched": [as_json(asdict(one)) for one in strangers],
        }
        print(json.dumps(content, ensure_ascii=False))
        return
    headings = ("return of", "FSE", "lot", "is", "AMO", "AMC", "code", "text", "what to do")
    show(headings, [_line(row) for row in rows], "no payment return has come yet")
    if strangers:
        print()
        unmatched = [(f"{one.at:%Y-%m-%d %H:%M}", one.kind, one.outcome, one.reason) for one in strangers]
        show(("came", "what", "is", "why"), unmatched, "")


def _late(options: argparse.Namespace, store: Store, practice: str) -> None:
    late = store.late_payments(practice, legal_day(SystemClock().now()))
    if options.json:
        print(json.dumps({"late": [as_json(asdict(one)) for one in late]}, ensure_ascii=False))
        return
    rows = [
        (one.number, one.practitioner, one.payer.upper(), euros(one.cents), one.since, one.days)
        for one in late
    ]
    show(("FSE", "professional", "payer", "asked", "accepted", "days"), rows, "nothing is late")


def _line(row: PaymentLine) -> tuple[object, ...]:
    stands = "deferred" if row.deferred else "paid" if row.paid else "REFUSED"
    todo = of_payment(row.code) if row.code else ""
    return (
        f"{row.at:%Y-%m-%d}", row.number, row.lot_number, stands, euros(row.amo_cents), euros(row.amc_cents),
        row.code, row.text, todo,
    )  # fmt: skip
