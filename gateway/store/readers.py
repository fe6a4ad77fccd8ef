"""One owner per card reader: a lease that its gateway renews; another takes the reader when it has ended."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from gateway.errors import StoreError
from gateway.store.database import Transaction
from gateway.store.schema import moment, reader_lease, stamp

_NAMED = reader_lease.c.name == sa.bindparam("b_name")
_HELD = sa.select(reader_lease).where(_NAMED).with_for_update()
_TAKE = reader_lease.insert()
_RENEW = sa.update(reader_lease).where(_NAMED)
_GIVE_BACK = sa.delete(reader_lease).where(_NAMED & (reader_lease.c.owner == sa.bindparam("b_owner")))


def take(tx: Transaction, name: str, owner: str, lease: timedelta) -> datetime:
    """The reader is `owner`'s until the moment returned; StoreError (reader-taken) while it is another's."""
    until = moment(tx.at) + lease
    row = tx.first(_HELD, {"b_name": name})
    if row is not None and row.owner != owner and row.until > tx.at:
        whose = f"{row.owner} until {row.until[:16].replace('T', ' ')} UTC or longer"
        sentence = "stop that gateway, or give this reader a name of its own"
        raise StoreError(f"the reader {name} is used by {whose}: {sentence}", code="reader-taken")
    if row is None:
        tx.run(_TAKE, {"name": name, "owner": owner, "until": stamp(until)})
    else:
        tx.run(_RENEW, {"b_name": name, "owner": owner, "until": stamp(until)})
    if row is None or row.owner != owner:
        tx.audit("reader taken", name, owner)
    return until


def give_back(tx: Transaction, name: str, owner: str) -> None:
    """Free for whoever comes next."""
    if tx.run(_GIVE_BACK, {"b_name": name, "b_owner": owner}).rowcount:
        tx.audit("reader given back", name, owner)
