"""The year in figures, for people (summary.txt) and for programs (summary.json). Nobody is named in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from tools.portal.words import MOTIVES
from tools.scenario.ledgers import (
    COMPLEMENTARY,
    FLOWS,
    PATIENT,
    SHARE_TO_PATIENT,
    SHARE_TO_PROFESSIONAL,
    TO_PATIENT,
    TO_PROFESSIONAL,
    Ledger,
    differences,
    euros,
    months,
)
from tools.scenario.outcome import Outcome
from tools.scenario.workplace import NAMES

BORNE_BY = {
    "caisse": (TO_PROFESSIONAL, TO_PATIENT),
    COMPLEMENTARY: (SHARE_TO_PROFESSIONAL, SHARE_TO_PATIENT),
}
"""Who bears what of the care of a month; what is left is the patient's."""
_WIDTH = 14


def faults(outcome: Outcome) -> list[str]:
    """Everything that does not add up, the first difference first; empty when every cent is accounted for."""
    return [*differences(outcome.ledgers), *outcome.faults]


def borne(outcome: Outcome) -> dict[str, dict[str, int]]:
    """Cents of the care of each month by who bears them in the end: caisse, complementary, patient."""
    found = {}
    for month, charged in sorted(outcome.charged.items()):
        paid = {who: sum(outcome.payers[month, flow] for flow in flows) for who, flows in BORNE_BY.items()}
        found[month] = {**paid, PATIENT: charged - sum(paid.values())}
    return found


def causes(outcome: Outcome) -> list[tuple[str, str, int]]:
    """Refusals by who refuses, in words, with their number, most frequent first."""
    rows = [(who, MOTIVES.get(code, code), count) for (who, code), count in outcome.refusals.items()]
    return sorted(rows, key=lambda row: (-row[2], row))


def delays(outcome: Outcome) -> dict[str, dict[int, int]]:
    """How many payments came so many days after the care, by flow."""
    found: dict[str, dict[int, int]] = {}
    for (flow, days), count in sorted(outcome.delays.items()):
        found.setdefault(flow, {})[days] = count
    return found


def to_json(outcome: Outcome) -> dict[str, Any]:
    """The whole summary; the same for the same seed, days and insured."""
    return {
        "insured": outcome.people,
        "schemes": dict(sorted(outcome.schemes.items())),
        "days": outcome.days,
        "sheets": outcome.sheets,
        "sheets_by_place": dict(sorted(outcome.places.items())),
        "third_party": dict(sorted(outcome.third_party.items())),
        "attested_sheets": outcome.attested,
        "paper_sheets": outcome.paper_sheets,
        "desynchronised_sheets": outcome.desynchronised,
        "degraded_sheets": outcome.degraded,
        "rectified_sheets": outcome.rectified,
        "lots_refused": outcome.lots_refused,
        "lots": outcome.lots,
        "lots_sent_again": outcome.sent_again,
        "charged_cents": sum(outcome.charged.values()),
        "borne_cents_by_month_of_care": borne(outcome),
        "deductions_owed_cents": dict(sorted(outcome.owed.items())),
        "refusals": [{"by": by, "cause": cause, "count": count} for by, cause, count in causes(outcome)],
        "delays_days": delays(outcome),
        "agree": not faults(outcome),
        "differences": faults(outcome),
        "ledgers": {
            party: _by_month(ledger, months(outcome.ledgers)) for party, ledger in outcome.ledgers.items()
        },
    }


def totals(ledger: Ledger) -> dict[str, int]:
    """One party's year in cents."""
    return {"paid_cents": ledger.paid, "received_cents": ledger.received}


def _by_month(ledger: Ledger, named: Iterable[str]) -> dict[str, Any]:
    by_month = {month: {flow: ledger.month(month, flow) for flow in ledger.flows} for month in named}
    return {"totals": totals(ledger), "months": by_month}


def encoded(outcome: Outcome) -> str:
    """summary.json."""
    return json.dumps(to_json(outcome), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def lines(outcome: Outcome) -> Iterator[str]:
    """summary.txt, line by line."""
    yield from _head(outcome)
    for ledger in outcome.ledgers.values():
        yield ""
        yield from _table(ledger, months(outcome.ledgers))
    yield ""
    yield from _who_bears(outcome)
    yield ""
    yield from _refusals(outcome)
    yield ""
    yield from _verdict(outcome)


def _head(outcome: Outcome) -> Iterator[str]:
    schemes = ", ".join(f"{count} {name}" for name, count in outcome.schemes.most_common())
    places = ", ".join(f"{NAMES[where]} {count}" for where, count in sorted(outcome.places.items()))
    asked = ", ".join(f"{name} {count}" for name, count in outcome.third_party.most_common())
    yield f"{outcome.people} insured ({schemes}), {outcome.days} days of care"
    yield f"{outcome.sheets} sheets in {outcome.lots} lots: {places}"
    yield f"{outcome.sent_again} lots went again, their receipt was lost; nothing was paid twice"
    yield f"third-party payment: {asked}"
    yield f"without the card: {outcome.attested} sheets on an attestation, {outcome.paper_sheets} on paper"
    yield f"signed later {outcome.desynchronised} sheets, signed by nobody {outcome.degraded}"
    yield f"{outcome.lots_refused} lots were refused, and {outcome.rectified} sheets made anew"
    yield f"care for {euros(sum(outcome.charged.values()))}"


def _table(ledger: Ledger, named: list[str]) -> Iterator[str]:
    """One ledger, a line a month; the flows are numbered, and named below."""
    yield f"LEDGER OF THE {ledger.party.upper()} (EUR)"
    numbers = [f"[{list(FLOWS).index(flow) + 1}]" for flow in ledger.flows]
    yield _row("month", numbers)
    for month in named:
        yield _row(month, [_amount(ledger.month(month, flow)) for flow in ledger.flows])
    yield _row("total", [_amount(ledger.total(flow)) for flow in ledger.flows])
    yield f"paid {euros(ledger.paid)}, received {euros(ledger.received)}"


def _row(name: str, cells: Iterable[str]) -> str:
    return f"{name:9}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells)


def _amount(cents: int) -> str:
    return euros(cents).removesuffix(" EUR")


def _who_bears(outcome: Outcome) -> Iterator[str]:
    yield "WHO BEARS THE CARE OF A MONTH (EUR)"
    table = borne(outcome)
    payers = (*BORNE_BY, PATIENT)
    yield _row("month", payers)
    whole: Counter[str] = Counter()
    for month, cents in table.items():
        whole.update(cents)
        yield _row(month, [_amount(cents[payer]) for payer in payers])
    yield _row("total", [_amount(whole[payer]) for payer in payers])


def _refusals(outcome: Outcome) -> Iterator[str]:
    yield "REFUSALS"
    for who, cause, count in causes(outcome):
        yield f"{count:6}  {who}: {cause.lower()}"


def _verdict(outcome: Outcome) -> Iterator[str]:
    for number, flow in enumerate(FLOWS, 1):
        yield f"[{number}] {flow}"
    owed = ", ".join(f"{account} {euros(cents)}" for account, cents in sorted(outcome.owed.items()) if cents)
    yield f"deductions that wait for a later reimbursement: {owed or 'none'}"
    found = faults(outcome)
    yield "the five ledgers agree to the cent" if not found else f"FIRST DIFFERENCE: {found[0]}"
