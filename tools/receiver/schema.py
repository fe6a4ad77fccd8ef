"""The tables of the receiver's ledger and the way its database is opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from gateway.errors import StoreError

VERSION = 3

BOOKS = ("claim", "insurer_claim")
"""Whose claims: those of the caisses, those of the complementary insurers."""

TABLES = """
CREATE TABLE IF NOT EXISTS mail (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, sender TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS lot (
  id INTEGER PRIMARY KEY, sender TEXT NOT NULL, file_id TEXT NOT NULL, compostage TEXT NOT NULL,
  digest BLOB NOT NULL, positive INTEGER NOT NULL, error_class TEXT NOT NULL, code TEXT NOT NULL,
  practitioner TEXT NOT NULL, organism TEXT NOT NULL, number INTEGER NOT NULL, date TEXT NOT NULL,
  invoices INTEGER NOT NULL, received_at REAL NOT NULL, content BLOB NOT NULL, arl BLOB NOT NULL,
  mail INTEGER NOT NULL REFERENCES mail (id),
  UNIQUE (sender, compostage, file_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS lot_number_once
  ON lot (practitioner, organism, number, date) WHERE positive;
CREATE TABLE IF NOT EXISTS noemie (
  id INTEGER PRIMARY KEY, sender TEXT NOT NULL, practitioner TEXT NOT NULL, organism TEXT NOT NULL,
  created_at REAL NOT NULL, paid INTEGER NOT NULL, invoices INTEGER NOT NULL, rejects INTEGER NOT NULL,
  mail INTEGER NOT NULL REFERENCES mail (id)
);
CREATE TABLE IF NOT EXISTS refusal (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, message BLOB NOT NULL UNIQUE, subject TEXT NOT NULL,
  error_class TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, arl BLOB NOT NULL,
  mail INTEGER REFERENCES mail (id)
);
CREATE TABLE IF NOT EXISTS outbox (
  id INTEGER PRIMARY KEY, mail INTEGER NOT NULL REFERENCES mail (id), at REAL NOT NULL, delivered_at REAL
);
CREATE TABLE IF NOT EXISTS paper_twin (
  practitioner TEXT NOT NULL, number INTEGER NOT NULL, received_at REAL NOT NULL,
  PRIMARY KEY (practitioner, number)
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (id) WHERE delivered_at IS NULL;
"""

_BOOK = """
CREATE TABLE IF NOT EXISTS {book} (
  id INTEGER PRIMARY KEY, lot INTEGER NOT NULL REFERENCES lot (id), record INTEGER NOT NULL,
  payer TEXT NOT NULL, origin TEXT NOT NULL, payee TEXT NOT NULL,
  practitioner TEXT NOT NULL, number INTEGER NOT NULL, first INTEGER NOT NULL,
  decision TEXT NOT NULL, code TEXT NOT NULL, amo_paid INTEGER NOT NULL, amc_paid INTEGER NOT NULL,
  due_at REAL, detail BLOB NOT NULL, insured_due_at REAL, insured_paid_at REAL,
  noemie INTEGER REFERENCES noemie (id),
  CHECK (first OR (amo_paid = 0 AND amc_paid = 0)){more}
);
CREATE UNIQUE INDEX IF NOT EXISTS {book}_once ON {book} (practitioner, number) WHERE first;
CREATE INDEX IF NOT EXISTS {book}_due ON {book} (due_at) WHERE noemie IS NULL AND due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {book}_group ON {book} (payer, practitioner)
  WHERE noemie IS NULL AND due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {book}_insured ON {book} (insured_due_at)
  WHERE insured_paid_at IS NULL AND insured_due_at IS NOT NULL;
"""
"""One party's claims. The first index, not a check in code, makes a second payment impossible."""

_MORE = {"insurer_claim": ",\n  CHECK (amo_paid = 0)"}


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create the database, owner only, and assert that a commit means "on disk".

    StoreError when the file is not a ledger of this version or durability cannot be had.
    """
    old = os.umask(0o077)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    finally:
        os.umask(old)
    path.chmod(0o600)
    try:
        _prepare(connection, path)
    except sqlite3.DatabaseError as error:
        raise StoreError(f"ledger {path.name}: {error}; move the damaged file away and start again") from None
    return connection


_BEFORE_REIMBURSEMENTS = 2


def _add_reimbursements(connection: sqlite3.Connection) -> None:
    """Version 2 did not say when insured people are reimbursed: what it had taken, it had reimbursed."""
    connection.execute("BEGIN IMMEDIATE")
    for book in BOOKS:
        for column in ("insured_due_at", "insured_paid_at"):
            connection.execute(f"ALTER TABLE {book} ADD COLUMN {column} REAL")
    connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == _BEFORE_REIMBURSEMENTS:
        _add_reimbursements(connection)
    elif version not in (0, VERSION):
        raise StoreError(
            f"ledger {path.name}: version {version} is unknown here; move it away,"
            " or use the release that wrote it"
        )
    if mode != "wal" or connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
        raise StoreError(
            f"ledger {path.name}: the disk cannot keep commits (no WAL with FULL); choose another"
        )
    connection.executescript(TABLES)
    for book in BOOKS:
        connection.executescript(_BOOK.format(book=book, more=_MORE.get(book, "")))
    connection.execute(f"PRAGMA user_version={VERSION}")
