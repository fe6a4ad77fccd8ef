"""`vitale-gateway release`: a parked lot goes back into the queue, the same bytes again."""

from __future__ import annotations

import argparse

from gateway.commands.running import change, token_option
from gateway.commands.typed import practice_option, settings_option


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    parser.add_argument("lot", metavar="LOT", help="its id, as status shows it")
    token_option(parser)
    practice_option(parser)
    settings_option(parser)


def work(options: argparse.Namespace) -> int:
    """Release it, when it is of this practice."""
    lot: str = options.lot
    change(
        options,
        lambda client: client.release(lot),
        lambda store, practice: store.release(store.lot(practice, lot).id, "released by hand"),
    )
    print(f"lot {lot} leaves again when vitale-gateway serve runs")
    return 0
