"""One party's claims: the caisses have a book, the complementary insurers another, with the same rules.

A claim names its payer (14 digits), so that each organism and each insurer can be asked for its own account.
Calls that write stand inside `Ledger.transaction()`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.errors import StoreError

FROM_FSE, FROM_DRE, RELAYED = "F", "D", "R"
"""How a claim came: as a FSE, as a DRE, or handed on by the caisse."""
FROM_PAPER, RELAYED_PAPER = "P", "C"
"""The same over the counter: the caisse's part, and the share that it hands on."""
TO_CAISSES = frozenset({FROM_FSE, FROM_PAPER})
ON_PAPER = frozenset({FROM_PAPER, RELAYED_PAPER})
TO_PROFESSIONAL, TO_INSURED = "P", "I"

_COLUMNS = (
    "record, payer, origin, payee, practitioner, number, first, decision, code, amo_paid, amc_paid, due_at,"
    " detail, insured_due_at"
)


@dataclass(frozen=True)
class Claim:
    """One invoice and one payer's decision: P paid, R rejected, N nothing to return. Amounts in cents.

    `payer`: 14 digits; `payee`: the professional or the insured person. `due_at`: when its line belongs in a
    payment return, None when nothing is returned for it. `detail` is sealed by the vault: the ledger itself
    names nobody. `insured_due_at`: when the insured person is reimbursed, None when nothing goes there.
    `first` is False for a number that was used before: nothing is ever paid for it.
    `rectifies`: the number that the invoice says it takes the place of, 0 for none; it is not kept.
    """

    record: int
    payer: str
    origin: str
    payee: str
    practitioner: str
    number: int
    first: bool
    decision: str
    code: str
    amo_paid: int
    amc_paid: int
    due_at: float | None
    detail: bytes = field(repr=False)
    insured_due_at: float | None = None
    rectifies: int = 0


@dataclass(frozen=True)
class DueClaim:
    """A claim whose line is due in a return, and the lot that it names."""

    id: int
    sender: str
    claim: Claim
    lot_number: int
    lot_date: str


@dataclass(frozen=True)
class Account:
    """What one payer has done: invoices received, rejected, waiting for their return; cents by payee."""

    payer: str
    invoices: int
    rejected: int
    waiting: int
    paid_cents: int
    to_insured_cents: int


class Book:
    """The claims of one table."""

    def __init__(self, db: sqlite3.Connection, table: str) -> None:
        self._db, self.table = db, table
        marks = ", ".join("?" * (_COLUMNS.count(",") + 2))
        self._insert = f"INSERT INTO {table} (lot, {_COLUMNS}) VALUES ({marks})"  # noqa: S608

    def known_numbers(self, practitioner: str, numbers: Sequence[int]) -> set[int]:
        """Which of these invoice numbers this practitioner has used before."""
        marks = ",".join("?" * len(numbers))
        query = f"SELECT number FROM {self.table} WHERE practitioner = ? AND first AND number IN ({marks})"  # noqa: S608
        return {row[0] for row in self._db.execute(query, (practitioner, *numbers))}

    def accepted_numbers(self, practitioner: str, numbers: Sequence[int]) -> set[int]:
        """Which of these invoices this payer has accepted: paid to the professional, or nothing to return."""
        marks = ",".join("?" * len(numbers))
        query = (
            f"SELECT number FROM {self.table} WHERE practitioner = ? AND first"  # noqa: S608
            f" AND decision <> 'R' AND number IN ({marks})"
        )
        return {row[0] for row in self._db.execute(query, (practitioner, *numbers))}

    def keep(self, lot: int, claims: Iterable[Claim]) -> None:
        """Write the claims of a lot."""
        self._db.executemany(
            self._insert,
            [(lot, c.record, c.payer, c.origin, c.payee, c.practitioner, c.number, c.first, c.decision,
              c.code, c.amo_paid, c.amc_paid, c.due_at, c.detail, c.insured_due_at) for c in claims],
        )  # fmt: skip

    def due(self, now: float, limit: int) -> list[DueClaim]:
        """Claims whose line is due, of one payer and one practitioner: one return's worth, oldest first."""
        group = self._db.execute(
            f"SELECT payer, practitioner FROM {self.table}"  # noqa: S608
            " WHERE noemie IS NULL AND due_at IS NOT NULL AND due_at <= ? ORDER BY due_at LIMIT 1",
            (now,),
        ).fetchone()
        if group is None:
            return []
        rows = self._db.execute(
            f"SELECT c.id, lot.sender, lot.number, lot.date, {_qualified()} FROM {self.table} c"  # noqa: S608
            " JOIN lot ON lot.id = c.lot WHERE c.noemie IS NULL AND c.due_at IS NOT NULL AND c.payer = ?"
            " AND c.practitioner = ? AND c.due_at <= ? ORDER BY c.id LIMIT ?",
            (*group, now, limit),
        )
        return [DueClaim(row[0], row[1], _claim(row[4:]), row[2], row[3]) for row in rows]

    def tie(self, claims: Sequence[DueClaim], noemie: int) -> None:
        """Tie claims to the return that answers them; StoreError when one was answered before."""
        done = self._db.executemany(
            f"UPDATE {self.table} SET noemie = ? WHERE id = ? AND noemie IS NULL",  # noqa: S608
            [(noemie, due.id) for due in claims],
        ).rowcount
        if done != len(claims):
            raise StoreError("ledger: a claim was returned twice; nothing was written")

    def advance(self, seconds: float) -> int:
        """Bring every payment that is still to come this much nearer; returns how many."""
        to_insured = self._db.execute(
            f"UPDATE {self.table} SET insured_due_at = insured_due_at - ?"  # noqa: S608
            " WHERE insured_paid_at IS NULL AND insured_due_at IS NOT NULL",
            (seconds,),
        ).rowcount
        return (
            to_insured
            + self._db.execute(
                f"UPDATE {self.table} SET due_at = due_at - ? WHERE noemie IS NULL AND due_at IS NOT NULL",  # noqa: S608
                (seconds,),
            ).rowcount
        )

    def accounts(self) -> list[Account]:
        """One line per payer, in the order of their numbers."""
        rows = self._db.execute(
            "SELECT payer, count(*), sum(decision = 'R'), sum(noemie IS NULL AND due_at IS NOT NULL),"  # noqa: S608
            " sum(CASE WHEN noemie IS NOT NULL THEN amo_paid + amc_paid ELSE 0 END),"
            " sum(CASE WHEN payee = 'I' THEN amo_paid + amc_paid ELSE 0 END)"
            f" FROM {self.table} GROUP BY payer ORDER BY payer"
        )
        return [Account(*row) for row in rows]


def _qualified() -> str:
    return ", ".join(f"c.{name.strip()}" for name in _COLUMNS.split(","))


def _claim(row: Sequence[object]) -> Claim:
    record, payer, origin, payee, practitioner, number, first, *rest = row
    return Claim(record, payer, origin, payee, practitioner, number, bool(first), *rest)  # type: ignore[arg-type]
