"""`python -m tools.scenario`: a year of care, and five ledgers that agree to the cent or exit code 1."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from card.issuer import IssuerError
from card.kernel.errors import ImageError
from gateway.errors import GatewayError, InputError
from reader.console import finish
from reader.errors import ReaderError
from tools.scenario.ledgers import PARTIES, Ledgers, month_of
from tools.scenario.outcome import REFUSERS, Outcome
from tools.scenario.plots import ranked, stacked, steps
from tools.scenario.progress import Progress
from tools.scenario.summary import borne, causes, delays, encoded, faults, lines, totals
from tools.scenario.year import MOST_DAYS, START, Year

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a chance name is made in it
_MOST_PEOPLE = 20_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a year; 0 when every cent is accounted for, 1 with the first difference, 130 on Ctrl-C."""
    options = _parser().parse_args(arguments)
    refusals = (GatewayError, IssuerError, ImageError, ReaderError)
    return finish("scenario", lambda: _run(options), refusals, "interrupted; no summary was written.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.scenario", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same year")
    parser.add_argument("--days", type=_count(MOST_DAYS), default=365, help="days of care")
    parser.add_argument("--insured", type=_count(_MOST_PEOPLE), default=500, help="insured people")
    parser.add_argument("--out", type=Path, help="a folder for summary.txt, summary.json and the pictures")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument(
        "--plant-cent",
        choices=PARTIES,
        help="put one cent too many into this party's ledger, to see it found",
    )
    return parser


def _count(most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a whole number from 1 to {most}")
        return int(text)

    return count


def _run(options: argparse.Namespace) -> int:
    begun = time.monotonic()
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise InputError(f"{options.out} is not a folder: give another one for the summary.")
    outcome = _year(options)
    if options.plant_cent:
        plant(outcome.ledgers, options.plant_cent)
    print("\n".join(lines(outcome)))
    if options.out is not None:
        write(outcome, options.out)
        print(f"written to {options.out}: summary.txt, summary.json, {', '.join(_PICTURES)}")
    if options.json:
        print(json.dumps(_last_line(outcome, time.monotonic() - begun)))
    return 1 if faults(outcome) else 0


def _year(options: argparse.Namespace) -> Outcome:
    """One year in a world that lives as long as the run."""
    progress = Progress(options.days)
    try:
        with world() as root, ExitStack() as stack:
            year = Year(root, stack, seed=options.seed, insured=options.insured, days=options.days)
            return year.run(progress.tell)
    finally:
        progress.end()


@contextmanager
def world() -> Iterator[Path]:
    """A folder that is gone afterwards, in memory where the system has a place for that."""
    place = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="vitale-year-", dir=place) as root:
        yield Path(root) / "world"


def plant(ledgers: Ledgers, party: str) -> None:
    """One cent too many in the first line of a party's ledger: the check has to find it."""
    ledger = ledgers[party]
    month, flow = min(ledger.cents, default=(month_of(START), ledger.flows[0]))
    ledger.cents[month, flow] = ledger.month(month, flow) + 1


def write(outcome: Outcome, folder: Path) -> None:
    """The summary and its pictures, into a folder that is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(encoded(outcome), encoding="utf-8")
    (folder / "summary.txt").write_text("\n".join(lines(outcome)) + "\n", encoding="utf-8")
    for name, drawn in _pictures(outcome).items():
        (folder / name).write_text(drawn, encoding="utf-8")


_PICTURES = ("payers.svg", "delays.svg", "refusals.svg")


def _pictures(outcome: Outcome) -> dict[str, str]:
    by_month = {
        month: {who: cents / 100 for who, cents in row.items()} for month, row in borne(outcome).items()
    }
    rows = [(by, cause.capitalize(), count) for by, cause, count in causes(outcome)]
    drawn = (
        stacked("Who bears the care of each month (EUR)", by_month),
        steps("From care to payment (% of each payer's payments)", "days after the care", _parts(outcome)),
        ranked("Refusals by cause (shares and sheets)", REFUSERS, rows),
    )
    return dict(zip(_PICTURES, drawn, strict=True))


def _parts(outcome: Outcome) -> dict[str, dict[int, float]]:
    """Percent of the payments of each flow by days of delay."""
    return {
        flow: {days: 100 * count / sum(counts.values()) for days, count in counts.items()}
        for flow, counts in delays(outcome).items()
    }


def _last_line(outcome: Outcome, seconds: float) -> dict[str, object]:
    return {
        "insured": outcome.people,
        "sheets": outcome.sheets,
        "lots": outcome.lots,
        "seconds": round(seconds, 1),
        "agree": not faults(outcome),
        "ledgers": {party: totals(ledger) for party, ledger in outcome.ledgers.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
