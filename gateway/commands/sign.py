"""`vitale-gateway sign`: the CPS signs every FSE that waits for it."""

from __future__ import annotations

import argparse

from gateway.commands.opened import at_work, say, unlock
from gateway.commands.running import alone, running, token_option
from gateway.commands.typed import pin_options, practice_option, settings_option
from gateway.later import sign_waiting


def arguments(parser: argparse.ArgumentParser) -> None:
    """Through the gateway that runs, or how the PIN is given."""
    token_option(parser)
    practice_option(parser)
    settings_option(parser)
    pin_options(parser)


def work(options: argparse.Namespace) -> int:
    """Sign them, each kept before the next."""
    if options.token:
        with running(options) as client:
            print(f"{len(client.sign())} FSE signed; they leave with the next lot")
        return 0
    with alone(), at_work(options) as (_, practice, desk):
        cps = unlock(desk, options)
        try:
            count = sign_waiting(practice, cps, lambda number: say(f"FSE {number} signed"))
        finally:
            desk.lock()
    print(f"{count} FSE signed; they leave when vitale-gateway serve runs")
    return 0
