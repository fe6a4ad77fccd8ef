"""`vitale-gateway lots`: the lots and where they stand; one of them with its sheets and its ARL."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from gateway.commands.opened import looked_at
from gateway.commands.table import as_json, show
from gateway.commands.typed import looking_options
from gateway.remedies import of_receipt
from gateway.store.rows import LotRow
from gateway.store.store import Store


def arguments(parser: argparse.ArgumentParser) -> None:
    """One of them, or how many."""
    parser.add_argument("lot", nargs="?", metavar="LOT", help="one lot, by its id, with its FSE and ARL")
    looking_options(parser)


def work(options: argparse.Namespace) -> int:
    """Look at the store; a gateway that runs is not disturbed."""
    with looked_at(options) as (store, practice):
        if options.lot is None:
            _list(options, store, practice)
        else:
            _one(options, store, practice)
    return 0


def _list(options: argparse.Namespace, store: Store, practice: str) -> None:
    rows = store.lot_list(practice, options.limit)
    if options.json:
        print(json.dumps({"lots": [_content(row) for row in rows]}, ensure_ascii=False))
        return
    headings = ("lot", "number", "day", "to", "FSE", "state", "sends", "next attempt", "why")
    show(headings, [_line(row) for row in rows], "no lot is closed yet")


def _line(row: LotRow) -> tuple[object, ...]:
    turn = f"{row.next_attempt_at:%Y-%m-%d %H:%M:%S}" if row.next_attempt_at else ""
    named = (row.id, row.lot_number, row.lot_date, row.recipient, row.count)
    return (*named, row.state.value, row.sends, turn, row.reason)


def _one(options: argparse.Namespace, store: Store, practice: str) -> None:
    row = store.lot(practice, options.lot)
    sheets, receipts = store.fse_of_lot(practice, row.id), store.receipts(practice, row.id)
    if options.json:
        whole = {**_content(row), "fse": sheets, "receipts": [as_json(asdict(one)) for one in receipts]}
        print(json.dumps(whole, ensure_ascii=False))
        return
    print(
        f"lot {row.lot_number} of {row.lot_date} to {row.recipient}: {row.state.value}  {row.reason}".rstrip()
    )
    print(f"file {row.file_id}, compostage {row.compostage}, {row.count} FSE: {', '.join(map(str, sheets))}")
    rows = [
        (f"{one.at:%Y-%m-%d %H:%M}", "positive" if one.positive else "NEGATIVE",
         f"{one.error_class} {one.code}".strip(), one.outcome, one.reason,
         "" if one.positive else of_receipt(one.error_class))
        for one in receipts
    ]  # fmt: skip
    show(("ARL of", "is", "code", "here", "why", "what to do"), rows, "no ARL has come yet")


def _content(row: LotRow) -> dict[str, object]:
    content: dict[str, object] = as_json(asdict(row))
    content.pop("message")
    return content
