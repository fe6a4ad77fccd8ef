"""`vitale-gateway bill`: one care act, priced, signed and kept."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gateway.care import CareAct
from gateway.commands.opened import at_work, unlock, write_paper
from gateway.commands.typed import pin_options, practice_option, read_act, settings_option
from gateway.office import accepted, bill_act


def arguments(parser: argparse.ArgumentParser) -> None:
    """The care act, and how the PIN is given."""
    parser.add_argument("act", type=Path, metavar="ACT.json", help="the care act, one JSON object")
    practice_option(parser)
    settings_option(parser)
    pin_options(parser)


def work(options: argparse.Namespace) -> int:
    """Bill it with the cards that are there."""
    data = read_act(options.act)
    act = CareAct.from_json(data)  # what is wrong with it is said before a PIN is asked
    with at_work(options) as (config, practice, desk):
        if act.mode != "degraded" or not act.place:
            unlock(desk, options)
        try:
            billed = bill_act(practice, desk, data)
        finally:
            desk.lock()
        write_paper(config, practice)
    print(json.dumps(accepted(billed), ensure_ascii=False, indent=1))
    return 0
