"""The audit trail inside the store: written in the same transactions as what it tells about."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import GENESIS, AuditEntry, AuditHead, AuditRecord, link, seal_head
from gateway.errors import StoreError
from gateway.redact import redact
from gateway.store.schema import audit, audit_head

_INSERT = audit.insert()
_HEAD = sa.update(audit_head).where(audit_head.c.id == 1)
_LAST = sa.select(audit.c.at).order_by(audit.c.seq.desc()).limit(1)


class Trail:
    """Appends to the chain. The end of the chain is remembered, and forgotten when a step fails."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._end: tuple[int, bytes, str] | None = None
        self._grown = False

    def start(self, connection: Connection) -> None:
        """Write the head of an empty trail."""
        seal = seal_head(self._key, 0, GENESIS)
        connection.execute(audit_head.insert(), {"id": 1, "seq": 0, "digest": GENESIS, "seal": seal})

    def forget(self) -> None:
        """The transaction was undone: what was chained in it never happened."""
        self._end, self._grown = None, False

    def append(self, connection: Connection, entry: AuditEntry) -> None:
        """Chain one record; a clock that went back since the last one is recorded first."""
        last_at = (self._end or self._read_end(connection))[2]
        if entry.at < last_at:
            step = AuditEntry(entry.at, "gateway", "clock went back", "", f"the last record says {last_at}")
            self._chain(connection, step)
        self._chain(connection, entry._replace(detail=redact(entry.detail)))

    def finish(self, connection: Connection) -> None:
        """Seal the new head, once for all records of the transaction."""
        if self._end is None or not self._grown:
            return
        seq, digest, _ = self._end
        connection.execute(_HEAD, {"seq": seq, "digest": digest, "seal": seal_head(self._key, seq, digest)})
        self._grown = False

    def _read_end(self, connection: Connection) -> tuple[int, bytes, str]:
        head = read_head(connection)
        last_at = connection.execute(_LAST).scalar() or ""
        self._end = (head.seq, head.digest, last_at)
        return self._end

    def _chain(self, connection: Connection, entry: AuditEntry) -> None:
        seq, previous, _ = self._end or self._read_end(connection)
        seq += 1
        digest = link(previous, seq, entry)
        connection.execute(_INSERT, {"seq": seq, **entry._asdict(), "digest": digest})
        self._end, self._grown = (seq, digest, entry.at), True


def read_head(connection: Connection) -> AuditHead:
    """The sealed head of the trail."""
    row = connection.execute(sa.select(audit_head)).first()
    if row is None:
        raise StoreError(
            "the head of the audit trail is missing: keep the store as it is and call for help", code="audit"
        )
    return AuditHead(row.seq, row.digest, row.seal)


def read_records(connection: Connection) -> Iterator[AuditRecord]:
    """The whole trail, oldest first, without holding it in memory."""
    for row in connection.execution_options(yield_per=1000).execute(sa.select(audit).order_by(audit.c.seq)):
        yield AuditRecord(row.seq, AuditEntry(row.at, row.who, row.what, row.ref, row.detail), row.digest)
