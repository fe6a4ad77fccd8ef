"""What the insured people keep: receipts from the desk, and the letters that answer them.

A receipt says which share is to come back from whom. Each letter has to give that share to the cent, with
what was withheld; a share that nobody answers is remembered until the end of the year.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from tools.scenario.caisse import Letter, Sheet
from tools.scenario.ledgers import (
    BILLS,
    CAISSE,
    COMPLEMENTARY,
    DESK,
    FRANCHISE,
    PARTICIPATION,
    SHARE_TO_PATIENT,
    TO_PATIENT,
    Ledger,
    euros,
)

ACCOUNTS = {"participation": PARTICIPATION, "franchise": FRANCHISE}
FLOW_OF = {CAISSE: TO_PATIENT, COMPLEMENTARY: SHARE_TO_PATIENT}
"""The flow by which each payer pays insured people."""


@dataclass
class Purse:
    """One for all insured people. `faults`: letters that do not give what the receipt says."""

    ledger: Ledger
    faults: list[str] = field(default_factory=list)
    _receipts: dict[tuple[str, Sheet], int] = field(default_factory=dict)

    def pays(self, day: date, cents: int) -> None:
        """At the desk."""
        self.ledger.post(day, DESK, cents)

    def expects(self, payer: str, sheet: Sheet, cents: int) -> None:
        """A receipt: this share of the sheet is to come back from this payer."""
        if cents:
            self._receipts[payer, sheet] = cents

    def settles(self, day: date, cents: int) -> None:
        """A bill for a share that nobody else pays."""
        self.ledger.post(day, BILLS, cents)

    def reads(self, day: date, payer: str, letter: Letter) -> None:
        """A letter, and the money that came with it."""
        promised = self._receipts.pop((payer, letter.sheet), 0)
        given = letter.paid_cents + sum(letter.withheld.values())
        if given != promised:
            self.faults.append(
                f"sheet {letter.sheet[1]} of {letter.sheet[0]}: the receipt promises {euros(promised)} from "
                f"the {payer}, the letter gives {euros(given)}"
            )
        self.ledger.post(day, FLOW_OF[payer], letter.paid_cents)
        for account, cents in letter.withheld.items():
            self.ledger.post(day, ACCOUNTS[account], cents)

    def is_refused(self, payer: str, sheet: Sheet) -> None:
        """A letter that says no; when the caisse says so, nobody hands anything on either."""
        self._receipts.pop((payer, sheet), None)
        if payer == CAISSE:
            self._receipts.pop((COMPLEMENTARY, sheet), None)

    def renumbers(self, old: Sheet, new: Sheet) -> None:
        """The same care under another number: its receipts are for that one now."""
        for payer in (CAISSE, COMPLEMENTARY):
            if cents := self._receipts.pop((payer, old), 0):
                self._receipts[payer, new] = cents

    def unanswered(self, payer: str) -> list[Sheet]:
        """The sheets whose share this payer never answered."""
        return [sheet for who, sheet in self._receipts if who == payer]

    def never_came(self) -> Iterator[str]:
        """The first share that the caisse owes and never spoke of."""
        for sheet in self.unanswered(CAISSE)[:1]:
            where, cents = f"sheet {sheet[1]} of {sheet[0]}", self._receipts[CAISSE, sheet]
            yield f"{where}: {euros(cents)} of the caisse never came, and no refusal did"
