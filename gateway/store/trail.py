"""The audit trail inside the store: written in the same transactions as what it tells about.

What a transaction records is chained at its end, practice by practice in the order of their names: the head
of a chain is held shortly, and two gateways that wait for each other's heads wait in one order only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from heapq import merge
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from gateway.audit import (
    BEGINS,
    GENESIS,
    AuditEntry,
    AuditHead,
    AuditRecord,
    broken,
    genesis,
    link,
    seal_head,
    verify,
)
from gateway.redact import redact
from gateway.store.schema import audit, audit_head
from gateway.store.statements import Record, Runner

_INSERT = audit.insert()
_HEAD = sa.update(audit_head).where(audit_head.c.practice == sa.bindparam("b_practice"))
_NEW_HEAD = audit_head.insert()
_READ_HEAD = sa.select(audit_head).where(audit_head.c.practice == sa.bindparam("b_practice"))
_AT_ONCE = 50
"""Heads that are held by one statement: the chains of a batch of lots are those of as many practices."""
_COLUMNS = sa.select(
    audit.c.practice, audit.c.seq, audit.c.at, audit.c.who, audit.c.what, audit.c.ref, audit.c.detail,
    audit.c.digest,
)  # fmt: skip
_ALL = _COLUMNS.order_by(audit.c.practice, audit.c.seq)
_CHAIN = _COLUMNS.where(audit.c.practice == sa.bindparam("b_practice")).order_by(audit.c.seq)
_HEADS = sa.select(audit_head).order_by(audit_head.c.practice)
_BEGUN = sa.select(audit.c.ref).where((audit.c.practice == "") & (audit.c.what == BEGINS))
_STRAYS = (
    sa.select(audit.c.practice)
    .join(audit_head, audit_head.c.practice == audit.c.practice, isouter=True)
    .where(audit_head.c.practice.is_(None))
    .limit(1)
)


Row = dict[str, object]
_End = tuple[int, bytes, str]
"""The last number, digest and moment of a chain."""


class Trail:
    """Appends to the chains. It keeps nothing of them but which ones were seen: several gateways write."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._seen: set[str] = set()
        self._guard = threading.Lock()

    def start(self, runner: Runner) -> None:
        """Write the head of an empty trail."""
        runner.run(_NEW_HEAD, self._head("", 0, GENESIS, ""))

    def write(self, runner: Runner, told: Mapping[str, Sequence[AuditEntry]]) -> None:
        """Chain these entries, by practice, and seal the new heads."""
        begin = [practice for practice in sorted(told) if practice and not self._is_there(runner, practice)]
        ends = _hold(runner, [""]) if begin else {}  # first: only then is it seen what others have begun
        ends |= _hold(runner, sorted(set(told) - set(ends)))
        begun = [practice for practice in begin if practice not in ends]  # and not by another gateway
        if missing := sorted(set(told) - set(ends) - set(begun)):
            raise broken(missing[0], "its head is missing")
        own = [*told.get("", ()), *(AuditEntry(told[one][0].at, "gateway", BEGINS, one, "") for one in begun)]
        rows: list[Row] = []
        heads = [self._chain(rows, "", ends[""], own)] if own else []
        for practice in begun:
            start = int(str(heads[0]["seq"]))
            end = (start, genesis(practice, start), "")
            runner.run(_NEW_HEAD, self._head(practice, *end))
            ends[practice] = end
        heads += [
            self._chain(rows, practice, ends[practice], told[practice]) for practice in told if practice
        ]
        runner.run(_INSERT, rows)
        runner.run(_HEAD, [{"b_practice": head.pop("practice"), **head} for head in heads])

    def _chain(self, rows: list[Row], practice: str, end: _End, entries: Sequence[AuditEntry]) -> Row:
        """Add the rows of these entries behind the end of their chain; its new head, sealed.

        A clock that went back since the last record is recorded first.
        """
        seq, digest, at = end
        for entry in self._dated(entries, at):
            seq, at = seq + 1, entry.at
            digest = link(digest, seq, entry)
            rows.append({"practice": practice, "seq": seq, **entry._asdict(), "digest": digest})
        return self._head(practice, seq, digest, at)

    def _dated(self, entries: Sequence[AuditEntry], last_at: str) -> Iterator[AuditEntry]:
        for entry in entries:
            if entry.at < last_at:
                said = f"the last record says {last_at}"
                yield AuditEntry(entry.at, "gateway", "clock went back", "", said)
            last_at = entry.at
            yield AuditEntry(*(_plain(text) for text in entry._replace(detail=redact(entry.detail))))

    def _head(self, practice: str, seq: int, digest: bytes, at: str) -> Row:
        seal = seal_head(self._key, seq, digest)
        return {"practice": practice, "seq": seq, "at": at, "digest": digest, "seal": seal}

    def _is_there(self, runner: Runner, practice: str) -> bool:
        """Whether a practice has its chain; one that was seen is never gone."""
        with self._guard:
            if practice in self._seen:
                return True
        if runner.first(_READ_HEAD, {"b_practice": practice}) is None:
            return False
        with self._guard:
            self._seen.add(practice)
        return True


def _hold(runner: Runner, practices: Sequence[str]) -> dict[str, _End]:
    """The ends of these chains, as far as they are there; nobody else appends to them meanwhile."""
    found: dict[str, _End] = {}
    for start in range(0, len(practices), _AT_ONCE):
        part = practices[start : start + _AT_ONCE]
        values = {f"b_{place}": practice for place, practice in enumerate(part)}
        for row in runner.rows(_heads_to_hold(len(part)), values):
            found[row.practice] = (row.seq, _bytes(row.digest), row.at)
    return found


@cache
def _heads_to_hold(count: int) -> sa.Select[Any]:
    """Heads are held in the order of their practices' names, whoever asks."""
    named = sa.or_(*(audit_head.c.practice == sa.bindparam(f"b_{place}") for place in range(count)))
    return sa.select(audit_head).where(named).order_by(audit_head.c.practice).with_for_update()


def read_records(runner: Runner, practice: str | None = None) -> Iterator[AuditRecord]:
    """The records of all chains, or of one, each chain in its order; the moments decide between chains."""
    rows = runner.rows(_ALL) if practice is None else runner.rows(_CHAIN, {"b_practice": practice})
    chains = [[_record(row) for row in chain] for _, chain in groupby(rows, key=lambda row: row.practice)]
    return merge(*chains, key=lambda record: record.entry.at)


def verify_trail(runner: Runner, key: bytes, practice: str | None = None) -> int:
    """Check every chain, or one practice's and the gateway's own; how many records there are.

    The records of a chain are read as they are checked: the trail of years is never in memory.
    """
    heads = {row.practice: row for row in runner.rows(_HEADS)}
    begun = {row.ref for row in runner.rows(_BEGUN)} | {""}
    wanted = begun if practice is None else {"", practice} & begun
    for name in sorted(wanted - set(heads)):
        raise broken(name, "its head is missing")
    for name in sorted(set(heads) - begun):
        raise broken(name, "nothing says that it was begun")
    for row in runner.rows(_STRAYS):
        raise broken(row.practice, "its head is missing")
    return sum(_verify_chain(runner, heads[name], key) for name in sorted(wanted))


def _verify_chain(runner: Runner, head: Record, key: bytes) -> int:
    sealed = AuditHead(head.seq, _bytes(head.digest), _bytes(head.seal), head.at)
    records = map(_record, runner.stream(_CHAIN, {"b_practice": head.practice}))
    return verify(records, sealed, key, head.practice)


def _record(row: Record) -> AuditRecord:
    entry = AuditEntry(*map(str, (row.at, row.who, row.what, row.ref, row.detail)))
    return AuditRecord(row.seq, entry, _bytes(row.digest), row.practice)


def _bytes(value: object) -> bytes:
    """What a column of bytes holds; whoever edits an SQLite file may have written something else there."""
    return value if isinstance(value, bytes) else str(value).encode()


def _plain(text: str) -> str:
    """A NUL has no place in a database's text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
