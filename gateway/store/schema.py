"""The tables. Bodies stand apart from states, so that a change of state never rewrites a body.

Times are ISO 8601 UTC text of fixed width (they sort as they read), days are ISO text, money is in
cents. No table holds a NIR or a patient's name outside the encrypted `body` columns.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA_VERSION = 6

UNSENT = text("state IN ('AWAITING_CPS', 'SIGNED', 'IN_LOT')")
"""FSE that have not left yet. A query that says exactly this is answered from the index of these alone."""

UNPAID = text("state = 'ACCEPTED' AND third_party <> 'none'")
"""FSE whose payment to the professional is awaited; the same holds."""

UNWRITTEN = text("NOT written")
"""Paper twins that are not in their folder yet; the same holds."""

metadata = MetaData()

Big = BigInteger().with_variant(Integer, "sqlite")
"""64 bits; SQLite's INTEGER has them by itself, and only that word makes a key that counts."""

meta = Table(
    "meta", metadata, Column("name", Text, primary_key=True), Column("value", LargeBinary, nullable=False)
)

number = Table(
    "number",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("last", Integer, nullable=False),
)

reservation = Table(
    "reservation",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("compostage", String(19), primary_key=True),
    Column("lot_number", Integer, nullable=False),
    Column("lot_date", String(10), nullable=False),
    Column("file_id", String(6), nullable=False),
    Column("destination", Text, nullable=False),
    Column("at", String(27), nullable=False),
    Column("used", Boolean, nullable=False),
    UniqueConstraint("practice", "lot_date", "lot_number"),
)

lot = Table(
    "lot",
    metadata,
    Column("seq", Big, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("practice", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("lot_number", Integer, nullable=False),
    Column("lot_date", String(10), nullable=False),
    Column("file_id", String(6), nullable=False),
    Column("compostage", String(19), nullable=False),
    Column("fse_count", Integer, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("changed_at", String(27), nullable=False),
    Column("reason", Text, nullable=False),
    Column("retry", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sends", Integer, nullable=False),
    Column("next_attempt_at", String(27)),  # of a lot that is SENDING: when its lease ends
    Column("failing_since", String(27)),
    Column("sent_at", String(27)),
    Column("ack_due", String(27)),
    Column("owner", Text),  # the gateway that claimed it last
    Index("lot_queue", "retry", "next_attempt_at", "seq"),
    Index("lot_state", "state", "ack_due"),
    Index("lot_compostage", "compostage"),
    Index("lot_sent", "sent_at"),
    Index("lot_by_day", "practice", "lot_date", "seq"),
    Index("lot_by_state", "practice", "state", "lot_date", "seq"),
)

lot_body = Table(
    "lot_body",
    metadata,
    Column("lot_seq", ForeignKey("lot.seq"), primary_key=True),
    Column("message", LargeBinary, nullable=False),
)

fse = Table(
    "fse",
    metadata,
    Column("id", Big, primary_key=True),
    Column("practice", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("practitioner", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("mode", Integer, nullable=False),
    Column("third_party", String(8), nullable=False),
    Column("elaborated", String(27), nullable=False),
    Column("deadline", String(10), nullable=False),
    Column("base_cents", Big, nullable=False),
    Column("amo_cents", Big, nullable=False),
    Column("amc_cents", Big, nullable=False),
    Column("patient_cents", Big, nullable=False),
    Column("excess_cents", Big, nullable=False),
    Column("label", Text, nullable=False),
    Column("body_digest", LargeBinary(32), nullable=False),
    Column("lot_seq", ForeignKey("lot.seq")),
    Column("paid_amo_cents", Big, nullable=False, server_default="0"),
    Column("paid_amc_cents", Big, nullable=False, server_default="0"),
    Column("state", String(16), nullable=False),
    Column("changed_at", String(27), nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("practice", "number"),
    Index("fse_state", "state", "deadline"),
    Index("fse_lot", "lot_seq"),
    Index("fse_by_time", "practice", "elaborated", "number"),
    Index("fse_by_state", "practice", "state", "elaborated", "number"),
    Index("fse_unsent", "practice", "deadline", sqlite_where=UNSENT, postgresql_where=UNSENT),
    Index("fse_unpaid", "practice", "changed_at", sqlite_where=UNPAID, postgresql_where=UNPAID),
)

fse_body = Table(
    "fse_body",
    metadata,
    Column("fse_id", ForeignKey("fse.id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Big, primary_key=True),
    Column("lot_seq", ForeignKey("lot.seq"), nullable=False),
    Column("started_at", String(27), nullable=False),
    Column("ended_at", String(27)),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Index("attempt_lot", "lot_seq"),
)

message = Table(
    "message",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("practice", Text, nullable=False, server_default=""),  # whose mailbox it came to
    Column("key", Text, nullable=False),
    Column("at", String(27), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary),
    Index("message_kind", "kind", "at"),
    Index("message_practice", "practice", "at"),
)

receipt = Table(
    "receipt",
    metadata,
    Column("id", Big, primary_key=True),
    Column("message_digest", ForeignKey("message.digest"), nullable=False),
    Column("at", String(27), nullable=False),
    Column("lot_seq", ForeignKey("lot.seq")),
    Column("lot_number", Integer, nullable=False),
    Column("lot_date", String(10), nullable=False),
    Column("file_id", String(6), nullable=False),
    Column("compostage", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("positive", Boolean, nullable=False),
    Column("error_class", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("message_digest", "compostage", "lot_number", "lot_date"),
    Index("receipt_outcome", "outcome"),
    Index("receipt_lot", "lot_seq"),
)

payment = Table(
    "payment",
    metadata,
    Column("id", Big, primary_key=True),
    Column("message_digest", ForeignKey("message.digest"), nullable=False),
    Column("line", Integer, nullable=False),
    Column("at", String(27), nullable=False),
    Column("fse_id", ForeignKey("fse.id")),
    Column("number", Big, nullable=False),
    Column("lot_number", Big, nullable=False),
    Column("lot_date", String(10)),
    Column("paid", Boolean, nullable=False),
    Column("deferred", Boolean, nullable=False),
    Column("amo_cents", Big, nullable=False),
    Column("amc_cents", Big, nullable=False),
    Column("code", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("practice", Text),  # whose mailbox it came to; empty for a stray of the first release
    UniqueConstraint("message_digest", "line"),
    Index("payment_fse", "fse_id"),
    Index("payment_outcome", "outcome"),
    Index("payment_by_time", "practice", "at", "id"),
)

change = Table(
    "change",
    metadata,
    Column("id", Big, primary_key=True),
    Column("kind", String(3), nullable=False),
    Column("ref", Big, nullable=False),
    Column("at", String(27), nullable=False),
    Column("before", String(16), nullable=False),
    Column("after", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("practice", Text, nullable=False, server_default=""),
    Index("change_ref", "kind", "ref"),
    Index("change_practice", "practice", "id"),
)

# Tables below were added to stores that exist: opening a store makes those that it has not yet.

place = Table(
    "place",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("practitioner", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("at", String(27), nullable=False),
)

fse_act = Table(
    "fse_act",
    metadata,
    Column("fse_id", ForeignKey("fse.id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

fse_twin = Table(
    "fse_twin",
    metadata,
    Column("fse_id", ForeignKey("fse.id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("written", Boolean, nullable=False),
    Index("twin_unwritten", "fse_id", sqlite_where=UNWRITTEN, postgresql_where=UNWRITTEN),
)

rectification = Table(
    "rectification",
    metadata,
    Column("fse_id", ForeignKey("fse.id"), primary_key=True),
    Column("refused_id", ForeignKey("fse.id"), nullable=False, unique=True),
)

share = Table(
    "share",
    metadata,
    Column("id", Big, primary_key=True),
    Column("fse_id", ForeignKey("fse.id"), nullable=False, unique=True),
    Column("destination", Text, nullable=False),  # empty: the caisse hands the share on
    Column("recipient", Text, nullable=False),
    Column("amc_cents", Big, nullable=False),
    Column("lot_seq", ForeignKey("lot.seq")),
    Column("state", String(16), nullable=False),
    Column("changed_at", String(27), nullable=False),
    Column("reason", Text, nullable=False),
    Column("practice", Text, nullable=False, server_default=""),
    Index("share_state", "state"),
    Index("share_lot", "lot_seq"),
    Index("share_by_state", "practice", "state", "changed_at"),
)

share_body = Table(
    "share_body",
    metadata,
    Column("share_id", ForeignKey("share.id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

answer = Table(
    "answer",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("client", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", LargeBinary(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", String(27), nullable=False),
    Index("answer_at", "at"),
)

breaker = Table(  # lines that have failed since they last worked: a relay, or a domain that lots go to
    "breaker",
    metadata,
    Column("name", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since", String(27), nullable=False),
    Column("next_attempt_at", String(27), nullable=False),
    Column("reason", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("practice", Text, primary_key=True, server_default=""),  # empty: the gateway's own chain
    Column("seq", Big, primary_key=True, autoincrement=False),
    Column("at", String(27), nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("practice", Text, primary_key=True),
    Column("seq", Big, nullable=False),
    Column("at", String(27), nullable=False),  # of the last record
    Column("digest", LargeBinary(32), nullable=False),
    Column("seal", LargeBinary(32), nullable=False),
)

reader_lease = Table(
    "reader_lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", String(27), nullable=False),
)


def stamp(moment: datetime) -> str:
    """An aware moment as the 27 characters that the tables hold."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """The aware UTC moment of a stamp."""
    return datetime.fromisoformat(text)


def moment_or_none(text: str | None) -> datetime | None:
    """Like `moment`, for columns that may be empty."""
    return None if text is None else moment(text)
