"""Fills a PostgreSQL store with sealed lots that wait for their turn, as the steps of the store leave them.

One step after the other takes long for 300,000 FSE; COPY takes less than a minute. The rows say what `Store`
would have said: numbers reserved and used, FSE in their lot, bodies closed, history and audit chains.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from gateway.audit import BEGINS, AuditEntry, genesis, link, seal_head
from gateway.clock import SystemClock
from gateway.store import schema
from gateway.store.store import Store

LOT_SIZE, BODY, MAIL = 30, 1100, 9000
"""FSE in a lot; bytes of an FSE and of a sealed lot, as the pipeline makes them."""

_DOCTOR, _CAISSE = "810000000000", "01-999-349"
_AT_ONCE = 200

Row = dict[str, Any]


class Queue:
    """Makes the rows of one practice after the other, under keys that count on from those of a new store."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._vault = store._database._vault
        self._now = now
        self.at = schema.stamp(now)

    def practices(self, numbers: Iterable[int], begun: int) -> dict[sa.Table, list[Row]]:
        """All rows of these practices; their audit chains begin behind record `begun`."""
        rows: dict[sa.Table, list[Row]] = {table: [] for table in _TABLES}
        for number in numbers:
            self._practice(rows, number, begun)
        return rows

    def _practice(self, rows: dict[sa.Table, list[Row]], seq: int, begun: int) -> None:
        practice, day = name_of(seq), self._now.date().isoformat()
        mail = f"{self._now:%Y%m%d%H%M%S}{seq:05d}"
        lot_id = f"{seq:014d}-000001-{mail}"
        names = {"lot_number": 1, "lot_date": day, "file_id": "000001", "compostage": mail}
        for kind, last in (("fse", LOT_SIZE), ("lot", 1), ("file", 1), ("mail", 1)):
            rows[schema.number].append({"practice": practice, "kind": kind, "last": last})
        rows[schema.reservation].append(
            {"practice": practice, "destination": _CAISSE, "at": self.at, "used": True, **names}
        )
        rows[schema.lot].append(
            {
                "seq": seq, "id": lot_id, "practice": practice, "destination": _CAISSE, **names,
                "sender": f"{practice}@practice.test", "recipient": "01349@349.01.rss.fr",
                "fse_count": LOT_SIZE, "digest": os.urandom(32), "state": "SEALED", "changed_at": self.at,
                "reason": "", "retry": 0, "attempts": 0, "sends": 0, "next_attempt_at": self.at,
            }
        )  # fmt: skip
        rows[schema.lot_body].append({"lot_seq": seq, "message": _mail(lot_id)})
        self._change(rows, (practice, "lot", seq), "", "SEALED")
        said = [("FSE numbers reserved", f"{practice}/1", f"{LOT_SIZE} from 1")]
        for number in range(1, LOT_SIZE + 1):
            self._fse(rows, practice, seq, number)
            said.append(("FSE kept", f"{practice}/{number}", ""))
        said += [("lot numbers reserved", f"{practice}/{mail}", f"lot 1 of {day}")]
        said += [("lot kept", lot_id, f"{LOT_SIZE} FSE")]
        self._audit(rows, practice, begun, said)

    def _fse(self, rows: dict[sa.Table, list[Row]], practice: str, lot: int, number: int) -> None:
        key, body = (lot - 1) * LOT_SIZE + number, os.urandom(BODY)
        rows[schema.fse].append(
            {
                "id": key, "practice": practice, "number": number, "practitioner": _DOCTOR,
                "destination": _CAISSE, "mode": 3, "third_party": "amo", "elaborated": self.at,
                "deadline": _deadline(self._now), "base_cents": 3000, "amo_cents": 2100, "amc_cents": 0,
                "patient_cents": 900, "excess_cents": 0, "label": "G",
                "body_digest": hashlib.sha256(body).digest(), "lot_seq": lot, "state": "IN_LOT",
                "changed_at": self.at, "reason": "",
            }
        )  # fmt: skip
        rows[schema.fse_body].append(
            {"fse_id": key, "body": self._vault.close(f"FSE {practice}/{number}", body)}
        )
        self._change(rows, (practice, "fse", key), "", "SIGNED")
        self._change(rows, (practice, "fse", key), "SIGNED", "IN_LOT")

    def _change(
        self, rows: dict[sa.Table, list[Row]], whose: tuple[str, str, int], before: str, after: str
    ) -> None:
        practice, kind, ref = whose
        line = {
            "practice": practice,
            "kind": kind,
            "ref": ref,
            "at": self.at,
            "before": before,
            "after": after,
            "reason": "",
        }
        rows[schema.change].append(line)

    def _audit(
        self, rows: dict[sa.Table, list[Row]], practice: str, begun: int, said: Sequence[tuple[str, str, str]]
    ) -> None:
        digest, seq = genesis(practice, begun), begun
        for seq, (what, ref, detail) in enumerate(said, begun + 1):
            entry = AuditEntry(self.at, "gateway", what, ref, detail)
            digest = link(digest, seq, entry)
            rows[schema.audit].append({"practice": practice, "seq": seq, **entry._asdict(), "digest": digest})
        rows[schema.audit_head].append(self.head(practice, seq, digest))

    def head(self, practice: str, seq: int, digest: bytes) -> Row:
        """The sealed head of a chain."""
        seal = seal_head(self._vault.audit_key, seq, digest)
        return {"practice": practice, "seq": seq, "at": self.at, "digest": digest, "seal": seal}


_TABLES = (
    schema.number, schema.reservation, schema.lot, schema.lot_body, schema.fse, schema.fse_body,
    schema.change, schema.audit, schema.audit_head,
)  # fmt: skip
_COUNTED = (schema.lot.c.seq, schema.fse.c.id)


def fill(url: str, store: Store, practices: int) -> None:
    """Queue one lot of 30 FSE for each of so many practices in this empty store."""
    queue = Queue(store, SystemClock().now())
    with psycopg.connect(url) as connection:
        begun = _begin_chains(connection, queue, practices)
        for start in range(1, practices + 1, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, practices + 1))
            for table, rows in queue.practices(numbers, begun).items():
                _copy(connection, table, rows)
        for column in _COUNTED:  # the next key is behind those that were given here
            query = sql.SQL("SELECT setval(pg_get_serial_sequence({t}, {c}), (SELECT max({k}) FROM {i}))")
            connection.execute(
                query.format(
                    t=sql.Literal(column.table.name), c=sql.Literal(column.name),
                    k=sql.Identifier(column.name), i=sql.Identifier(column.table.name),
                )
            )  # fmt: skip
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _begin_chains(connection: psycopg.Connection[Any], queue: Queue, practices: int) -> int:
    """The gateway's own chain names every practice's; its last number."""
    found = connection.execute("SELECT seq, digest FROM audit_head WHERE practice = ''").fetchone()
    assert found is not None
    (seq, digest), rows = found, []
    for number in range(1, practices + 1):
        seq += 1
        entry = AuditEntry(queue.at, "gateway", BEGINS, name_of(number), "")
        digest = link(digest, seq, entry)
        rows.append({"practice": "", "seq": seq, **entry._asdict(), "digest": digest})
    _copy(connection, schema.audit, rows)
    connection.execute("DELETE FROM audit_head WHERE practice = ''")
    _copy(connection, schema.audit_head, [queue.head("", seq, digest)])
    return int(seq)


def _copy(connection: psycopg.Connection[Any], table: sa.Table, rows: Sequence[Row]) -> None:
    names = list(rows[0])
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])


def name_of(number: int) -> str:
    """The id of a practice."""
    return f"practice-{number:05d}"


def _mail(lot_id: str) -> bytes:
    """Bytes like those of a sealed lot: a short head, and what nobody can pack any further."""
    text = base64.encodebytes(os.urandom(MAIL * 3 // 4)).replace(b"\n", b"\r\n")
    return f"Message-ID: <{lot_id}@practice.test>\r\nSubject: lot\r\n\r\n".encode() + text


def _deadline(now: datetime) -> str:
    return (now.date() + timedelta(days=8)).isoformat()
