"""`vitale-gateway cancel`: an FSE that is in no lot yet is withdrawn."""

from __future__ import annotations

import argparse

from gateway.commands.running import change, token_option
from gateway.commands.typed import number_argument, practice_option, settings_option


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    number_argument(parser, "kept")
    token_option(parser)
    practice_option(parser)
    settings_option(parser)


def work(options: argparse.Namespace) -> int:
    """Withdraw it."""
    number: int = options.number
    change(
        options,
        lambda client: client.cancel(number),
        lambda store, practice: store.cancel(practice, number, "cancelled by hand"),
    )
    print(f"FSE {number} is cancelled; its number is not used again")
    return 0
