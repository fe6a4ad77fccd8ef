"""`vitale-gateway abroad`: the paper sheet of a person insured in another state, priced and printed."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path

from gateway.abroad import PaperAct, paper_sheet
from gateway.billing.tables import Tables
from gateway.commands.opened import store_of
from gateway.commands.typed import json_option, practice_of, practice_option, read_act, settings_option
from gateway.places import Place, unknown


def arguments(parser: argparse.ArgumentParser) -> None:
    """The care act, with what the European card or its certificate says."""
    parser.add_argument("act", type=Path, metavar="ACT.json", help="the care act, one JSON object")
    json_option(parser)
    practice_option(parser)
    settings_option(parser)


def work(options: argparse.Namespace) -> int:
    """Print it. Nothing is kept and nothing is sent: the sheet is the paper."""
    asked = PaperAct.from_json(read_act(options.act))
    config, store = store_of(options, read_only=True)
    practice = config.practice_named(practice_of(config, options))
    with closing(store):
        kept = store.place_of(practice.id, asked.act.place) if asked.act.place else b""
    if not kept:
        raise unknown(asked.act.place or "the place of practice (name it in practitioner.place)")
    place = Place.parse(kept)
    priced = asked.price(place, Tables.load(), optam=practice.optam, zone=practice.zone)
    sheet = paper_sheet(asked, place, priced)
    print(json.dumps(priced.to_json() | {"sheet": sheet}) if options.json else sheet.rstrip("\n"))
    return 0
