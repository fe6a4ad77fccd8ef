"""The ledger: what was received, answered, decided and paid. SQLite, one file, one writer.

Everything a message changes is written inside one `transaction()`: the lot under its id, its claims, its
ARL and the ARL's place in the outbox. A unique index, not a check in code, makes a second payment of one
invoice impossible. `sqlite3` is used directly: one engine, one writer, and the hot path is two statements.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.errors import StoreError
from tools.receiver.answers import LotKey
from tools.receiver.schema import open_database

_KEPT_REFUSALS = 10_000
LEDGER_FILE = "ledger.db"


@dataclass(frozen=True)
class KnownLot:
    """A lot already in the ledger, with the answer it was given."""

    digest: bytes
    positive: bool
    error_class: str
    code: str
    invoices: int
    arl: bytes = field(repr=False)
    message: bytes = field(repr=False)
    mail: int = 0


@dataclass(frozen=True)
class LotRecord:
    """A lot to keep. `organism`: its destination key; `date`: ISO; `content`: the message as received."""

    key: LotKey
    digest: bytes
    positive: bool
    error_class: str
    code: str
    practitioner: str
    organism: str
    number: int
    date: str
    invoices: int
    received_at: float
    content: bytes = field(repr=False)
    arl: bytes = field(repr=False)


@dataclass(frozen=True)
class Claim:
    """One invoice and its decision: P paid, R rejected, N nothing to return. Amounts in cents.

    `due_at`: when its line belongs in a payment return, None when nothing is returned for it.
    `detail` is sealed by the vault: the ledger itself names nobody.
    """

    record: int
    practitioner: str
    number: int
    first: bool
    decision: str
    code: str
    amo_paid: int
    amc_paid: int
    due_at: float | None
    detail: bytes = field(repr=False)


@dataclass(frozen=True)
class Refusal:
    """A message that never became a lot. `message`: SHA-256 of its bytes; `reason` stays in the ledger."""

    message: bytes
    at: float
    subject: str
    error_class: str
    code: str
    reason: str
    arl: bytes = field(repr=False)
    mail: int | None


@dataclass(frozen=True)
class DueClaim:
    """A claim whose line is due in a return."""

    id: int
    sender: str
    organism: str
    claim: Claim
    lot_number: int
    lot_date: str


class Ledger:
    """The ledger of one receiver. Thread-safe: one connection, one lock, writers wait for each other."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = open_database(path)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable when the block ends. StoreError when the disk refuses."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(
                        f"ledger: nothing was kept ({error}); the sender will try again"
                    ) from error
                raise

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read rows: for status pages and tests."""
        with self._lock:
            return self._db.execute(query, values).fetchall()

    # Lots

    def find_lot(self, key: LotKey) -> KnownLot | None:
        """The lot of this id, if it was ever kept."""
        row = self._db.execute(
            "SELECT digest, positive, error_class, code, invoices, arl, body, mail FROM lot JOIN mail"
            " ON mail.id = lot.mail WHERE lot.sender = ? AND file_id = ? AND compostage = ?",
            (key.sender, key.file_id, key.compostage),
        ).fetchone()
        return None if row is None else KnownLot(row[0], bool(row[1]), *row[2:])

    def lot_number_taken(self, lot: LotRecord) -> bool:
        """Whether an accepted lot of this practitioner already has this number and date."""
        row = self._db.execute(
            "SELECT 1 FROM lot WHERE positive AND practitioner = ? AND organism = ? AND number = ?"
            " AND date = ?",
            (lot.practitioner, lot.organism, lot.number, lot.date),
        ).fetchone()
        return row is not None

    def known_numbers(self, practitioner: str, numbers: Sequence[int]) -> set[int]:
        """Which of these invoice numbers this practitioner has used before."""
        marks = ",".join("?" * len(numbers))
        query = f"SELECT number FROM claim WHERE practitioner = ? AND first AND number IN ({marks})"  # noqa: S608
        return {row[0] for row in self._db.execute(query, (practitioner, *numbers))}

    def keep_lot(self, lot: LotRecord, claims: Sequence[Claim], mail: int) -> int:
        """Write the lot and its claims; call inside `transaction()`. Returns the row id of the lot."""
        key = lot.key
        row = self._db.execute(
            "INSERT INTO lot (sender, file_id, compostage, digest, positive, error_class, code, practitioner,"
            " organism, number, date, invoices, received_at, content, arl, mail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key.sender, key.file_id, key.compostage, lot.digest, lot.positive, lot.error_class, lot.code,
             lot.practitioner, lot.organism, lot.number, lot.date, lot.invoices, lot.received_at, lot.content,
             lot.arl, mail),
        ).lastrowid  # fmt: skip
        assert row is not None
        self._db.executemany(
            "INSERT INTO claim (lot, record, practitioner, number, first, decision, code, amo_paid, amc_paid,"
            " due_at, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(row, c.record, c.practitioner, c.number, c.first, c.decision, c.code, c.amo_paid, c.amc_paid,
              c.due_at, c.detail) for c in claims],
        )  # fmt: skip
        return row

    # Refusals before the signer is known, and ids that come back with other content

    def find_refusal(self, message: bytes) -> Refusal | None:
        """The refusal of this message, by the digest of its bytes."""
        row = self._db.execute(
            "SELECT message, at, subject, error_class, code, reason, arl, mail FROM refusal"
            " WHERE message = ?",
            (message,),
        ).fetchone()
        return None if row is None else Refusal(*row)

    def keep_refusal(self, refusal: Refusal) -> None:
        """Write a refusal; the oldest beyond a bound are forgotten."""
        row = self._db.execute(
            "INSERT INTO refusal (message, at, subject, error_class, code, reason, arl, mail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (refusal.message, refusal.at, refusal.subject, refusal.error_class, refusal.code, refusal.reason,
             refusal.arl, refusal.mail),
        ).lastrowid  # fmt: skip
        self._db.execute("DELETE FROM refusal WHERE id <= ?", ((row or 0) - _KEPT_REFUSALS,))

    # Mails and the outbox

    def keep_mail(self, kind: str, sender: str, body: bytes) -> int:
        """Write a sealed answer; returns its row id."""
        row = self._db.execute("INSERT INTO mail (kind, sender, body) VALUES (?, ?, ?)", (kind, sender, body))
        assert row.lastrowid is not None
        return row.lastrowid

    def read_mail(self, mail: int) -> bytes:
        """The sealed bytes of a mail."""
        body: bytes = self._db.execute("SELECT body FROM mail WHERE id = ?", (mail,)).fetchone()[0]
        return body

    def post(self, mail: int, at: float, copies: int = 1) -> None:
        """Put a mail into the outbox; call inside `transaction()`."""
        self._db.executemany("INSERT INTO outbox (mail, at) VALUES (?, ?)", [(mail, at)] * copies)

    def waiting_mail(self, limit: int = 100) -> list[tuple[int, str, str, bytes]]:
        """Undelivered mails, oldest first: outbox id, kind, sender, bytes."""
        return self.rows(
            "SELECT outbox.id, kind, sender, body FROM outbox JOIN mail ON mail.id = outbox.mail"
            " WHERE delivered_at IS NULL ORDER BY outbox.id LIMIT ?",
            limit,
        )

    def delivered(self, ids: Sequence[int], at: float) -> None:
        """Mark mails as delivered, in one transaction."""
        with self.transaction():
            self._db.executemany(
                "UPDATE outbox SET delivered_at = ? WHERE id = ?", [(at, row) for row in ids]
            )

    # Payments

    def due(self, now: float, limit: int) -> list[DueClaim]:
        """Claims whose line is due, of one sender, one practitioner and one organism: one return's worth."""
        rows = self.rows(
            "WITH next AS (SELECT sender, lot.practitioner AS practitioner, organism FROM claim JOIN lot"
            " ON lot.id = claim.lot WHERE noemie IS NULL AND due_at <= ? ORDER BY due_at LIMIT 1)"
            " SELECT claim.id, lot.sender, lot.organism, record, claim.practitioner, claim.number, first,"
            " decision, claim.code, amo_paid, amc_paid, due_at, detail, lot.number, lot.date"
            " FROM claim JOIN lot ON lot.id = claim.lot JOIN next USING (sender, organism)"
            " WHERE noemie IS NULL AND due_at <= ? AND lot.practitioner = next.practitioner"
            " ORDER BY claim.id LIMIT ?",
            now,
            now,
            limit,
        )
        return [
            DueClaim(r[0], r[1], r[2], Claim(r[3], r[4], r[5], bool(r[6]), *r[7:13]), r[13], r[14])
            for r in rows
        ]

    def keep_return(self, claims: Sequence[DueClaim], at: float, paid: int, rejects: int, mail: int) -> int:
        """Write a payment return and tie its claims to it; call inside `transaction()`."""
        head = claims[0]
        row = self._db.execute(
            "INSERT INTO noemie (sender, practitioner, organism, created_at, paid, invoices, rejects, mail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (head.sender, head.claim.practitioner, head.organism, at, paid, len(claims), rejects, mail),
        ).lastrowid
        assert row is not None
        ids = [(row, due.id) for due in claims]
        done = self._db.executemany(
            "UPDATE claim SET noemie = ? WHERE id = ? AND noemie IS NULL", ids
        ).rowcount
        if done != len(ids):
            raise StoreError("ledger: a claim was returned twice; nothing was written")
        return row

    def advance(self, seconds: float) -> int:
        """Bring every payment that is still to come this much nearer; returns how many."""
        with self.transaction():
            return self._db.execute(
                "UPDATE claim SET due_at = due_at - ? WHERE noemie IS NULL AND due_at IS NOT NULL", (seconds,)
            ).rowcount
