"""`vitale-gateway fse`: the sheets and where they stand; one of them with its history and its payments."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from gateway.commands.opened import looked_at
from gateway.commands.table import as_json, euros, show
from gateway.commands.typed import looking_options
from gateway.lots.modes import mode_of
from gateway.store.rows import FseRow, HistoryLine, PaymentLine
from gateway.store.states import FseState
from gateway.store.store import Store


def arguments(parser: argparse.ArgumentParser) -> None:
    """One of them, or which."""
    parser.add_argument(
        "number", type=int, nargs="?", metavar="NUMBER", help="one FSE, with all that is known"
    )
    parser.add_argument(
        "--state",
        action="append",
        choices=[state.value for state in FseState],
        help="only those in this state; repeatable",
    )
    looking_options(parser)


def work(options: argparse.Namespace) -> int:
    """Look at the store; a gateway that runs is not disturbed."""
    with looked_at(options) as (store, practice):
        if options.number is None:
            _list(options, store, practice)
        else:
            _one(options, store, practice)
    return 0


def _list(options: argparse.Namespace, store: Store, practice: str) -> None:
    states = [FseState(state) for state in options.state or ()]
    rows = store.fse_list(practice, options.limit, 0, states)
    if options.json:
        print(json.dumps({"fse": [as_json(asdict(row)) for row in rows]}, ensure_ascii=False))
        return
    headings = ("FSE", "made", "acts", "state", "base", "AMO", "AMC", "patient", "before", "why")
    show(headings, [_line(row) for row in rows], _nothing(options.state))


def _nothing(states: list[str] | None) -> str:
    return f"no FSE is {' or '.join(states)} now" if states else "no FSE is kept yet"


def _line(row: FseRow) -> tuple[object, ...]:
    amounts = (row.base_cents, row.amo_cents, row.amc_cents, row.patient_cents)
    state = row.state.value if not row.amc_state else f"{row.state.value} (AMC {row.amc_state})"
    return (
        row.number,
        f"{row.elaborated:%Y-%m-%d %H:%M}",
        row.label,
        state,
        *map(euros, amounts),
        row.deadline,
        row.reason or row.amc_reason,
    )


def _one(options: argparse.Namespace, store: Store, practice: str) -> None:
    row = store.fse(practice, options.number)
    history, payments = store.history(row.number, practice), store.payments_of(practice, row.number)
    if options.json:
        whole = {
            **asdict(row),
            "history": list(map(asdict, history)),
            "payments": list(map(asdict, payments)),
        }
        print(json.dumps(as_json(whole), ensure_ascii=False))
        return
    print(f"FSE {row.number}, {row.label}, {mode_of(row.mode).name}, to {row.destination}: {row.state.value}")
    print(
        f"base {euros(row.base_cents)}, AMO {euros(row.amo_cents)}, AMC {euros(row.amc_cents)}, "
        f"patient {euros(row.patient_cents)}; third-party payment: {row.third_party}"
    )
    _told(history, payments)


def _told(history: list[HistoryLine], payments: list[PaymentLine]) -> None:
    rows = [(f"{line.at:%Y-%m-%d %H:%M}", line.what, line.id, line.after, line.reason) for line in history]
    show(("when", "what", "number", "state", "why"), rows, "")
    paid = [
        (f"{line.at:%Y-%m-%d}", "yes" if line.paid else "no", euros(line.amo_cents), euros(line.amc_cents),
         line.code, line.text)
        for line in payments
    ]  # fmt: skip
    if paid:
        show(("return of", "paid", "AMO", "AMC", "code", "text"), paid, "")
