"""What a person asks the ledger: counts, lots, payments. No NIR and no name is in any line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from tools.receiver.ledger import Ledger


def status_lines(ledger: Ledger) -> Iterator[str]:
    """Counts of everything, one thing a line."""
    lots, positive, invoices = ledger.rows(
        "SELECT count(*), coalesce(sum(positive), 0), coalesce(sum(invoices * positive), 0) FROM lot"
    )[0]
    waiting, returned, paid = ledger.rows(
        "SELECT coalesce(sum(noemie IS NULL AND due_at IS NOT NULL), 0),"
        " coalesce(sum(noemie IS NOT NULL), 0),"
        " coalesce(sum(CASE WHEN noemie IS NULL THEN 0 ELSE amo_paid + amc_paid END), 0) FROM claim"
    )[0]
    refused = ledger.rows("SELECT count(*) FROM refusal")[0][0]
    outbox = ledger.rows("SELECT count(*) FROM outbox WHERE delivered_at IS NULL")[0][0]
    yield f"lots: {lots} kept, {positive} accepted, {lots - positive} refused; messages refused: {refused}"
    yield f"invoices accepted: {invoices}"
    yield f"payment returns: {returned} invoices answered, {paid / 100:.2f} EUR paid, {waiting} waiting"
    yield f"mails not yet delivered: {outbox}"


def lot_lines(ledger: Ledger, limit: int) -> Iterator[str]:
    """The latest lots, newest first."""
    rows = ledger.rows(
        "SELECT sender, file_id, number, date, invoices, positive, error_class, code, received_at FROM lot"
        " ORDER BY id DESC LIMIT ?",
        limit,
    )
    for sender, file_id, number, day, invoices, positive, error, code, at in rows:
        answer = "ARL +" if positive else f"ARL - {error}{code}"
        yield f"{_time(at)} {sender} file {file_id} lot {number:03d} of {day}: {invoices} invoices, {answer}"


def refusal_lines(ledger: Ledger, limit: int) -> Iterator[str]:
    """The latest messages that became no lot, with the reason that was not told to the peer."""
    rows = ledger.rows(
        "SELECT at, subject, error_class, code, reason FROM refusal ORDER BY id DESC LIMIT ?", limit
    )
    for at, subject, error, code, reason in rows:
        yield f"{_time(at)} compostage {subject or 'unknown'}: {error}{code}: {reason}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(" ", "seconds")
