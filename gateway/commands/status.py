"""`vitale-gateway status`: what is kept, sent, acknowledged, paid, refused."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict

from gateway.commands.opened import store_of
from gateway.commands.typed import json_option, settings_option


def arguments(parser: argparse.ArgumentParser) -> None:
    """For a person, or for a program."""
    settings_option(parser)
    json_option(parser)


def work(options: argparse.Namespace) -> int:
    """Look at the store; a gateway that runs is not disturbed."""
    _, store = store_of(options, read_only=True)
    with closing(store):
        print(json.dumps(asdict(store.counts())) if options.json else store.status())
    return 0
