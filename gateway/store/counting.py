"""How many FSE, lots and shares of a practice stand in each state, without counting years of them each time.

Every change of state is a row of `change`, in the order of its place. Who has counted once remembers up to
which place, and from then on reads what changed since: as exact, and as quick beside a million sheets as
beside ten. This holds where changes become visible in their order: with one writer, as SQLite has it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.store.database import Transaction
from gateway.store.schema import change

Standing = dict[str, Counter[str]]
"""By kind (fse, lot, dre), how many stand in each state."""

_MANY = 20_000
_LAST = sa.select(sa.func.max(change.c.id).label("last")).where(
    change.c.practice == sa.bindparam("b_practice")
)
_SINCE = (
    sa.select(change.c.kind, change.c.before, change.c.after, sa.func.count().label("number"))
    .where((change.c.practice == sa.bindparam("b_practice")) & (change.c.id > sa.bindparam("b_after")))
    .group_by(change.c.kind, change.c.before, change.c.after)
)


@dataclass(frozen=True, slots=True)
class _Known:
    place: int
    standing: Standing


class Memory:
    """What was counted of each practice, and up to which change; safe to share between threads."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._guard = threading.Lock()

    def standing(self, tx: Transaction, practice: str, count: Callable[[], Standing]) -> Standing:
        """How many stand where now; `count` counts them all: the first time, and when much has changed."""
        with self._guard:
            known = self._known.get(practice)
        row = tx.first(_LAST, {"b_practice": practice})
        place = int(row.last or 0) if row is not None else 0
        if known is None or not 0 <= place - known.place <= _MANY:
            standing = count()
        else:
            standing = _moved(tx, practice, known)
        with self._guard:
            self._known[practice] = _Known(place, standing)
        return standing


def _moved(tx: Transaction, practice: str, known: _Known) -> Standing:
    standing = {kind: Counter(states) for kind, states in known.standing.items()}
    for row in tx.rows(_SINCE, {"b_practice": practice, "b_after": known.place}):
        if row.before:
            standing[row.kind][row.before] -= row.number
        standing[row.kind][row.after] += row.number
    return standing
