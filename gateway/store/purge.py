"""Retention: bodies are forgotten when the law no longer asks for them; numbers and history stay."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.store import answers
from gateway.store.database import Transaction
from gateway.store.schema import fse, fse_act, fse_body, fse_twin, lot, lot_body, message, share, share_body
from gateway.store.statements import one_of
from gateway.store.states import FINAL_FSE, FINAL_LOT, FseState

_ENDED = sa.or_(
    one_of(fse.c.state, FINAL_FSE),
    (fse.c.state == FseState.ACCEPTED) & (fse.c.third_party == "none"),
)
_OLD_FSE = sa.select(fse.c.id).where(_ENDED & (fse.c.changed_at < sa.bindparam("b_before")))
_OLD_LOTS = sa.select(lot.c.seq).where(
    one_of(lot.c.state, FINAL_LOT) & (lot.c.changed_at < sa.bindparam("b_before"))
)
_BESIDE = tuple(sa.delete(table).where(table.c.fse_id.in_(_OLD_FSE)) for table in (fse_act, fse_twin))
_OLD_SHARES = sa.select(share.c.id).where(
    one_of(share.c.state, FINAL_FSE) & (share.c.changed_at < sa.bindparam("b_before"))
)
_SHARE_BODIES = sa.delete(share_body).where(share_body.c.share_id.in_(_OLD_SHARES))
_FSE_BODIES = sa.delete(fse_body).where(fse_body.c.fse_id.in_(_OLD_FSE))
_LOT_BODIES = sa.delete(lot_body).where(lot_body.c.lot_seq.in_(_OLD_LOTS))
_MESSAGES = (
    sa.update(message)
    .where((message.c.at < sa.bindparam("b_before")) & message.c.body.is_not(None))
    .values(body=None)
)


def forget_bodies(tx: Transaction, before: str) -> int:
    """Delete the bodies of what ended before this stamp; how many there were. Old answers go as well."""
    answers.forget(tx, before)
    forgotten = sum(
        tx.run(statement, {"b_before": before}).rowcount
        for statement in (*_BESIDE, _SHARE_BODIES, _FSE_BODIES, _LOT_BODIES, _MESSAGES)
    )
    if forgotten:
        tx.audit("bodies forgotten", "", f"{forgotten} ended before {before[:10]}")
    return forgotten
