"""vitale-gateway: bill care acts, run the gateway, look at it. One sentence says what is wrong.

A command is a module of gateway.commands, imported when it is asked for: the help costs no import.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Sequence
from importlib import import_module

from gateway.audit import acting
from gateway.errors import GatewayError
from reader.console import finish
from reader.errors import ReaderError

COMMANDS = {
    "init": "write example settings into a folder",
    "price": "price one care request offline: who pays what, and why",
    "bill": "bill one care act: price, sign with both cards, keep",
    "serve": "take care acts, make lots, send, collect, until stopped",
    "status": "what is kept, sent, acknowledged, paid, refused",
    "fse": "the sheets and where they stand; one with its history and payments",
    "lots": "the lots and where they stand; one with its sheets and ARL",
    "send": "send what is due and collect what came back, now",
    "payments": "what payment returns said, and what to do about refusals",
    "statement": "a month of one professional or of the practice, sheet by sheet",
    "release": "put a parked lot back into the queue: the same bytes again",
    "sign": "the CPS signs every FSE that waits for it (desynchronised)",
    "rectify": "make a refused FSE anew, under a new number",
    "cancel": "withdraw an FSE that is in no lot yet",
    "paper": "print the paper twin of an FSE made without a Vitale",
    "abroad": "print the paper sheet of a person insured in another state",
    "doctor": "what is wrong with this set-up, and what to do about it",
    "rehearse": "try a new certificate of the practice or the receiver before it is in force",
    "backup": "the store as it is now, checked, while the gateway works",
    "restore": "the store of a backup in place of the one that is lost",
    "completion": "a script that completes all this in bash, zsh or tcsh",
    "agent": "lend this machine's readers to a gateway elsewhere; there: enrol, list, revoke",
    "token": "who may use the HTTP API: new, list, revoke",
    "page": "access codes of the practice's page: new, list, revoke",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 refused with one sentence, 2 wrong usage, 130 interrupted."""
    words = sys.argv[1:] if arguments is None else list(arguments)

    def work() -> int:
        options = parser(words[:1]).parse_args(words)
        chosen: Callable[[argparse.Namespace], int] = options.work
        with acting("gateway" if words[:1] == ["serve"] else "command line"):
            return chosen(options)

    refusals = (GatewayError, ReaderError)
    return finish("vitale-gateway", work, refusals, "interrupted; what was accepted is kept.")


def parser(wanted: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The command line, with the arguments of the commands that are `wanted`."""
    whole = argparse.ArgumentParser(prog="vitale-gateway", description=(__doc__ or "").splitlines()[0])
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        one = commands.add_parser(name, help=what)
        if name in wanted:
            module = import_module(f"gateway.commands.{name}")
            one.set_defaults(work=module.work)
            module.arguments(one)
    return whole


if __name__ == "__main__":
    sys.exit(main())
