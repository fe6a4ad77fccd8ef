"""`vitale-gateway paper`: the paper twin of an FSE made without a Vitale."""

from __future__ import annotations

import argparse

from gateway.commands.opened import looked_at
from gateway.commands.typed import number_argument, practice_option, settings_option


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    number_argument(parser, "kept")
    practice_option(parser)
    settings_option(parser)


def work(options: argparse.Namespace) -> int:
    """Print it."""
    with looked_at(options) as (store, practice):
        print(store.twin_of(practice, options.number), end="")
    return 0
