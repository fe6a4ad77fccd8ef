"""What a command opens and closes again: settings, store, reader, the session with the CPS."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from gateway.cards.cps import CpsSession
from gateway.clock import SystemClock, system_rng
from gateway.commands.typed import ask_pin, practice_of
from gateway.config import Config, load_config
from gateway.desk import Desk
from gateway.errors import InputError
from gateway.paper import write_twins
from gateway.practice import Practice
from gateway.redact import redact
from gateway.start import open_practice, open_reader, open_store
from gateway.store.store import Store
from reader.console import plain


@contextmanager
def at_work(options: argparse.Namespace) -> Iterator[tuple[Config, Practice, Desk]]:
    """Settings read, reader and store open; all closed on the way out."""
    config = load_config(options.config)
    chosen = practice_of(config, options)
    reader = config.reader_of(chosen)
    if reader is None:
        raise InputError(f"the practice {chosen} has no [reader] here: add it, or use the gateway with it")
    with closing(open_reader(reader)) as opened:
        desk = Desk(opened)
        practice = open_practice(config, SystemClock(), system_rng, chosen)
        with closing(practice.store):
            yield config, practice, desk


def store_of(options: argparse.Namespace, *, read_only: bool) -> tuple[Config, Store]:
    """The settings and the store that is there; one that is not there is not made."""
    config, clock = load_config(options.config), SystemClock()
    if not read_only:
        open_store(config, clock, read_only=True).close()
    return config, open_store(config, clock, read_only=read_only)


@contextmanager
def looked_at(options: argparse.Namespace) -> Iterator[tuple[Store, str]]:
    """The store for looking only, and the practice that is meant; a gateway that runs is not disturbed."""
    config, store = store_of(options, read_only=True)
    with closing(store):
        yield store, practice_of(config, options)


def unlock(desk: Desk, options: argparse.Namespace) -> CpsSession:
    """The CPS, its PIN given here or typed on the reader's own pad."""
    if not options.pin_pad:
        return desk.unlock(ask_pin(options))
    print("vitale-gateway: type the PIN of the CPS on the pad of its reader.", file=sys.stderr, flush=True)
    return desk.unlock()


def write_paper(config: Config, practice: Practice) -> None:
    """Paper twins that are not in their folder yet; where they are is said beside the answer."""
    folder = config.practice_named(practice.id).paper
    for path in write_twins(practice.store, practice.id, folder):
        print(f"vitale-gateway: the paper twin is in {path}", file=sys.stderr)


def say(text: str) -> None:
    """One line for whoever looks at the daemon, without anything of the form of a NIR."""
    with suppress(OSError):  # nobody reads any more: no reason to stop working
        print(plain(redact(text)), flush=True)
