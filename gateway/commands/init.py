"""`vitale-gateway init`: an example of the settings, in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.commands.typed import SETTINGS
from gateway.config import example_config
from gateway.errors import InputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """The folder."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where (default: here)")


def work(options: argparse.Namespace) -> int:
    """Write the file; one that exists is not touched."""
    target: Path = options.folder / SETTINGS
    if options.folder.exists() and not options.folder.is_dir():
        raise InputError(f"{options.folder} is no folder: choose another name.")
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(example_config())
    except FileExistsError:
        raise InputError(f"{target} exists: edit it, or choose another folder.") from None
    except OSError as problem:
        raise InputError(f"{target} cannot be written ({problem.strerror}): choose another folder.") from None
    print(f"{target} written: edit it, then run vitale-gateway serve --config {target}")
    return 0
