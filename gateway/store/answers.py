"""What software was answered under its idempotency keys: kept with what was done, in the same transaction.

A request that is made again under its key gets the kept answer, and nothing is done twice. The body of
an answer is closed like every other body: it may hold names.
"""

from __future__ import annotations

import sqlalchemy as sa

from gateway.errors import StoreError
from gateway.store.database import Transaction
from gateway.store.rows import KeptAnswer
from gateway.store.schema import answer

_KEEP = answer.insert()
_ONE = sa.select(answer).where(
    (answer.c.practice == sa.bindparam("practice"))
    & (answer.c.client == sa.bindparam("client"))
    & (answer.c.key == sa.bindparam("key"))
)


def keep(tx: Transaction, kept: KeptAnswer) -> None:
    """Keep one answer; StoreError (code key) when this key has one already."""
    if find(tx, kept.practice, kept.client, kept.key) is not None:
        raise StoreError("this idempotency key has an answer already: use a new key", code="key-reused")
    row = {
        "practice": kept.practice,
        "client": kept.client,
        "key": kept.key,
        "request": kept.request,
        "status": kept.status,
        "body": tx.vault.close(_label(kept.practice, kept.client, kept.key), kept.body),
        "at": tx.at,
    }
    tx.run(_KEEP, row)


def find(tx: Transaction, practice: str, client: str, key: str) -> KeptAnswer | None:
    """The answer under this key, or None."""
    row = tx.first(_ONE, {"practice": practice, "client": client, "key": key})
    if row is None:
        return None
    body = tx.vault.open(_label(practice, client, key), row.body)
    return KeptAnswer(practice, client, key, bytes(row.request), row.status, body)


def _label(practice: str, client: str, key: str) -> str:
    return f"answer {practice}/{client}/{key}"
