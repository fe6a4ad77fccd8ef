"""`vitale-gateway rectify`: a refused FSE made anew, under a new number."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gateway.commands.opened import at_work, unlock, write_paper
from gateway.commands.running import alone, running, token_option
from gateway.commands.typed import number_argument, pin_options, practice_option, read_act, settings_option
from gateway.later import rectify
from gateway.office import accepted


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one, and the corrected act."""
    number_argument(parser, "refused")
    parser.add_argument("act", type=Path, nargs="?", metavar="ACT.json", help="the corrected care act")
    token_option(parser)
    practice_option(parser)
    settings_option(parser)
    pin_options(parser)


def work(options: argparse.Namespace) -> int:
    """Make it anew."""
    data = None if options.act is None else read_act(options.act)
    if options.token:
        with running(options) as client:
            print(json.dumps(client.rectify(options.number, data), ensure_ascii=False, indent=1))
        return 0
    with alone(), at_work(options) as (config, practice, desk):
        practice.store.check_rectifiable(practice.id, options.number)
        unlock(desk, options)
        try:
            billed = rectify(practice, desk, options.number, data)
        finally:
            desk.lock()
        write_paper(config, practice)
    print(json.dumps({**accepted(billed), "rectifies": options.number}, ensure_ascii=False, indent=1))
    return 0
