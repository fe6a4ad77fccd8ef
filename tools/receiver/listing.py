"""What people and programs ask the ledger: counts, accounts, lots, ARL, returns. No NIR and no name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from gateway.errors import InputError
from gateway.lots.organism import destination_of
from gateway.records.arl import Arl, parse_arl
from tools.receiver.book import Account
from tools.receiver.ledger import PAPER_FILE, Ledger


def status(ledger: Ledger) -> dict[str, Any]:
    """Counts of everything; money in cents."""
    lots, positive, invoices = ledger.rows(
        "SELECT count(*), coalesce(sum(positive), 0), coalesce(sum(invoices * positive), 0) FROM lot"
        " WHERE file_id <> ?",
        PAPER_FILE,
    )[0]
    [(paper,)] = ledger.rows("SELECT coalesce(sum(invoices), 0) FROM lot WHERE file_id = ?", PAPER_FILE)
    accounts = ledger.accounts()
    return {
        "lots": lots,
        "lots_accepted": positive,
        "lots_refused": lots - positive,
        "messages_refused": ledger.rows("SELECT count(*) FROM refusal")[0][0],
        "invoices_accepted": invoices,
        "paper_sheets": paper,
        "payments_waiting": sum(account.waiting for account in accounts),
        "payments_returned": ledger.rows("SELECT coalesce(sum(invoices), 0) FROM noemie")[0][0],
        "paid_cents": sum(account.paid_cents for account in accounts),
        "mails_waiting": ledger.rows("SELECT count(*) FROM outbox WHERE delivered_at IS NULL")[0][0],
        "accounts": [account_json(account) for account in accounts],
    }


def account_json(account: Account) -> dict[str, Any]:
    """One payer's account."""
    return {
        "payer": destination_of(account.payer).key,
        "invoices": account.invoices,
        "rejected": account.rejected,
        "waiting": account.waiting,
        "paid_cents": account.paid_cents,
        "to_insured_cents": account.to_insured_cents,
    }


def status_lines(ledger: Ledger) -> Iterator[str]:
    """Counts of everything, one thing a line, then one line for each payer."""
    said = status(ledger)
    yield (
        f"lots: {said['lots']} kept, {said['lots_accepted']} accepted, {said['lots_refused']} refused;"
        f" messages refused: {said['messages_refused']}"
    )
    yield f"invoices accepted: {said['invoices_accepted']}; paper sheets keyed in: {said['paper_sheets']}"
    yield (
        f"payment returns: {said['payments_returned']} invoices answered,"
        f" {said['paid_cents'] / 100:.2f} EUR paid, {said['payments_waiting']} waiting"
    )
    yield f"mails not yet delivered: {said['mails_waiting']}"
    for account in said["accounts"]:
        insured = account["to_insured_cents"]
        beside = f", {insured / 100:.2f} EUR to insured people" if insured else ""
        yield (
            f"{account['payer']}: {account['invoices']} invoices, {account['rejected']} rejected,"
            f" {account['waiting']} waiting, {account['paid_cents'] / 100:.2f} EUR paid{beside}"
        )


def lots(ledger: Ledger, limit: int) -> list[dict[str, Any]]:
    """The latest lots, newest first."""
    names = (
        "sender", "file_id", "compostage", "organism", "number", "date", "invoices", "positive",
        "error_class", "code", "received_at",
    )  # fmt: skip
    rows = ledger.rows(
        f"SELECT {', '.join(names)} FROM lot WHERE file_id <> ? ORDER BY id DESC LIMIT ?",  # noqa: S608
        PAPER_FILE, limit,
    )  # fmt: skip
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [
        lot | {"positive": bool(lot["positive"]), "received_at": _time(lot["received_at"])} for lot in found
    ]


def lot_lines(ledger: Ledger, limit: int) -> Iterator[str]:
    """The latest lots, newest first, a line each."""
    for lot in lots(ledger, limit):
        answer = "ARL +" if lot["positive"] else f"ARL - {lot['error_class']}{lot['code']}"
        yield (
            f"{lot['received_at']} {lot['sender']} file {lot['file_id']} lot {lot['number']:03d}"
            f" of {lot['date']}: {lot['invoices']} invoices, {answer}"
        )


def refusals(ledger: Ledger, limit: int) -> list[dict[str, Any]]:
    """The latest messages that became no lot, with the reason that was not told to the peer."""
    rows = ledger.rows(
        "SELECT at, subject, error_class, code, reason FROM refusal ORDER BY id DESC LIMIT ?", limit
    )
    names = ("received_at", "compostage", "error_class", "code", "reason")
    return [dict(zip(names, (_time(row[0]), *row[1:]), strict=True)) for row in rows]


def refusal_lines(ledger: Ledger, limit: int) -> Iterator[str]:
    """The same, a line each."""
    for one in refusals(ledger, limit):
        mail = f"compostage {one['compostage'] or 'unknown'}"
        yield f"{one['received_at']} {mail}: {one['error_class']}{one['code']}: {one['reason']}"


def returns(ledger: Ledger, limit: int) -> list[dict[str, Any]]:
    """The latest payment returns, newest first."""
    rows = ledger.rows(
        "SELECT id, organism, sender, created_at, invoices, rejects, paid FROM noemie"
        " ORDER BY id DESC LIMIT ?",
        limit,
    )
    return [
        {
            "id": row[0],
            "payer": destination_of(row[1]).key,
            "practice": row[2],
            "created_at": _time(row[3]),
            "invoices": row[4],
            "rejected": row[5],
            "paid_cents": row[6],
        }
        for row in rows
    ]


def arls(ledger: Ledger, compostage: str) -> list[Arl]:
    """Every ARL about the mail of this number, oldest first; InputError when there is none."""
    rows = ledger.rows(
        "SELECT arl, received_at FROM lot WHERE compostage = ? UNION ALL"
        " SELECT arl, at FROM refusal WHERE subject = ? AND arl <> x'' ORDER BY 2",
        compostage,
        compostage,
    )
    if not rows:
        raise InputError("no ARL for a mail of this number: give the 19 digits of its compostage")
    return [parse_arl(row[0]) for row in rows]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(" ", "seconds")
