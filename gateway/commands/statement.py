"""`vitale-gateway statement`: a month of one professional, or of the practice, sheet by sheet."""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from dataclasses import asdict

from gateway.clock import SystemClock
from gateway.commands.opened import looked_at
from gateway.commands.table import as_json, euros, show
from gateway.commands.typed import json_option, practice_option, settings_option
from gateway.exchange.calendar import legal_day
from gateway.store.figures import Statement, StatementLine, Sums

HEADINGS = ("FSE", "day", "acts", "state", "base", "excess", "patient", "AMO", "AMC",
            "paid AMO", "paid AMC", "refused", "still due", "why")  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which month, of whom, in which form."""
    parser.add_argument("month", nargs="?", type=_month, metavar="YYYY-MM", help="(default: this month)")
    parser.add_argument(
        "--practitioner",
        default="",
        metavar="NUMBER",
        help="one professional, by billing number and key (default: the whole practice)",
    )
    parser.add_argument("--csv", action="store_true", help="for a spreadsheet; amounts in euros")
    practice_option(parser)
    settings_option(parser)
    json_option(parser)


def _month(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
        raise argparse.ArgumentTypeError("a month is written YYYY-MM, for example 2026-11")
    return int(text[:4]), int(text[5:])


def work(options: argparse.Namespace) -> int:
    """Look at the store; a gateway that runs is not disturbed."""
    today = legal_day(SystemClock().now())
    year, month = options.month or (today.year, today.month)
    with looked_at(options) as (store, practice):
        found = store.statement(practice, year, month, options.practitioner)
    if options.json:
        print(json.dumps(as_json(asdict(found)), ensure_ascii=False))
    elif options.csv:
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerows([HEADINGS, *map(_line, found.lines), _totals(found.totals)])
    else:
        _print(found)
    return 0


def _print(found: Statement) -> None:
    whose = f"professional {found.practitioner}" if found.practitioner else f"practice {found.practice}"
    print(f"{found.first:%Y-%m}, {whose}: {len(found.lines)} FSE")
    if found.lines:
        show(HEADINGS, [*map(_line, found.lines), _totals(found.totals)], "")


def _line(line: StatementLine) -> tuple[object, ...]:
    state = line.state.value if not line.amc_state else f"{line.state.value} (AMC {line.amc_state})"
    return (line.number, line.day, line.label, state, *_amounts(line.sums), line.reason)


def _totals(sums: Sums) -> tuple[object, ...]:
    return ("total", "", "", "", *_amounts(sums), "")


def _amounts(sums: Sums) -> tuple[str, ...]:
    return tuple(
        map(
            euros,
            (sums.base_cents, sums.excess_cents, sums.patient_cents, sums.amo_cents, sums.amc_cents,
             sums.paid_amo_cents, sums.paid_amc_cents, sums.refused_cents, sums.due_cents),
        )
    )  # fmt: skip
