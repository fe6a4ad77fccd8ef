"""`vitale-gateway status`: what is kept, sent, acknowledged, paid, refused, and what is due by law."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict

from gateway.clock import SystemClock
from gateway.commands.opened import store_of
from gateway.commands.table import as_json
from gateway.commands.typed import json_option, practice_of, practice_option, settings_option
from gateway.exchange.calendar import legal_day
from gateway.store.figures import Due, Urgency
from gateway.store.store import Store


def arguments(parser: argparse.ArgumentParser) -> None:
    """For a person, or for a program."""
    practice_option(parser)
    settings_option(parser)
    json_option(parser)


def work(options: argparse.Namespace) -> int:
    """Look at the store; a gateway that runs is not disturbed."""
    config, store = store_of(options, read_only=True)
    with closing(store):
        practices = (
            [practice_of(config, options)] if options.practice else [one.id for one in config.practices]
        )
        if options.json:
            print(json.dumps(_content(store, practices, options.practice), ensure_ascii=False))
        else:
            _print(store, practices, options.practice)
    return 0


def _content(store: Store, practices: list[str], practice: str | None) -> dict[str, object]:
    due = {one: as_json(asdict(_due(store, one))) for one in practices}
    return {**asdict(store.counts(practice)), "due": due}


def _print(store: Store, practices: list[str], practice: str | None) -> None:
    print(store.status(practice))
    for one in practices:
        due = _due(store, one)
        named = f"practice {one}: " if len(practices) > 1 else ""
        if due.today or due.soon:
            print(f"{named}by law {due.today} are due today, {due.soon} more within two working days")
        for item in due.items:
            if item.urgency is not Urgency.SOON:
                when = f"{item.urgency.value}: {item.day} {item.reason}"
                print(f"{named}{item.what} {item.id} ({item.state}) {when}".rstrip())


def _due(store: Store, practice: str) -> Due:
    return store.due(practice, legal_day(SystemClock().now()), 20)
