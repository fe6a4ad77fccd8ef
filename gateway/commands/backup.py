"""`vitale-gateway backup`: the store as it is now, checked, while the gateway works."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from gateway.clock import SystemClock
from gateway.commands.typed import json_option, settings_option
from gateway.config import load_config
from gateway.store.backup import Backup, backup, backups


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder of backups, on another disk")
    parser.add_argument(
        "--key-folder", type=Path, metavar="FOLDER", help="also copy the key of the store, into another place"
    )
    parser.add_argument("--list", action="store_true", help="make none: show those that are there")
    settings_option(parser)
    json_option(parser)


def work(options: argparse.Namespace) -> int:
    """Make one, or list them."""
    if options.list:
        found = backups(options.folder)
    else:
        store = load_config(options.config).store
        made = backup(store.url, options.folder, SystemClock(), key=store.key, key_folder=options.key_folder)
        found = [made]
    if options.json:
        print(json.dumps({"backups": [asdict(one) for one in found]}, default=str))
        return 0
    for one in found:
        print(_said(one))
    if not found:
        print(f"there is no backup in {options.folder}")
    return 0


def _said(one: Backup) -> str:
    key = f"; its key is {one.key}" if one.key else ""
    return f"{one.path}: {one.size // 1024} KB of {one.made_at:%Y-%m-%d %H:%M:%S} UTC, checked{key}"
