"""`vitale-gateway serve`: takes care acts, makes lots, sends, collects, until stopped."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from gateway.api.tokens import Tokens
from gateway.commands.opened import at_work, say, unlock
from gateway.commands.typed import pin_options, settings_option
from gateway.config import Config
from gateway.daemon import Daemon
from gateway.errors import InputError
from gateway.start import api_beside, open_daemon


def arguments(parser: argparse.ArgumentParser) -> None:
    """How the PIN is given."""
    settings_option(parser)
    pin_options(parser, later=True)


def work(options: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C."""
    stop = Event()
    with at_work(options) as (config, practice, desk):
        daemon = open_daemon(config, practice, desk, say)
        daemon.seats[0].pin_pad = options.pin_pad
        with _offered_api(config, daemon, options):
            if not options.pin_later:
                cps = unlock(desk, options)
                practice.admit(cps.holder.national_id, cps.connection.slot_name)
            _end_on_signals(stop)
            locked = "locked" if options.pin_later else "unlocked"
            say(f"reader: {config.reader.driver}, CPS {locked}; care acts are taken from {config.inbox}")
            for line in practice.store.status().splitlines():
                say(line)
            daemon.run(stop)
    say("stopped in good order; what was accepted is kept.")
    return 0


@contextmanager
def _offered_api(config: Config, daemon: Daemon, options: argparse.Namespace) -> Iterator[None]:
    """The HTTP API beside the daemon when the settings have a section [api]."""
    if config.api is None:
        if options.pin_later:
            raise InputError("--pin-later needs the HTTP API: add a section [api] to the settings")
        yield
        return
    tokens = Tokens(config.api.tokens)
    with api_beside(config, daemon, tokens) as port:
        made = len(tokens.entries())
        known = "1 token" if made == 1 else f"{made} tokens"
        say(f"API: http://{config.api.address}:{port}/v1 ({known}; vitale-gateway token new NAME makes one)")
        yield


def _end_on_signals(stop: Event) -> None:
    """SIGTERM and Ctrl-C stop the work in good order; who asks again to stop changes nothing."""
    asked = (signal.SIGTERM, signal.SIGINT)

    def end(*_: object) -> None:
        for number in asked:
            signal.signal(number, signal.SIG_IGN)
        stop.set()

    for number in asked:
        signal.signal(number, end)
