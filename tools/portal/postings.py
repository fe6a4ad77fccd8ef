"""Follows the ledger's claims and says whose they are and what is deducted from each, once and durably.

Participation forfaitaire and franchises are computed with `gateway.billing.deductions` in the order in which
the caisse received the sheets, against what was already taken that day and that year.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from gateway.billing.deductions import Deduction, Taken, deductions
from gateway.billing.outcome import Price, PricedLine
from gateway.billing.request import Act, Beneficiary, CareRequest, Practitioner
from gateway.billing.rows import ActRow
from gateway.billing.tables import Tables
from gateway.errors import InputError
from tools.portal.register import Seal
from tools.receiver.adjudication import NOTHING, PAID, birthday, day
from tools.receiver.insured import InsuredBase
from tools.receiver.ledger import Ledger
from tools.receiver.schema import BOOKS
from tools.receiver.vault import Vault

BATCH = 500
_NATURES = {"AM": "maternite", "AT": "at"}
Facts = Mapping[str, Any]


def claim_facts(vault: Vault, payer: str, practitioner: str, number: int, detail: bytes) -> Facts:
    """The sealed facts of one claim; StoreError when they were altered."""
    facts: Facts = json.loads(vault.unseal(detail, f"{payer}/{practitioner}/{number}".encode("ascii")))
    return facts


class Follower:
    """Posts what the receiver has written since the last time."""

    def __init__(
        self,
        ledger: Ledger,
        vault: Vault,
        seal: Seal,
        insured: InsuredBase,
        practitioners: Mapping[str, Sequence[Practitioner]],
        tables: Tables,
    ) -> None:
        self._ledger, self._vault, self._seal, self._insured = ledger, vault, seal, insured
        self._practitioners = practitioners
        self._kinds = _deduction_kinds(tables.acts)
        self._tables = tables

    def catch_up(self) -> None:
        """Post every claim that is not yet; safe to call from any thread."""
        for book in BOOKS:
            while self._post_some(book):
                pass

    def _post_some(self, book: str) -> bool:
        with self._ledger.transaction():
            last = self._ledger.rows("SELECT coalesce(max(claim), 0) FROM posting WHERE book = ?", book)[0][0]
            rows = self._ledger.rows(
                "SELECT id, payer, practitioner, number, first AND decision IN (?, ?), detail"  # noqa: S608
                f" FROM {book} WHERE id > ? ORDER BY id LIMIT ?",
                PAID, NOTHING, last, BATCH,
            )  # fmt: skip
            for row in rows:
                self._post(book, *row)
        return len(rows) == BATCH

    def _post(
        self, book: str, claim: int, payer: str, practitioner: str, number: int, due: int, detail: bytes
    ) -> None:
        facts = claim_facts(self._vault, payer, practitioner, number, detail)
        nir, birth = facts["person"][0], facts["person"][4]
        family, person, on = self._seal.family(nir), self._seal.person(nir, birth), day(facts["date"])
        self._ledger.write(
            "INSERT INTO posting (book, claim, family, person, practitioner, day) VALUES (?, ?, ?, ?, ?, ?)",
            book, claim, family, person, practitioner, on.isoformat(),
        )  # fmt: skip
        if due and book == BOOKS[0]:
            for one in self._deductions(facts, practitioner, person):
                self._ledger.write(
                    "INSERT INTO deduction (claim, family, person, practitioner, day, kind, account, cents)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    claim, family, person, practitioner, on.isoformat(), one.kind, one.account, one.cents,
                )  # fmt: skip

    def _deductions(self, facts: Facts, practitioner: str, person: bytes) -> tuple[Deduction, ...]:
        on, situations = day(facts["date"]), self._practitioners.get(practitioner, (Practitioner(),))
        specialty = situations[0].specialty if situations else ""
        lines = tuple(self._lines(facts, specialty))
        try:
            request = CareRequest(
                date=on,
                practitioner=situations[0] if situations else Practitioner(),
                beneficiary=self._beneficiary(facts, on),
                acts=tuple(Act(line.code, line.quantity) for line in lines),
                nature=_NATURES.get(facts["nature"], "maladie"),
            )
            return deductions(request, _price(lines), self._tables, self._taken(person, on, practitioner))
        except (InputError, ValueError):
            return ()  # a day or a convention without rows: nothing says that anything is owed

    def _beneficiary(self, facts: Facts, on: date) -> Beneficiary:
        nir, birth = facts["person"][0], facts["person"][4]
        known = self._insured.find(nir, birth)
        held = known.held_on(on) if known is not None else frozenset()
        return Beneficiary(birthday(birth, on), css="css" in held, ame="ame" in held)

    def _lines(self, facts: Facts, specialty: str) -> Iterator[PricedLine]:
        for _, code, quantity, _, unit, base, rate, amo, amc, charged, _ in facts["lines"]:
            kind = self._kinds.get((code, specialty), self._kinds.get((code, ""), ""))
            yield PricedLine(
                code, quantity, Decimal(1), unit, base, rate, amo, amc, charged, 0, 0, "", deduction=kind
            )

    def _taken(self, person: bytes, on: date, practitioner: str) -> Taken:
        rows = self._ledger.rows
        today = rows(
            "SELECT kind, sum(cents) FROM deduction WHERE person = ? AND day = ? AND practitioner = ?"
            " GROUP BY kind",
            person, on.isoformat(), practitioner,
        )  # fmt: skip
        year = rows(
            "SELECT account, sum(cents) FROM deduction WHERE person = ? AND day BETWEEN ? AND ?"
            " GROUP BY account",
            person, f"{on.year}-01-01", f"{on.year}-12-31",
        )  # fmt: skip
        return Taken(dict(today), dict(year))


def _price(lines: tuple[PricedLine, ...]) -> Price:
    total = sum(line.amo_cents for line in lines)
    return Price(0, total, 0, 0, 0, 0, lines, (), "10", "")


def _deduction_kinds(acts: Sequence[ActRow]) -> dict[tuple[str, str], str]:
    """Kind of deduction by the letters of B2 and the specialty; "" as specialty stands for any."""
    kinds: dict[tuple[str, str], str] = {}
    for row in acts:
        for code in (row.letters,) if row.letters else row.codes:
            if row.deduction:
                kinds.setdefault((code, ""), row.deduction)
            for specialty in row.specialties:
                kinds[code, specialty] = kinds.get((code, specialty)) or row.deduction
    return kinds
