"""`vitale-gateway rehearse`: a new certificate is tried before it is in force."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.certificates import load_certificate, rehearse_own, rehearse_receiver
from gateway.clock import SystemClock, system_rng
from gateway.cms.policy import policy_named
from gateway.commands.typed import practice_of, practice_option, settings_option
from gateway.config import load_config
from gateway.pki import Trust


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose certificate."""
    parser.add_argument("certificate", type=Path, metavar="CERTIFICATE", help="the new one, in PEM")
    parser.add_argument(
        "--key", type=Path, metavar="KEY", help="its key: it is the practice's (without: the receiver's)"
    )
    practice_option(parser)
    settings_option(parser)


def work(options: argparse.Namespace) -> int:
    """Try it; nothing is changed."""
    config, now = load_config(options.config), SystemClock().now()
    trust, policy = Trust.load(config.trust), policy_named(config.receiver.policy)
    if options.key is None:
        held = load_certificate(config.receiver.certificate)
        tried = rehearse_receiver(options.certificate, trust, policy, now, system_rng, held)
        where = "[receiver] certificate"
    else:
        held = load_certificate(config.practice_named(practice_of(config, options)).certificate)
        tried = rehearse_own(options.certificate, options.key, trust, policy, now, system_rng, held)
        where = "[practice] certificate and key"
    for remark in tried.remarks:
        print(remark)
    days = f"{tried.begins:%Y-%m-%d} to {tried.ends:%Y-%m-%d}"
    print(f"good from {days}: name it beside the present one in {where}")
    return 0
