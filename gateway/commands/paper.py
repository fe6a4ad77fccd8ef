"""`vitale-gateway paper`: the paper twin of an FSE made without a Vitale."""

from __future__ import annotations

import argparse
from contextlib import closing

from gateway.commands.opened import store_of
from gateway.commands.typed import number_argument, settings_option


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    number_argument(parser, "kept")
    settings_option(parser)


def work(options: argparse.Namespace) -> int:
    """Print it."""
    config, store = store_of(options, read_only=True)
    with closing(store):
        print(store.twin_of(config.practice.id, options.number), end="")
    return 0
