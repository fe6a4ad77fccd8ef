"""`vitale-gateway token`: who may use the HTTP API."""

from __future__ import annotations

import argparse
import sys

from gateway.api.tokens import Tokens
from gateway.clock import SystemClock, system_rng
from gateway.commands.typed import practice_of, practice_option, settings_option
from gateway.config import load_config
from gateway.errors import InputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """`token new NAME`, `token list`, `token revoke NAME`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for action, what in (
        ("new", "make a token for one practice software and print it, once"),
        ("list", "names, practices and days of the tokens"),
        ("revoke", "take a token back"),
    ):
        one = actions.add_parser(action, help=what)
        if action != "list":
            one.add_argument("name", metavar="NAME", help="the name of the software")
        if action == "new":
            practice_option(one)
        settings_option(one)
        one.set_defaults(action=action)


def work(options: argparse.Namespace) -> int:
    """Make, list or take back; a gateway that runs knows it at once."""
    config = load_config(options.config)
    if config.api is None:
        raise InputError(f"there is no section [api] in {options.config}: add it, with its port and tokens")
    tokens = Tokens(config.api.tokens)
    if options.action == "new":
        print(tokens.new(options.name, practice_of(config, options), SystemClock(), system_rng))
        print("vitale-gateway: this token is shown once; keep it in the software.", file=sys.stderr)
    elif options.action == "revoke":
        tokens.revoke(options.name)
        print(f"the token of {options.name} is taken back")
    else:
        lines = [f"{entry.name:40} {entry.practice:20} {entry.made[:10]}" for entry in tokens.entries()]
        print("\n".join(lines) or "no software has a token: vitale-gateway token new NAME makes one")
    return 0
