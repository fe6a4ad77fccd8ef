"""The audit trail inside the store: written in the same transactions as what it tells about."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from gateway.audit import GENESIS, AuditEntry, AuditHead, AuditRecord, link, seal_head
from gateway.errors import StoreError
from gateway.redact import redact
from gateway.store.schema import audit, audit_head
from gateway.store.statements import Runner

_INSERT = audit.insert()
_HEAD = sa.update(audit_head).where(audit_head.c.id == 1)
_READ_HEAD = sa.select(audit_head)
_ALL = sa.select(
    audit.c.seq, audit.c.at, audit.c.who, audit.c.what, audit.c.ref, audit.c.detail, audit.c.digest
).order_by(audit.c.seq)
_LAST = sa.select(audit.c.at).order_by(audit.c.seq.desc()).limit(1)


class Trail:
    """Appends to the chain. The end of the chain is remembered, and forgotten when a step fails."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._end: tuple[int, bytes, str] | None = None
        self._grown = False

    def start(self, runner: Runner) -> None:
        """Write the head of an empty trail."""
        seal = seal_head(self._key, 0, GENESIS)
        runner.run(audit_head.insert(), {"id": 1, "seq": 0, "digest": GENESIS, "seal": seal})

    def forget(self) -> None:
        """The transaction was undone: what was chained in it never happened."""
        self._end, self._grown = None, False

    def append(self, runner: Runner, entry: AuditEntry) -> None:
        """Chain one record; a clock that went back since the last one is recorded first."""
        last_at = (self._end or self._read_end(runner))[2]
        if entry.at < last_at:
            step = AuditEntry(entry.at, "gateway", "clock went back", "", f"the last record says {last_at}")
            self._chain(runner, step)
        self._chain(runner, entry._replace(detail=redact(entry.detail)))

    def finish(self, runner: Runner) -> None:
        """Seal the new head, once for all records of the transaction."""
        if self._end is None or not self._grown:
            return
        seq, digest, _ = self._end
        runner.run(_HEAD, {"seq": seq, "digest": digest, "seal": seal_head(self._key, seq, digest)})
        self._grown = False

    def _read_end(self, runner: Runner) -> tuple[int, bytes, str]:
        head, last = read_head(runner), runner.first(_LAST)
        self._end = (head.seq, head.digest, "" if last is None else last.at)
        return self._end

    def _chain(self, runner: Runner, entry: AuditEntry) -> None:
        seq, previous, _ = self._end or self._read_end(runner)
        seq += 1
        digest = link(previous, seq, entry)
        runner.run(_INSERT, {"seq": seq, **entry._asdict(), "digest": digest})
        self._end, self._grown = (seq, digest, entry.at), True


def read_head(runner: Runner) -> AuditHead:
    """The sealed head of the trail."""
    row = runner.first(_READ_HEAD)
    if row is None:
        raise StoreError(
            "the head of the audit trail is missing: keep the store as it is and call for help", code="audit"
        )
    return AuditHead(row.seq, row.digest, row.seal)


def read_records(runner: Runner) -> Iterator[AuditRecord]:
    """The whole trail, oldest first, without holding it in memory."""
    for seq, at, who, what, ref, detail, digest in runner.run(_ALL):
        yield AuditRecord(seq, AuditEntry(at, who, what, ref, detail), digest)
