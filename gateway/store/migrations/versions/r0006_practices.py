"""Schema 6: changes of state and shares name their practice; twins that are not written have an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"

_UNWRITTEN = sa.text("NOT written")
_WHOSE = (
    "UPDATE share SET practice = (SELECT practice FROM fse WHERE fse.id = share.fse_id)",
    "UPDATE change SET practice = coalesce(CASE kind"
    " WHEN 'fse' THEN (SELECT practice FROM fse WHERE fse.id = change.ref)"
    " WHEN 'lot' THEN (SELECT practice FROM lot WHERE lot.seq = change.ref)"
    " WHEN 'dre' THEN (SELECT practice FROM share WHERE share.id = change.ref) END, '')",
)


def upgrade() -> None:
    """Add the columns, fill them, and then their indexes."""
    for table in ("share", "change"):
        op.add_column(table, sa.Column("practice", sa.Text, nullable=False, server_default=""))
    for statement in _WHOSE:
        op.execute(statement)
    op.create_index("share_by_state", "share", ("practice", "state", "changed_at"))
    op.create_index("change_practice", "change", ("practice", "id"))
    op.create_index(
        "twin_unwritten", "fse_twin", ("fse_id",), sqlite_where=_UNWRITTEN, postgresql_where=_UNWRITTEN
    )
