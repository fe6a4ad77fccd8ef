"""Schema 5: the queue is read in its order from its index, however many lots wait since the same moment."""

from __future__ import annotations

from alembic import op

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    """The index of the queue ends with what decides between lots of one moment."""
    op.drop_index("lot_queue", table_name="lot")
    op.create_index("lot_queue", "lot", ["retry", "next_attempt_at", "seq"])
