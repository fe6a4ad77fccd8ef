"""What a person gives a command: the settings file, a care act, the PIN of the CPS."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.care import MAX_ACT, parse_act
from gateway.config import Config
from gateway.errors import InputError
from gateway.secret import Secret

SETTINGS = "vitale-gateway.toml"
MAX_PIN_LINE = 256
MOST = 100_000


def settings_option(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument("--config", type=Path, default=Path(SETTINGS), metavar="FILE", help="settings")


def json_option(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")


def practice_option(parser: argparse.ArgumentParser) -> None:
    """`--practice ID`."""
    parser.add_argument("--practice", metavar="ID", help="which practice, where there are several")


def practice_of(config: Config, options: argparse.Namespace) -> str:
    """The practice that is meant: the one named, or the only one; InputError when that says too little."""
    if options.practice:
        return config.practice_named(options.practice).id
    if len(config.practices) > 1:
        known = ", ".join(one.id for one in config.practices)
        raise InputError(f"there are several practices: choose one with --practice ({known})")
    return config.practice.id


def limit_option(parser: argparse.ArgumentParser) -> None:
    """`--limit N`."""
    parser.add_argument("--limit", type=_count, default=20, metavar="N", help="at most so many (default: 20)")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST}")
    return int(text)


def looking_options(parser: argparse.ArgumentParser) -> None:
    """What every list takes: how many, of which practice, for whom."""
    limit_option(parser)
    practice_option(parser)
    settings_option(parser)
    json_option(parser)


def pin_options(parser: argparse.ArgumentParser, *, later: bool = False) -> None:
    """How the PIN is given. `later`: through the HTTP API."""
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--pin-stdin", action="store_true", help="read the PIN from standard input, never from an argument"
    )
    ways.add_argument(
        "--pin-pad", action="store_true", help="the PIN is typed on the reader's own pad, unseen here"
    )
    if later:
        ways.add_argument(
            "--pin-later", action="store_true", help="the PIN is given later, through the HTTP API"
        )


def number_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """`NUMBER`, of one FSE."""
    parser.add_argument("number", type=int, metavar="NUMBER", help=f"the number of the {what} FSE")


def ask_pin(options: argparse.Namespace) -> Secret:
    """The PIN, from the terminal or standard input; InputError when there is none."""
    if options.pin_stdin and sys.stdin is not None:
        return Secret(sys.stdin.buffer.readline(MAX_PIN_LINE).rstrip(b"\r\n"))
    if sys.stdin is None or not sys.stdin.isatty():
        raise InputError("the PIN of the CPS is needed: run this on a terminal, or give it with --pin-stdin.")
    try:
        return Secret(getpass.getpass("PIN of the CPS: "))
    except EOFError:
        raise InputError("no PIN was given: nothing was sent to the CPS.") from None
    except UnicodeError:
        raise InputError("the PIN of a CPS has 4 digits: nothing was sent to the CPS.") from None


def read_stdin() -> Mapping[str, object]:
    """One care request from standard input."""
    if sys.stdin is None:
        raise InputError("standard input is closed: give the request as a JSON file.")
    return parse_act(sys.stdin.buffer.read(MAX_ACT + 1), "standard input")


def read_act(path: Path) -> Mapping[str, object]:
    """One care act from a file; InputError names the file."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_ACT + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}: give the care act as a JSON file.") from None
    except OSError as problem:
        raise InputError(
            f"{path} cannot be read ({problem.strerror}): give the care act as a JSON file."
        ) from None
    return parse_act(raw, str(path))
