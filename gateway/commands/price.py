"""`vitale-gateway price`: who pays what, and why, without cards."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gateway.billing.engine import price
from gateway.billing.request import CareRequest
from gateway.billing.show import as_text
from gateway.billing.tables import Tables
from gateway.commands.typed import read_act, read_stdin


def arguments(parser: argparse.ArgumentParser) -> None:
    """The request."""
    parser.add_argument(
        "request", metavar="FILE", help="the request, one JSON object; - reads standard input"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def work(options: argparse.Namespace) -> int:
    """Price it."""
    data = read_stdin() if options.request == "-" else read_act(Path(options.request))
    priced = price(CareRequest.from_json(data), Tables.load())
    print(json.dumps(priced.to_json()) if options.json else as_text(priced))
    return 0
