"""Schema 2: several gateways on one store, and an audit chain per practice.

A claimed lot names the gateway that claimed it, a reader has one owner, a returned message names the practice
whose mailbox it came to. The one audit chain that was stays as it is, as the chain of practice "".
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column, LargeBinary, String, Text

revision, down_revision = "0002", "0001"

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_NEW = sa.MetaData()
_AUDIT = sa.Table(
    "audit_now",
    _NEW,
    Column("practice", Text, primary_key=True, server_default=""),
    Column("seq", _BIG, primary_key=True, autoincrement=False),
    Column("at", String(27), nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
)
_HEAD = sa.Table(
    "audit_head_now",
    _NEW,
    Column("practice", Text, primary_key=True),
    Column("seq", _BIG, nullable=False),
    Column("at", String(27), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("seal", LargeBinary(32), nullable=False),
)
_LEASE = sa.Table(
    "reader_lease",
    _NEW,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", String(27), nullable=False),
)
_MOVES = (
    "INSERT INTO audit_now (practice, seq, at, who, what, ref, detail, digest) "
    "SELECT '', seq, at, who, what, ref, detail, digest FROM audit",
    "INSERT INTO audit_head_now (practice, seq, at, digest, seal) "
    "SELECT '', seq, coalesce((SELECT at FROM audit ORDER BY seq DESC LIMIT 1), ''), digest, seal "
    "FROM audit_head",
)
_WHOSE = (
    "UPDATE message SET practice = coalesce("
    "(SELECT max(lot.practice) FROM receipt JOIN lot ON lot.seq = receipt.lot_seq "
    "WHERE receipt.message_digest = message.digest), "
    "(SELECT max(fse.practice) FROM payment JOIN fse ON fse.id = payment.fse_id "
    "WHERE payment.message_digest = message.digest), "
    "(SELECT CASE WHEN count(DISTINCT practice) = 1 THEN max(practice) ELSE '' END FROM number), '')"
)
"""A message is its lot's or its sheet's practice's; a stranger, that of the only practice there is."""


def upgrade() -> None:
    """Add what is new and move the audit chain into its new table, byte for byte."""
    _NEW.create_all(op.get_bind())
    for move in _MOVES:
        op.execute(move)
    for old in ("audit", "audit_head"):
        op.drop_table(old)
        op.rename_table(f"{old}_now", old)
    op.add_column("lot", Column("owner", Text))
    op.add_column("message", Column("practice", Text, nullable=False, server_default=""))
    op.execute(_WHOSE)
    op.create_index("message_practice", "message", ["practice", "at"])
