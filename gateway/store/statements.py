"""Runs statements of SQLAlchemy Core: written and checked there once, then run by the database's own driver.

SQLAlchemy turns a statement into SQL when it is first met; from then on the driver gets the text and the
values directly. A lot's whole life is some fifty small statements, and the layers in between would take
several times longer than the database itself. A list of values (`in_`) has no fixed text: use `one_of`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Protocol

import sqlalchemy as sa

Record = Any
"""One row of a query: a named tuple with its columns."""

Values = Mapping[str, Any]


class Cursor(Protocol):
    """What a driver answers to a statement."""

    @property
    def description(self) -> Any:
        """The columns of the rows; the name is the first item of each."""
        ...

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Driver(Protocol):
    """One open connection of a database's own driver, in the transaction of whoever holds it."""

    dialect: sa.Dialect
    """How SQLAlchemy writes statements for it."""

    locks: bool
    """Whether others may write at the same time, so that rows are locked before they are judged."""

    def execute(self, text: str, values: Values, /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, text: str, rows: Sequence[Values], /) -> Cursor:
        """Run one statement for each of several rows."""
        ...

    def stream(self, text: str, values: Values, /) -> Cursor:
        """Run a query whose rows are too many to be held together."""
        ...

    def insert(self, statement: sa.Insert, values: Values, /) -> int:
        """Insert one row and return its new key."""
        ...


def one_of(column: sa.Column[str], values: Iterable[str]) -> sa.ColumnElement[bool]:
    """Whether a column has one of these values."""
    return sa.or_(*(column == value for value in values))


class Runner:
    """Runs statements on one open connection; whoever holds it has begun a transaction."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._dialect = driver.dialect

    def run(self, statement: sa.ClauseElement, values: Values | Sequence[Values] | None = None) -> Cursor:
        """Run one statement, once or for each of several rows (which name the same columns)."""
        if values is None or isinstance(values, Mapping):
            return self._execute(statement, values or {})
        text, fixed = compiled(statement, tuple(values[0]), self._dialect)
        return self._driver.executemany(text, [{**fixed, **row} for row in values])

    def insert(self, statement: sa.Insert, values: Values) -> int:
        """Insert one row and return its new key."""
        return self._driver.insert(statement, values)

    def rows(self, statement: sa.ClauseElement, values: Values | None = None) -> list[Record]:
        """All rows of a query."""
        return list(_records(self._execute(statement, values or {})))

    def stream(self, statement: sa.ClauseElement, values: Values) -> Iterator[Record]:
        """The rows of a query, one after the other."""
        text, fixed = compiled(statement, tuple(values), self._dialect)
        return _records(self._driver.stream(text, {**fixed, **values}))

    def first(self, statement: sa.ClauseElement, values: Values | None = None) -> Record | None:
        """The first row of a query, or None."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def lock(self, statement: sa.Select[Any], values: Values) -> None:
        """Keep these rows for this transaction; nothing to do where nobody else can write."""
        if self._driver.locks:
            self.rows(statement, values)

    def _execute(self, statement: sa.ClauseElement, values: Values) -> Cursor:
        text, fixed = compiled(statement, tuple(values), self._dialect)
        return self._driver.execute(text, {**fixed, **values})


def _records(cursor: Cursor) -> Iterator[Record]:
    record = _record(tuple(column[0] for column in cursor.description))
    return map(record._make, cursor)


@lru_cache(maxsize=512)
def compiled(
    statement: sa.ClauseElement, names: tuple[str, ...], dialect: sa.Dialect
) -> tuple[str, dict[str, Any]]:
    """The SQL for values of these names, and the values that stand in the statement itself."""
    done = statement.compile(dialect=dialect, column_keys=list(names))
    return done.string, {name: value for name, value in done.params.items() if name not in names}


@cache
def _record(columns: tuple[str, ...]) -> Any:
    return namedtuple("Record", columns, rename=True)
