"""Schema 4: lines that fail, so that their lots are not tried one by one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """Make the table; nothing is known of any line yet."""
    op.create_table(
        "breaker",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("since", sa.String(27), nullable=False),
        sa.Column("next_attempt_at", sa.String(27), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
