"""`vitale-gateway backup`: the store as it is now, checked, while the gateway works."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from gateway.clock import SystemClock
from gateway.commands.typed import json_option, settings_option
from gateway.config import load_config
from gateway.errors import StoreError
from gateway.store.backup import Backup, backup, backup_folders, read_backup


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
    code = 0
    if options.list:
        found, damaged = _those_there(options.folder)
        for sentence in damaged:
            print(f"vitale-gateway: {sentence}", file=sys.stderr)
        code = 1 if damaged else 0
    else:
        store = load_config(options.config).store
        made = backup(store.url, options.folder, SystemClock(), key=store.key, key_folder=options.key_folder)
        found = [made]
    if options.json:
        print(json.dumps({"backups": [asdict(one) for one in found]}, default=_text))
        return code
    for one in found:
        print(_said(one))
    if not found:
        print(f"there is no whole backup in {options.folder}")
    return code


def _those_there(folder: Path) -> tuple[list[Backup], list[str]]:
    """The backups of a folder, and a sentence for each that is damaged: one hides no other."""
    whole, damaged = list[Backup](), list[str]()
    for path in backup_folders(folder):
        try:
            whole.append(read_backup(path))
        except StoreError as wrong:
            damaged.append(str(wrong))
    return whole, damaged


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _said(one: Backup) -> str:
    key = f"; its key is {one.key}" if one.key else ""
    return f"{one.path}: {one.size // 1024} KB of {one.made_at:%Y-%m-%d %H:%M:%S} UTC, checked{key}"
