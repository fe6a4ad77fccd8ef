"""Runs statements of SQLAlchemy Core on SQLite: written and checked there once, then run by the driver.

SQLAlchemy turns a statement into SQL when it is first met; from then on `sqlite3` gets the text and the
values directly. A lot's whole life is some fifty small statements, and the layers in between would take
several times longer than the database itself. A list of values (`in_`) has no fixed text: use `one_of`.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

Record = Any
"""One row of a query: a named tuple with its columns."""

Values = Mapping[str, Any]

_DIALECT = sqlite.dialect(paramstyle="named")


def one_of(column: sa.Column[str], values: Iterable[str]) -> sa.ColumnElement[bool]:
    """Whether a column has one of these values."""
    return sa.or_(*(column == value for value in values))


class Runner:
    """Runs statements on one open connection; whoever holds it has begun a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(
        self, statement: sa.ClauseElement, values: Values | Sequence[Values] | None = None
    ) -> sqlite3.Cursor:
        """Run one statement, once or for each of several rows (which name the same columns)."""
        if values is None or isinstance(values, Mapping):
            return self._execute(statement, values or {})
        text, fixed = _compiled(statement, tuple(values[0]))
        return self._connection.executemany(text, [{**fixed, **row} for row in values])

    def insert(self, statement: sa.ClauseElement, values: Values) -> int:
        """Insert one row and return its new key."""
        return int(self._execute(statement, values).lastrowid or 0)

    def rows(self, statement: sa.ClauseElement, values: Values | None = None) -> list[Record]:
        """All rows of a query."""
        cursor = self._execute(statement, values or {})
        record = _record(tuple(column[0] for column in cursor.description))
        return list(map(record._make, cursor))

    def first(self, statement: sa.ClauseElement, values: Values | None = None) -> Record | None:
        """The first row of a query, or None."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def _execute(self, statement: sa.ClauseElement, values: Values) -> sqlite3.Cursor:
        text, fixed = _compiled(statement, tuple(values))
        return self._connection.execute(text, {**fixed, **values})


@lru_cache(maxsize=256)
def _compiled(statement: sa.ClauseElement, names: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The SQL for values of these names, and the values that stand in the statement itself."""
    compiled = statement.compile(dialect=_DIALECT, column_keys=list(names))
    return compiled.string, {name: value for name, value in compiled.params.items() if name not in names}


@cache
def _record(columns: tuple[str, ...]) -> Any:
    return namedtuple("Record", columns, rename=True)
