"""What the portal keeps, in tables of its own inside the receiver's ledger: nobody is named in them.

`posting` says whose each claim is, `deduction` what was taken off; the others are what people and the
controller have decided. Calls that write stand in one `Ledger.transaction()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from tools.receiver.ledger import Ledger

TABLES = (
    "CREATE TABLE IF NOT EXISTS posting (id INTEGER PRIMARY KEY, book TEXT NOT NULL, claim INTEGER NOT NULL,"
    " family BLOB NOT NULL, person BLOB NOT NULL, practitioner TEXT NOT NULL, day TEXT NOT NULL,"
    " UNIQUE (book, claim))",
    "CREATE INDEX IF NOT EXISTS posting_family ON posting (family, id)",
    "CREATE TABLE IF NOT EXISTS deduction (id INTEGER PRIMARY KEY, claim INTEGER NOT NULL,"
    " family BLOB NOT NULL, person BLOB NOT NULL, practitioner TEXT NOT NULL, day TEXT NOT NULL,"
    " kind TEXT NOT NULL, account TEXT NOT NULL, cents INTEGER NOT NULL CHECK (cents > 0))",
    "CREATE INDEX IF NOT EXISTS deduction_person ON deduction (person, day)",
    "CREATE INDEX IF NOT EXISTS deduction_family ON deduction (family, day)",
    "CREATE TABLE IF NOT EXISTS opposed_card (serial TEXT PRIMARY KEY, since TEXT NOT NULL,"
    " reason TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS card_order (id INTEGER PRIMARY KEY, family BLOB NOT NULL,"
    " serial TEXT NOT NULL UNIQUE, day TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS doctor (family BLOB PRIMARY KEY, number TEXT NOT NULL, since TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS link (family BLOB NOT NULL, insurer TEXT NOT NULL, linked INTEGER NOT NULL,"
    " PRIMARY KEY (family, insurer))",
    "CREATE TABLE IF NOT EXISTS withdrawal (code TEXT PRIMARY KEY, since TEXT NOT NULL)",
)


@dataclass(frozen=True)
class OpposedCard:
    """A Vitale that was declared, or that a new one replaces. `reason`: P lost, V stolen, R replaced."""

    serial: str
    since: date
    reason: str


class State:
    """Reads and writes of those tables."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        with ledger.transaction():
            for table in TABLES:
                ledger.write(table)

    # Cards

    def oppose(self, card: OpposedCard) -> None:
        """Keep a declaration; the first one of a card stands."""
        with self.ledger.transaction():
            self._oppose(card)

    def _oppose(self, card: OpposedCard) -> None:
        self.ledger.write(
            "INSERT OR IGNORE INTO opposed_card (serial, since, reason) VALUES (?, ?, ?)",
            card.serial, card.since.isoformat(), card.reason,
        )  # fmt: skip

    def opposed(self) -> Iterator[OpposedCard]:
        """Every declared or replaced card."""
        for serial, since, reason in self.ledger.rows("SELECT serial, since, reason FROM opposed_card"):
            yield OpposedCard(serial, date.fromisoformat(since), reason)

    def opposed_card(self, serial: str) -> OpposedCard | None:
        """The declaration of this card, if there is one."""
        return next((card for card in self.opposed() if card.serial == serial), None)

    def order(self, family: bytes, serial: str, old: OpposedCard) -> None:
        """Keep a card order: from now on the family's card is the new one, and the old one is opposed."""
        with self.ledger.transaction():
            self._oppose(old)
            self.ledger.write(
                "INSERT INTO card_order (family, serial, day) VALUES (?, ?, ?)",
                family, serial, old.since.isoformat(),
            )  # fmt: skip

    def ordered(self, family: bytes) -> tuple[str, date] | None:
        """Serial and day of the last card ordered."""
        rows = self.ledger.rows(
            "SELECT serial, day FROM card_order WHERE family = ? ORDER BY id DESC LIMIT 1", family
        )
        return (rows[0][0], date.fromisoformat(rows[0][1])) if rows else None

    # Choices of the insured person

    def choose_doctor(self, family: bytes, number: str, since: date) -> None:
        """Keep the médecin traitant, in place of the one before."""
        with self.ledger.transaction():
            self.ledger.write(
                "INSERT OR REPLACE INTO doctor VALUES (?, ?, ?)", family, number, since.isoformat()
            )

    def doctor(self, family: bytes) -> tuple[str, date] | None:
        """Billing number of the médecin traitant and since when."""
        rows = self.ledger.rows("SELECT number, since FROM doctor WHERE family = ?", family)
        return (rows[0][0], date.fromisoformat(rows[0][1])) if rows else None

    def doctors(self) -> list[tuple[bytes, str, date]]:
        """Family, billing number of the médecin traitant, since when."""
        rows = self.ledger.rows("SELECT family, number, since FROM doctor")
        return [(row[0], row[1], date.fromisoformat(row[2])) for row in rows]

    def set_link(self, family: bytes, insurer: str, *, linked: bool) -> None:
        """Keep whether the caisse hands shares on to this insurer (ten digits)."""
        with self.ledger.transaction():
            self.ledger.write("INSERT OR REPLACE INTO link VALUES (?, ?, ?)", family, insurer, linked)

    def links(self) -> list[tuple[bytes, str, bool]]:
        """Family, insurer, linked."""
        return [(row[0], row[1], bool(row[2])) for row in self.ledger.rows("SELECT * FROM link")]

    # The controller

    def withdraw(self, code: str, since: date) -> None:
        """Keep that a medicine is no longer reimbursed from a day on."""
        with self.ledger.transaction():
            self.ledger.write("INSERT OR REPLACE INTO withdrawal VALUES (?, ?)", code, since.isoformat())

    def restore(self, code: str) -> None:
        """Forget a withdrawal made here."""
        with self.ledger.transaction():
            self.ledger.write("DELETE FROM withdrawal WHERE code = ?", code)

    def withdrawals(self) -> list[tuple[str, date]]:
        """Code and first day of each withdrawal made here."""
        rows = self.ledger.rows("SELECT code, since FROM withdrawal ORDER BY since, code")
        return [(code, date.fromisoformat(since)) for code, since in rows]
