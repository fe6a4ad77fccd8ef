"""Retention: bodies are forgotten when the law no longer asks for them; numbers and history stay.

It goes in slices, each a short transaction of its own: a practice that keeps a sheet meanwhile waits for one
slice at most, however many years there are to forget. Killed between two slices, the next day goes on.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from gateway.store.database import Transaction
from gateway.store.schema import (
    answer,
    fse,
    fse_act,
    fse_body,
    fse_twin,
    lot,
    lot_body,
    message,
    share,
    share_body,
)
from gateway.store.statements import one_of
from gateway.store.states import FINAL_FSE, FINAL_LOT, FseState

SLICE = 250
"""How many bodies a slice looks at: with a lot of 10 KB each, some milliseconds."""

_PAUSE_SECONDS = 0.001

_BEFORE: sa.BindParameter[Any] = sa.bindparam("b_before")
_FROM: sa.BindParameter[Any] = sa.bindparam("b_from")
_TO: sa.BindParameter[Any] = sa.bindparam("b_to")
_ENDED = sa.or_(
    one_of(fse.c.state, FINAL_FSE),
    (fse.c.state == FseState.ACCEPTED) & (fse.c.third_party == "none"),
)
_OLD_FSE = sa.select(fse.c.id).where(_ENDED & (fse.c.changed_at < _BEFORE))
_OLD_LOTS = sa.select(lot.c.seq).where(one_of(lot.c.state, FINAL_LOT) & (lot.c.changed_at < _BEFORE))
_OLD_SHARES = sa.select(share.c.id).where(one_of(share.c.state, FINAL_FSE) & (share.c.changed_at < _BEFORE))


@dataclass(frozen=True, slots=True)
class _Sort:
    """One sort of bodies: where a slice ends (`to` of the keys behind `from`), and what forgets it."""

    start: object
    end: sa.Select[Any]
    forget: sa.Update | sa.Delete

    @classmethod
    def of(cls, key: sa.Column[Any], old: sa.Select[Any], owner: sa.Column[Any], *more: Any) -> _Sort:
        """Bodies whose key names their owner: those of old owners go."""
        mine = old.where((owner > _FROM) & (owner <= _TO))
        here = (key > _FROM) & (key <= _TO)
        return cls(0, _end(key), sa.delete(key.table).where(here & key.in_(mine)).where(*more))


def _end(key: sa.Column[Any], *where: Any) -> sa.Select[Any]:
    behind = sa.select(key.label("key")).where(key > _FROM, *where)
    found = behind.order_by(key).limit(sa.bindparam("b_limit")).subquery()
    return sa.select(found.c.key).order_by(found.c.key.desc()).limit(1)


def _messages() -> _Sort:
    here = (message.c.digest > _FROM) & (message.c.digest <= _TO)
    old = here & (message.c.at < _BEFORE) & message.c.body.is_not(None)
    return _Sort(b"", _end(message.c.digest), sa.update(message).where(old).values(body=None))


def _answers() -> _Sort:
    here = (answer.c.at > _FROM) & (answer.c.at <= _TO) & (answer.c.at < _BEFORE)
    return _Sort("", _end(answer.c.at, answer.c.at < _BEFORE), sa.delete(answer).where(here))


_SORTS = (
    _Sort.of(fse_act.c.fse_id, _OLD_FSE, fse.c.id),
    _Sort.of(fse_twin.c.fse_id, _OLD_FSE, fse.c.id, fse_twin.c.written == sa.true()),
    _Sort.of(share_body.c.share_id, _OLD_SHARES, share.c.id),
    _Sort.of(fse_body.c.fse_id, _OLD_FSE, fse.c.id),
    _Sort.of(lot_body.c.lot_seq, _OLD_LOTS, lot.c.seq),
    _messages(),
    _answers(),
)


@dataclass(frozen=True, slots=True)
class Purge:
    """How far a purge has come: the sort it is at, behind which key, and how many bodies it forgot."""

    sort: int = 0
    behind: object = _SORTS[0].start
    forgotten: int = 0

    @property
    def is_done(self) -> bool:
        """Nothing is left to look at."""
        return self.sort == len(_SORTS)


def let_others() -> None:
    """Between two slices: whoever waits for the store gets a turn, which a lock alone does not give."""
    threading.Event().wait(_PAUSE_SECONDS)


def forget_slice(tx: Transaction, before: str, so_far: Purge) -> Purge:
    """Forget what of the next slice ended before this stamp, and say in the trail how many went."""
    sort = _SORTS[so_far.sort]
    found = tx.first(sort.end, {"b_from": so_far.behind, "b_before": before, "b_limit": SLICE})
    if found is None:
        at = so_far.sort + 1
        return Purge(at, _SORTS[at].start if at < len(_SORTS) else None, so_far.forgotten)
    values = {"b_from": so_far.behind, "b_to": found.key, "b_before": before}
    forgotten: int = tx.run(sort.forget, values).rowcount
    if forgotten:
        tx.audit("bodies forgotten", "", f"{forgotten} ended before {before[:10]}")
    return Purge(so_far.sort, found.key, so_far.forgotten + forgotten)
