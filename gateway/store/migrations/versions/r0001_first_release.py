"""Schema 1: the first release, whichever of its early tables a store was made with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Text

revision, down_revision = "0001", None

_EARLY = sa.MetaData()
fse, lot = (
    sa.Table("fse", _EARLY, Column("id", Integer, primary_key=True)),
    sa.Table("lot", _EARLY, Column("seq", Integer, primary_key=True)),
)
_ADDED = (
    sa.Table(
        "place",
        _EARLY,
        Column("practice", Text, primary_key=True),
        Column("practitioner", Text, primary_key=True),
        Column("body", LargeBinary, nullable=False),
        Column("at", String(27), nullable=False),
    ),
    sa.Table(
        "fse_act",
        _EARLY,
        Column("fse_id", ForeignKey("fse.id"), primary_key=True),
        Column("body", LargeBinary, nullable=False),
    ),
    sa.Table(
        "fse_twin",
        _EARLY,
        Column("fse_id", ForeignKey("fse.id"), primary_key=True),
        Column("body", LargeBinary, nullable=False),
        Column("written", sa.Boolean, nullable=False),
    ),
    sa.Table(
        "rectification",
        _EARLY,
        Column("fse_id", ForeignKey("fse.id"), primary_key=True),
        Column("refused_id", ForeignKey("fse.id"), nullable=False, unique=True),
    ),
    sa.Table(
        "share",
        _EARLY,
        Column("id", Integer, primary_key=True),
        Column("fse_id", ForeignKey("fse.id"), nullable=False, unique=True),
        Column("destination", Text, nullable=False),
        Column("recipient", Text, nullable=False),
        Column("amc_cents", Integer, nullable=False),
        Column("lot_seq", ForeignKey("lot.seq")),
        Column("state", String(16), nullable=False),
        Column("changed_at", String(27), nullable=False),
        Column("reason", Text, nullable=False),
        sa.Index("share_state", "state"),
        sa.Index("share_lot", "lot_seq"),
    ),
    sa.Table(
        "share_body",
        _EARLY,
        Column("share_id", ForeignKey("share.id"), primary_key=True),
        Column("body", LargeBinary, nullable=False),
    ),
    sa.Table(
        "answer",
        _EARLY,
        Column("practice", Text, primary_key=True),
        Column("client", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("request", LargeBinary(32), nullable=False),
        Column("status", Integer, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("at", String(27), nullable=False),
        sa.Index("answer_at", "at"),
    ),
)


def upgrade() -> None:
    """Make those of the tables that the first release came to have which this store has not."""
    _EARLY.create_all(op.get_bind(), tables=_ADDED, checkfirst=True)
