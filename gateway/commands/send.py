"""`vitale-gateway send`: what is due leaves now, what came back is posted."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict

from gateway.clock import SystemClock, system_rng
from gateway.commands.running import alone, running, token_option
from gateway.commands.typed import json_option, settings_option
from gateway.config import load_config
from gateway.delivery import Collected, Sent, collect, send_due
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender
from gateway.returns import opener
from gateway.start import open_practice


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
    with alone():
        practice = open_practice(config, clock, system_rng)
    sender = SmtpSender(receiver.host, receiver.port, allow_remote=receiver.allow_remote)
    with closing(practice.store), closing(sender):
        sent: Sent = send_due(practice.store, sender, clock, system_rng)
        found: Collected = collect(practice.store, Maildir(config.mailbox), opener(practice), practice.id)
    return {**asdict(sent), **asdict(found)}
