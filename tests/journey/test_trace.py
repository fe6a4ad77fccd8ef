"""The trace of one visit is the one kept in hardware/traces: what the cards say does not change unseen."""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path

from gateway.billing.request import Act
from gateway.care import CareAct
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.pipeline import bill
from reader.emulated import EmulatedReader
from reader.trace import Trace
from tools.bench import TEST_PIN, Bench

KEPT = Path(__file__).resolve().parents[2] / "hardware" / "traces" / "visit.txt"
HEAD = """\
# One visit with the project's own emulated test cards: CPS opened, PIN, Vitale opened, card-to-card, rights,
# seal, signature. Redacted as every trace. Made by: python -m tests.journey.test_trace
"""


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


def test_the_kept_trace_is_true(bench: Bench) -> None:
    """Every exchange of the visit is the kept one: commands, lengths and status words."""
    assert visit(bench) == KEPT.read_text(encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = Bench(Path(folder))
        made.make_cards(["cps-gp-sector1", "vitale-single"])
        KEPT.write_text(visit(made), encoding="utf-8")
    sys.exit(0)
