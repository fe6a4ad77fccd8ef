"""Schema 3: indexes for the lists and figures of one practice; a payment knows whose mailbox it came to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"

_UNSENT = sa.text("state IN ('AWAITING_CPS', 'SIGNED', 'IN_LOT')")
_UNPAID = sa.text("state = 'ACCEPTED' AND third_party <> 'none'")
_INDEXES = (
    ("lot_by_day", "lot", ("practice", "lot_date", "seq")),
    ("lot_by_state", "lot", ("practice", "state", "lot_date", "seq")),
    ("fse_by_time", "fse", ("practice", "elaborated", "number")),
    ("fse_by_state", "fse", ("practice", "state", "elaborated", "number")),
    ("payment_by_time", "payment", ("practice", "at", "id")),
    ("receipt_lot", "receipt", ("lot_seq",)),
)


def upgrade() -> None:
    """Add the column and the indexes, and say of each known payment whose FSE it is about."""
    op.add_column("payment", sa.Column("practice", sa.Text))
    op.execute("UPDATE payment SET practice = (SELECT practice FROM fse WHERE fse.id = payment.fse_id)")
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns)
    for name, column, part in (("fse_unsent", "deadline", _UNSENT), ("fse_unpaid", "changed_at", _UNPAID)):
        op.create_index(name, "fse", ("practice", column), sqlite_where=part, postgresql_where=part)
