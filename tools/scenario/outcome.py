"""What a year gave: counts and amounts, five ledgers, and everything that did not add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tools.scenario.ledgers import Ledger

BY_CAISSE, BY_COMPLEMENTARY, AT_DESK = "by the caisse", "by the complementary", "at the desk"
SHARE_BY_CAISSE, BY_NOBODY = "by the caisse, complementary share", "by nobody"
REFUSERS = (BY_CAISSE, BY_COMPLEMENTARY, AT_DESK, SHARE_BY_CAISSE, BY_NOBODY)
"""Who refuses; nobody does when a share is never handed on."""


@dataclass
class Outcome:
    """What a year gave. Amounts in cents; `payers`: by month of care and flow; `delays`: by flow and days."""

    people: int
    ledgers: dict[str, Ledger]
    sheets: int = 0
    lots: int = 0
    sent_again: int = 0
    days: int = 0
    paper_sheets: int = 0
    desynchronised: int = 0
    degraded: int = 0
    rectified: int = 0
    lots_refused: int = 0
    attested: int = 0
    schemes: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    charged: Counter[str] = field(default_factory=Counter)
    payers: Counter[tuple[str, str]] = field(default_factory=Counter)
    delays: Counter[tuple[str, int]] = field(default_factory=Counter)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    third_party: Counter[str] = field(default_factory=Counter)
    owed: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
