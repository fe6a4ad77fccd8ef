"""The trace of one visit is the one kept in hardware/traces: what the cards say does not change unseen."""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path

from card.iso7816.atr import Atr
from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.pipeline import bill
from reader.emulated import EmulatedReader
from reader.trace import Trace
from tools.bench import TEST_PIN, Bench

TRACES = Path(__file__).resolve().parents[2] / "hardware" / "traces"
KEPT, ATRS = TRACES / "visit.txt", TRACES / "atr.txt"
ATR_HEAD = """\
# How the project's own test cards introduce themselves (ISO 7816-3:2006, clause 8). Both speak T=0 only.
# Made by: python -m tests.journey.test_trace
"""
HEAD = """\
# One visit with the project's own emulated test cards: CPS opened, PIN, Vitale opened, card-to-card, rights,
# seal, signature. Redacted as every trace. Made by: python -m tests.journey.test_trace
"""


MEANINGS = {
    "TA1": "  speed the card offers",
    "TB1": "  no programming voltage",
    "TC1": "  no extra guard time",
    "TD1": "  TC2 follows, protocol T=0",
    "TC2": "  waiting integer 42: 42 x 960 x 372 clock cycles at most between two bytes",
}


def visit(bench: Bench) -> str:
    """The trace of one billed consultation."""
    trace = Trace()
    practice = bench.practice()
    with closing(practice.store), EmulatedReader() as reader:
        reader.observe(trace)
        reader.insert("CPS", bench.card("cps-gp-sector1"))
        reader.insert("Vitale", bench.card("vitale-single"))
        desk = Desk(reader)
        cps = desk.unlock(TEST_PIN)
        with desk.vitale() as vitale:
            bill(practice, cps, vitale, CareAct(legal_day(practice.clock.now()), (Act("G"),)))
        desk.lock()
    return HEAD + "\n".join([*trace.lines(), ""])


def answers_to_reset(bench: Bench) -> str:
    """The ATR of each kind of card, byte by byte."""
    cards = (("Vitale 2", "vitale-single"), ("CPS3, contact", "cps-gp-sector1"))
    return ATR_HEAD + "".join(explained(name, bench.card(profile).power_on()) for name, profile in cards)


def explained(name: str, raw: bytes) -> str:
    """One ATR, each byte under its name."""
    atr = Atr.parse(raw)
    lines = [f"\n{name}: {raw.hex(' ').upper()}", f"  TS  {raw[0]:02X}  direct convention"]
    lines.append(f"  T0  {raw[1]:02X}  {len(atr.historical)} historical bytes")
    for place, group in enumerate(atr.groups, 1):
        for letter, value in zip("ABCD", (group.ta, group.tb, group.tc, group.td), strict=True):
            if value is not None:
                lines.append(f"  T{letter}{place} {value:02X}{MEANINGS.get(f'T{letter}{place}', '')}")
    lines.append(f"  historical bytes {atr.historical.hex(' ').upper()}")
    lines.append(f"  speed Fi {atr.fi}, Di {atr.di}{': offered by PPS' if atr.wants_pps else ''}")
    return "\n".join([*lines, ""])


def test_the_kept_answers_to_reset_are_true(bench: Bench) -> None:
    """Both kinds of card introduce themselves as the kept page says."""
    assert answers_to_reset(bench) == ATRS.read_text(encoding="utf-8")


def test_the_kept_trace_is_true(bench: Bench) -> None:
    """Every exchange of the visit is the kept one: commands, lengths and status words."""
    assert visit(bench) == KEPT.read_text(encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = Bench(Path(folder))
        made.make_cards(["cps-gp-sector1", "vitale-single"])
        KEPT.write_text(visit(made), encoding="utf-8")
        ATRS.write_text(answers_to_reset(made), encoding="utf-8")
    sys.exit(0)
