"""`vitale-gateway page`: the access codes of the practice's page."""

from __future__ import annotations

import argparse
import sys

from gateway.clock import SystemClock, system_rng
from gateway.commands.typed import practice_of, practice_option, settings_option
from gateway.config import load_config
from gateway.errors import InputError
from gateway.page.codes import Codes


def arguments(parser: argparse.ArgumentParser) -> None:
    """`page new`, `page list`, `page revoke`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for action, what in (
        ("new", "make a new access code and print it, once; the former one opens nothing any more"),
        ("list", "the practices that have a code"),
        ("revoke", "take the code back"),
    ):
        one = actions.add_parser(action, help=what)
        if action != "list":
            practice_option(one)
        settings_option(one)
        one.set_defaults(action=action)


def work(options: argparse.Namespace) -> int:
    """Make, list or take back; a gateway that runs knows it at once."""
    config = load_config(options.config)
    if config.api is None or config.page is None:
        raise InputError(f"there is no section [page] in {options.config}: add it, and [api] with its port")
    codes = Codes.beside(config.api.tokens)
    if options.action == "list":
        print("\n".join(codes.practices()) or "no practice has a code: vitale-gateway page new")
        return 0
    practice = practice_of(config, options)
    if options.action == "revoke":
        codes.revoke(practice)
        print(f"the code of {practice} is taken back")
        return 0
    print(codes.new(practice, SystemClock(), system_rng))
    print(f"vitale-gateway: this code of {practice} is shown once; it opens the page.", file=sys.stderr)
    return 0
