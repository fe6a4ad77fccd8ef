"""Fills an SQLite store with years of work: rows as the steps of the store leave them, made by SQL alone.

One step after the other would take hours for a million FSE. Bodies are short and closed with nothing: what is
measured on such a store never opens one. One practice has nearly everything, small ones share the rest.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.store.schema import stamp

LOT_SIZE = 50
SMALL, SMALL_SIZE = 100, 1_000
"""How many small practices there are, and how many FSE each of them has."""
YEARS = 3

_EVERY = """
CREATE TEMP TABLE every AS
WITH RECURSIVE counting(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counting WHERE i < :count),
placed AS (
    SELECT i,
        CASE WHEN i <= :big THEN :practice ELSE printf('small-%03d', (i - :big - 1) / :small) END AS practice,
        CASE WHEN i <= :big THEN i ELSE (i - :big - 1) % :small + 1 END AS number,
        CASE WHEN i <= :big THEN :big - i ELSE :small - 1 - (i - :big - 1) % :small END AS younger,
        CASE WHEN i <= :big THEN :big ELSE :small END AS total,
        CASE WHEN i % 7 = 0 THEN 'none' WHEN i % 3 = 0 THEN 'full' ELSE 'amo' END AS third_party
    FROM counting
)
SELECT *, (i - 1) / :lot + 1 AS lot_seq,
    strftime('%Y-%m-%dT%H:%M:%S', :now - younger * CAST(:seconds AS REAL) / total, 'unixepoch')
        || printf('.%06dZ', i % 1000000) AS at,
    CASE
        WHEN younger < 40 THEN CASE WHEN i % 10 = 0 THEN 'AWAITING_CPS' ELSE 'SIGNED' END
        WHEN younger < 120 THEN 'IN_LOT'
        WHEN younger < 240 THEN 'SENT'
        WHEN younger < 240 + total / 50 THEN 'ACCEPTED'
        WHEN i % 400 = 0 THEN 'REJECTED'
        WHEN i % 400 = 1 THEN 'PAYMENT_REJECTED'
        WHEN i % 400 = 2 THEN 'RECTIFIED'
        WHEN i % 400 = 3 THEN 'CANCELLED'
        WHEN third_party = 'none' THEN 'ACCEPTED'
        ELSE 'PAID'
    END AS state
FROM placed
"""
_NUMBERS = """
INSERT INTO number SELECT practice, kind, max(number) FROM every
CROSS JOIN (SELECT 'fse' AS kind UNION SELECT 'file' UNION SELECT 'mail') GROUP BY practice, kind
"""
_LOTS = """
INSERT INTO lot (seq, id, practice, destination, sender, recipient, lot_number, lot_date, file_id, compostage,
    fse_count, digest, state, changed_at, reason, retry, attempts, sends, sent_at, ack_due)
SELECT lot_seq, printf('lot-%09d', lot_seq), practice, :caisse, 'cabinet@practice.test', 'a@b.test',
    lot_seq % 999 + 1, substr(max(at), 1, 10), printf('%06d', lot_seq), printf('%019d', lot_seq), count(*),
    zeroblob(32),
    CASE max(state) WHEN 'IN_LOT' THEN 'PARKED' WHEN 'SENT' THEN 'SENT'
        ELSE CASE WHEN lot_seq % 97 = 0 THEN 'REJECTED' ELSE 'ACKNOWLEDGED' END END,
    max(at), '', 0, 0, 1, max(at), max(at)
FROM every GROUP BY lot_seq
"""
_FSE = """
INSERT INTO fse (id, practice, number, practitioner, destination, mode, third_party, elaborated, deadline,
    base_cents, amo_cents, amc_cents, patient_cents, excess_cents, label, body_digest, lot_seq,
    paid_amo_cents, paid_amc_cents, state, changed_at, reason)
SELECT i, practice, number, :doctor, :caisse, 3, third_party, at, substr(at, 1, 10),
    3000, 2100, 900, 900, 0, 'G + MCG', zeroblob(32),
    CASE WHEN state IN ('AWAITING_CPS', 'SIGNED', 'CANCELLED') THEN NULL ELSE lot_seq END,
    CASE state WHEN 'PAID' THEN 2100 ELSE 0 END, 0, state, at, ''
FROM every
"""
_CHANGES = """
INSERT INTO change (kind, practice, ref, at, before, after, reason)
SELECT 'fse', practice, i, at, before, after, '' FROM every CROSS JOIN (
    SELECT '' AS before, 'SIGNED' AS after UNION ALL SELECT 'SIGNED', 'IN_LOT'
    UNION ALL SELECT 'IN_LOT', 'SENT' UNION ALL SELECT 'SENT', 'ACCEPTED')
"""
_MESSAGES = """
INSERT INTO message (digest, practice, key, at, kind, reason)
SELECT CAST(printf('%032d', lot_seq) AS BLOB), practice, 'key', max(at), 'noemie', ''
FROM every GROUP BY lot_seq
"""
_RECEIPTS = """
INSERT INTO receipt (message_digest, at, lot_seq, lot_number, lot_date, file_id, compostage, digest, positive,
    error_class, code, outcome, reason)
SELECT CAST(printf('%032d', seq) AS BLOB), changed_at, seq, lot_number, lot_date, file_id, compostage, digest,
    1, '', '', 'posted', ''
FROM lot
"""
_PAYMENTS = """
INSERT INTO payment (message_digest, line, at, fse_id, number, lot_number, paid, deferred, amo_cents,
    amc_cents, code, text, outcome, reason, practice)
SELECT CAST(printf('%032d', lot_seq) AS BLOB), i, at, i, number, 1, state = 'PAID', 0, 2100, 0,
    CASE state WHEN 'PAID' THEN '' ELSE '0250051' END, '', 'posted', '', practice
FROM every WHERE state IN ('PAID', 'PAYMENT_REJECTED', 'RECTIFIED')
"""
_SHARES = """
INSERT INTO share (fse_id, practice, destination, recipient, amc_cents, lot_seq, state, changed_at, reason)
SELECT i, practice, '', '', 900, NULL,
    CASE WHEN state IN ('PAID', 'PAYMENT_REJECTED', 'CANCELLED', 'RECTIFIED') THEN state ELSE 'RELAYED' END,
    at, ''
FROM every WHERE third_party = 'full'
"""
_AUDIT = """
INSERT INTO audit (practice, seq, at, who, what, ref, detail, digest)
SELECT practice, number, at, :doctor, 'FSE kept', practice || '/' || number, '', zeroblob(32) FROM every
"""
_STEPS = (
    _EVERY,
    _NUMBERS,
    "INSERT INTO number SELECT DISTINCT practice, 'lot', 500 FROM every",
    _LOTS,
    _FSE,
    "INSERT INTO fse_body SELECT i, zeroblob(64) FROM every",
    _CHANGES,
    _MESSAGES,
    _RECEIPTS,
    _PAYMENTS,
    _SHARES,
    _AUDIT,
    """INSERT INTO audit_head (practice, seq, at, digest, seal)
       SELECT practice, max(number), max(at), zeroblob(32), zeroblob(32) FROM every GROUP BY practice""",
    "DROP TABLE every",
)
_QUEUED_LOTS = """
INSERT INTO lot (seq, id, practice, destination, sender, recipient, lot_number, lot_date, file_id, compostage,
    fse_count, digest, state, changed_at, reason, retry, attempts, sends, next_attempt_at)
WITH RECURSIVE counting(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counting WHERE i < :count)
SELECT i, printf('lot-%09d', i), :practice, :caisse, 'a@practice.test', 'a@b.test', i % 999 + 1, :day,
    printf('%06d', i), printf('%019d', i), 1, zeroblob(32), 'SEALED', :at, '', 0, 0, 0, :at
FROM counting
"""
_QUEUED_FSE = """
INSERT INTO fse (id, practice, number, practitioner, destination, mode, third_party, elaborated, deadline,
    base_cents, amo_cents, amc_cents, patient_cents, excess_cents, label, body_digest, lot_seq, state,
    changed_at, reason)
SELECT seq, practice, seq, :doctor, destination, 3, 'amo', :at, :day, 3000, 2100, 900, 900, 0, 'G',
    zeroblob(32), seq, 'IN_LOT', :at, ''
FROM lot
"""
_QUEUED = (
    _QUEUED_LOTS,
    "INSERT INTO lot_body SELECT seq, randomblob(:mail) FROM lot",
    _QUEUED_FSE,
    "INSERT INTO number SELECT :practice, 'fse', max(number) FROM fse",
)
_DOCTOR, _CAISSE = "810000000000", "01-999-349"


def fill(path: Path, practice: str, count: int, now: datetime) -> None:
    """Fill the empty store in this file with `count` FSE, nearly all of them of `practice`."""
    seconds = timedelta(days=365 * YEARS).total_seconds()
    values = {
        "count": count, "big": count - SMALL * SMALL_SIZE, "small": SMALL_SIZE, "practice": practice,
        "lot": LOT_SIZE, "now": now.astimezone(UTC).timestamp(), "seconds": seconds, "doctor": _DOCTOR,
        "caisse": _CAISSE,
    }  # fmt: skip
    _run(path, _STEPS, values)


def queue(path: Path, practice: str, count: int, now: datetime, mail: int) -> None:
    """Queue `count` sealed lots of one FSE and `mail` bytes each in the empty store of this file."""
    values = {
        "count": count, "practice": practice, "at": stamp(now), "day": now.date().isoformat(), "mail": mail,
        "doctor": _DOCTOR, "caisse": _CAISSE,
    }  # fmt: skip
    _run(path, _QUEUED, values)


def _run(path: Path, steps: tuple[str, ...], values: dict[str, object]) -> None:
    with closing(sqlite3.connect(path)) as database:
        for pragma in ("synchronous=OFF", "cache_size=-300000", "temp_store=MEMORY", "foreign_keys=OFF"):
            database.execute(f"PRAGMA {pragma}")
        with database:
            for step in steps:
                database.execute(step, values)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
