"""`vitale-gateway completion`: a script for the shell that completes commands, options and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.errors import InputError

SHELLS = ("bash", "zsh", "tcsh")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=SHELLS, help="for example: vitale-gateway completion bash > FILE")


def work(options: argparse.Namespace) -> int:
    """Print it."""
    from gateway.cli import parser  # noqa: PLC0415 - this command is one of those

    try:
        import shtab  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise InputError("completion needs shtab: pip install 'vitale-gateway[shell]'") from None
    whole = parser()
    for action in _actions(whole):
        if action.type is Path:
            action.complete = shtab.FILE
    print(shtab.complete(whole, options.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[Any]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _actions(one)
