"""Reimbursements on their way: to the account of the insured person, held while the caisse knows none.

The account is given at registration (the base has it) and may be changed at the portal; in the ledger it is
sealed. What is due goes out when there is an account; without one the rights are valid and the money waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from gateway.clock import Clock
from tools.portal.register import Family
from tools.receiver.insured import InsuredBase
from tools.receiver.ledger import Ledger
from tools.receiver.schema import BOOKS
from tools.receiver.vault import Vault

TABLES = (
    "CREATE TABLE IF NOT EXISTS account (family BLOB PRIMARY KEY, iban BLOB NOT NULL, at REAL NOT NULL)",
)


@dataclass(frozen=True)
class Transfer:
    """One payment to an insured person: from the caisse, or from an insurer. `paid`: None while it waits."""

    from_insurer: bool
    due: date
    paid: date | None


class Treasury:
    """Pays insured people. Thread-safe: every change is one transaction of the ledger."""

    def __init__(self, ledger: Ledger, vault: Vault, clock: Clock) -> None:
        self._ledger, self._vault, self._clock = ledger, vault, clock
        with ledger.transaction():
            for table in TABLES:
                ledger.write(table)

    def register(self, families: Iterable[Family], insured: InsuredBase) -> None:
        """The accounts that the base knows; one that was given at the portal stands."""
        with self._ledger.transaction():
            for family in families:
                iban = next((one.iban for one in insured.of_family(family.nir) if one.iban), "")
                if iban and not self._rows(family):
                    self._write(family, iban, 0.0)

    def iban(self, family: Family) -> str:
        """The account of a family, "" for none."""
        rows = self._rows(family)
        return self._vault.unseal(rows[0][0], _label(family)).decode("ascii") if rows else ""

    def _rows(self, family: Family) -> list[tuple[bytes]]:
        return self._ledger.rows("SELECT iban FROM account WHERE family = ?", family.tag)

    def change(self, family: Family, iban: str) -> None:
        """Another account from now on; what was held goes there. `iban`: read by `read_iban`."""
        self.pay()
        with self._ledger.transaction():
            self._write(family, iban, self._clock.now().timestamp())
        self.pay()

    def _write(self, family: Family, iban: str, at: float) -> None:
        self._ledger.write(
            "INSERT OR REPLACE INTO account (family, iban, at) VALUES (?, ?, ?)",
            family.tag, self._vault.seal(iban.encode("ascii"), _label(family)), at,
        )  # fmt: skip

    def pay(self) -> None:
        """Everything that is due to a family with an account goes out: on its day, or when there was one.

        Call it after every posting: the day of a payment does not hang on who looks when.
        """
        now = self._clock.now().timestamp()
        with self._ledger.transaction():
            for book in BOOKS:
                self._ledger.write(
                    f"UPDATE {book} SET insured_paid_at = max(insured_due_at, paid.at) FROM"  # noqa: S608
                    f" (SELECT c.id, a.at FROM {book} c JOIN posting p ON p.book = ? AND p.claim = c.id"
                    " JOIN account a ON a.family = p.family WHERE c.insured_paid_at IS NULL"
                    " AND c.insured_due_at IS NOT NULL AND c.insured_due_at <= ?) AS paid"
                    f" WHERE {book}.id = paid.id",
                    book, now,
                )  # fmt: skip

    def transfers(self, family: Family) -> dict[tuple[str, int], tuple[Transfer, ...]]:
        """What goes to this family, by practitioner and invoice: from the caisse first."""
        found: dict[tuple[str, int], tuple[Transfer, ...]] = {}
        for book in BOOKS:
            for practitioner, number, due, paid in self._ledger.rows(
                f"SELECT c.practitioner, c.number, c.insured_due_at, c.insured_paid_at FROM {book} c"  # noqa: S608
                " JOIN posting p ON p.book = ? AND p.claim = c.id"
                " WHERE p.family = ? AND c.insured_due_at IS NOT NULL",
                book, family.tag,
            ):  # fmt: skip
                one = Transfer(book != BOOKS[0], _day(due), None if paid is None else _day(paid))
                found[practitioner, number] = (*found.get((practitioner, number), ()), one)
        return found


def _label(family: Family) -> bytes:
    return b"account " + family.tag


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
