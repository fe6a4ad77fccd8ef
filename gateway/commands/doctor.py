"""`vitale-gateway doctor`: what is wrong with this set-up, and what to do about it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from gateway.clock import SystemClock, system_rng
from gateway.commands.table import wrapped
from gateway.commands.typed import json_option, settings_option
from gateway.config import load_config
from gateway.doctor import Finding, Level, examine
from gateway.redact import redact
from reader.console import plain


def arguments(parser: argparse.ArgumentParser) -> None:
    """Everything, or only what is not good."""
    settings_option(parser)
    json_option(parser)
    parser.add_argument("--quiet", action="store_true", help="say nothing of what is good")


def work(options: argparse.Namespace) -> int:
    """Exit code 1 when something is bad."""
    findings = list(examine(load_config(options.config), SystemClock(), system_rng))
    shown = [one for one in findings if not options.quiet or one.level is not Level.GOOD]
    if options.json:
        print(json.dumps({"findings": [asdict(one) for one in shown]}, ensure_ascii=False))
    else:
        _print(shown, findings)
    return 1 if any(one.level is Level.BAD for one in findings) else 0


def _print(shown: list[Finding], findings: list[Finding]) -> None:
    width = max((len(one.about) for one in findings), default=0)
    for one in shown:
        for line in wrapped(plain(redact(one.says)), f"{one.level:4}  {one.about:{width}}  "):
            print(line)
    bad, look = (sum(one.level is level for one in findings) for level in (Level.BAD, Level.LOOK))
    print(f"{bad} to mend, {look} to look at, {len(findings) - bad - look} good")
