"""`vitale-gateway send`: what is due leaves now, what came back is posted."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path

from gateway.clock import SystemClock, system_rng
from gateway.commands.running import alone, running, token_option
from gateway.commands.typed import json_option, settings_option
from gateway.config import Config, load_config
from gateway.delivery import Collected, Sent, collect, send_due
from gateway.exchange.breaker import relay_line
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender
from gateway.practice import Practice
from gateway.returns import opener
from gateway.start import Shared, equip, open_store

COLLECTED = tuple(field.name for field in fields(Collected))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Through the gateway that runs, or without one."""
    token_option(parser)
    settings_option(parser)
    json_option(parser)


def work(options: argparse.Namespace) -> int:
    """Send and collect; lots are closed by the gateway that has the CPS."""
    content = _by_the_gateway(options) if options.token else _by_hand(options)
    if options.json:
        print(json.dumps(content))
        return 0
    print(
        "lots: {sent} sent, {failed} to send again, {parked} parked, {overdue} overdue".format(**content)
        + (f" ({content['why']})" if content.get("why") else "")
    )
    if "posted" in content:
        print("returns: {posted} posted, {unmatched} unmatched, {unreadable} unreadable".format(**content))
    return 0


def _by_the_gateway(options: argparse.Namespace) -> dict[str, object]:
    with running(options) as client:
        return client.send_lots()


def _by_hand(options: argparse.Namespace) -> dict[str, object]:
    config, clock = load_config(options.config), SystemClock()
    receiver = config.receiver
    line = relay_line(receiver.host, receiver.port)
    with alone():
        store = open_store(config, clock)
    sender = SmtpSender(receiver.host, receiver.port, allow_remote=receiver.allow_remote)
    with closing(store), closing(sender):
        shared = Shared.load(config)
        practices = [equip(config, one, store, clock, system_rng, shared) for one in config.practices]
        sent: Sent = send_due(store, sender, clock, system_rng, relay=line)
        found = [collect(store, Maildir(_mailbox(config, one)), opener(one), one.id) for one in practices]
    return {**asdict(sent), **{name: sum(getattr(one, name) for one in found) for name in COLLECTED}}


def _mailbox(config: Config, practice: Practice) -> Path:
    return config.practice_named(practice.id).mailbox
