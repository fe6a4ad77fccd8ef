"""`vitale-gateway release`: a parked lot goes back into the queue, the same bytes again."""

from __future__ import annotations

import argparse
from contextlib import closing

from gateway.commands.opened import store_of
from gateway.commands.running import alone, running, token_option
from gateway.commands.typed import settings_option


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    parser.add_argument("lot", metavar="LOT", help="its id, as status shows it")
    token_option(parser)
    settings_option(parser)


def work(options: argparse.Namespace) -> int:
    """Release it."""
    if options.token:
        with running(options) as client:
            client.release(options.lot)
    else:
        with alone():
            _, store = store_of(options, read_only=False)
        with closing(store):
            store.release(options.lot, "released by hand")
    print(f"lot {options.lot} leaves again when vitale-gateway serve runs")
    return 0
