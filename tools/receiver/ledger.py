"""The ledger: what was received, answered, decided and paid. SQLite, one file, one writer.

Everything a message changes is written inside one `transaction()`: the lot under its id, its claims, its
ARL and the ARL's place in the outbox. Claims stand in two books (book.py): the caisses' and the insurers'.
`sqlite3` is used directly: one engine, one writer, and the hot path is two statements.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.errors import StoreError
from tools.receiver.answers import LotKey
from tools.receiver.book import TO_CAISSES, Account, Book, Claim, DueClaim
from tools.receiver.schema import BOOKS, open_database

_KEPT_REFUSALS = 10_000
PAPER_FILE = "PAPIER"
"""Instead of a file id: what is kept under it came over the counter."""
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


class Ledger:
    """The ledger of one receiver. Thread-safe: one connection, one lock, writers wait for each other."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = open_database(path)
        self.caisses, self.insurers = (Book(self._db, book) for book in BOOKS)

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

    def write(self, query: str, *values: Any) -> None:
        """One statement of a party that keeps tables of its own here; call inside `transaction()`."""
        self._db.execute(query, values)

    # Lots

    def find_lot(self, key: LotKey) -> KnownLot | None:
        """The lot of this id, if it was ever kept."""
        row = self._db.execute(
            "SELECT digest, positive, error_class, code, invoices, arl, body, mail FROM lot JOIN mail"
            " ON mail.id = lot.mail WHERE lot.sender = ? AND compostage = ? AND file_id = ?",
            (key.sender, key.compostage, key.file_id),
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

    def compostage_taken(self, key: LotKey) -> bool:
        """Whether this sender has used this mail number for another file."""
        row = self._db.execute(
            "SELECT 1 FROM lot WHERE sender = ? AND compostage = ? AND file_id <> ?",
            (key.sender, key.compostage, key.file_id),
        ).fetchone()
        return row is not None

    def keep_lot(self, lot: LotRecord, claims: Iterable[Claim], shares: Iterable[Claim], mail: int) -> int:
        """Write the lot, its claims on the caisse and on insurers; call inside `transaction()`.

        Returns the row id of the lot.
        """
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
        self.caisses.keep(row, claims)
        self.insurers.keep(row, shares)
        return row

    def paper_lot(self, practitioner: str, organism: str, now: datetime) -> int:
        """The lot 000 of this day in which an organism keeps a practitioner's paper; its row id.

        It holds no file and gets no ARL. Call inside `transaction()`.
        """
        day, sender = now.date().isoformat(), practitioner.rjust(14, "0")
        compostage = f"{organism} {day}"
        rows = self._db.execute(
            "SELECT id FROM lot WHERE sender = ? AND file_id = ? AND compostage = ?",
            (sender, PAPER_FILE, compostage),
        ).fetchall()
        if rows:
            return int(rows[0][0])
        lot = LotRecord(
            LotKey(sender, PAPER_FILE, compostage), b"", True, "", "", practitioner, organism, 0, day, 0,
            now.timestamp(), b"", b"",
        )  # fmt: skip
        return self.keep_lot(lot, (), (), self.keep_mail("paper", sender, b""))

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
        """Put a mail into the outbox, to leave at a moment; call inside `transaction()`."""
        self._db.executemany("INSERT INTO outbox (mail, at) VALUES (?, ?)", [(mail, at)] * copies)

    def waiting_mail(self, now: float, limit: int = 100) -> list[tuple[int, str, str, bytes]]:
        """Undelivered mails whose time has come, oldest first: outbox id, kind, sender, bytes."""
        return self.rows(
            "SELECT outbox.id, kind, sender, body FROM outbox JOIN mail ON mail.id = outbox.mail"
            " WHERE delivered_at IS NULL AND at <= ? ORDER BY outbox.id LIMIT ?",
            now,
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
        """Claims whose line is due, of one payer and one practitioner; the caisses go first."""
        with self._lock:
            return self.caisses.due(now, limit) or self.insurers.due(now, limit)

    def keep_return(self, claims: Sequence[DueClaim], at: float, paid: int, rejects: int, mail: int) -> int:
        """Write a payment return and tie its claims to it; call inside `transaction()`."""
        head = claims[0]
        row = self._db.execute(
            "INSERT INTO noemie (sender, practitioner, organism, created_at, paid, invoices, rejects, mail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (head.sender, head.claim.practitioner, head.claim.payer, at, paid, len(claims), rejects, mail),
        ).lastrowid
        assert row is not None
        book = self.caisses if head.claim.origin in TO_CAISSES else self.insurers
        book.tie(claims, row)
        return row

    def post_return(self, noemie: int, at: float) -> bool:
        """Put the true mail of a return into the outbox again; False when there is no such return."""
        row = self._db.execute("SELECT mail FROM noemie WHERE id = ?", (noemie,)).fetchone()
        if row is not None:
            self.post(row[0], at)
        return row is not None

    def accounts(self) -> list[Account]:
        """What each payer has done: the caisses by number, then the insurers."""
        with self._lock:
            return self.caisses.accounts() + self.insurers.accounts()

    def advance(self, seconds: float) -> int:
        """Bring every payment that is still to come this much nearer; returns how many."""
        with self.transaction():
            return self.caisses.advance(seconds) + self.insurers.advance(seconds)
