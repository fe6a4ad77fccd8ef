"""`vitale-gateway cancel`: an FSE that is in no lot yet is withdrawn."""

from __future__ import annotations

import argparse
from contextlib import closing

from gateway.commands.opened import store_of
from gateway.commands.running import alone, running, token_option
from gateway.commands.typed import number_argument, settings_option


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    number_argument(parser, "kept")
    token_option(parser)
    settings_option(parser)


def work(options: argparse.Namespace) -> int:
    """Withdraw it."""
    if options.token:
        with running(options) as client:
            client.cancel(options.number)
    else:
        with alone():
            config, store = store_of(options, read_only=False)
        with closing(store):
            store.cancel(config.practice.id, options.number, "cancelled by hand")
    print(f"FSE {options.number} is cancelled; its number is not used again")
    return 0
