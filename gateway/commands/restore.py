"""`vitale-gateway restore`: the store of a backup in place of the one that is lost."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.clock import SystemClock
from gateway.commands.typed import settings_option
from gateway.config import load_config
from gateway.store.backup import restore


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which backup, and what is known since."""
    parser.add_argument("backup", type=Path, metavar="BACKUP", help="a folder that `backup` has made")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the key, where it is lost too")
    parser.add_argument(
        "--last-number",
        action="append",
        type=_known,
        default=[],
        metavar="PRACTICE=N",
        help="the last FSE number that a practice has used (default: a margin is skipped); repeatable",
    )
    parser.add_argument(
        "--over", action="store_true", help="also in place of a store that has gone on; it is kept beside"
    )
    settings_option(parser)


def _known(text: str) -> tuple[str, int]:
    practice, equals, number = text.partition("=")
    if not (practice and equals and number.isdecimal()):
        raise argparse.ArgumentTypeError("write it as PRACTICE=NUMBER")
    return practice, int(number)


def work(options: argparse.Namespace) -> int:
    """Restore it, and say what a person has to look at."""
    store = load_config(options.config).store
    done = restore(
        options.backup,
        store.url,
        SystemClock(),
        key=store.key,
        key_copy=options.key,
        known=dict(options.last_number),
        over=options.over,
    )
    print(f"the store of {done.backup.made_at:%Y-%m-%d %H:%M} UTC is back")
    for one in (number for number in done.numbers if number.kind == "fse"):
        print(f"practice {one.practice}: the next FSE is number {one.last + 1}")
    if done.kept is not None:
        print(f"what was there is kept as {done.kept}")
    if done.unsent:
        print(
            f"{done.unsent} FSE wait as they did then and may have left since: "
            "compare them with your receipts before vitale-gateway serve sends them"
        )
    return 0
