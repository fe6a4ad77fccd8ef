"""One JSON object, field by field: typed values out of it, and errors that name the field, never a NIR."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from gateway.errors import InputError

_NIR_LENGTH = 13
_WORD = re.compile(r"[A-Za-z_]{1,40}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def field_name(name: object) -> str:
    """The name of a field as an error may show it: what is not a plain word could be anything, a NIR too."""
    return name if isinstance(name, str) and _WORD.fullmatch(name) else "(a name that is not a word)"


def shown(value: object) -> str:
    """A value as an error may repeat it: nothing long enough to be a NIR, nothing that fills a screen."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) < _NIR_LENGTH else "this value"


def shown_code(code: str) -> str:
    """A code as an error may repeat it: not one that is as long as a NIR."""
    return code if len(code) < _NIR_LENGTH else "this code"


class JsonObject:
    """Takes typed values out of one JSON object and names the field when a value is of the wrong kind."""

    def __init__(self, data: Mapping[str, Any], path: str, known: Sequence[str]) -> None:
        if not isinstance(data, Mapping):
            raise InputError(f"{path.rstrip('.') or 'the request'}: a JSON object is needed here.")
        for name in data:
            if name not in known:
                raise InputError(
                    f"{path}{field_name(name)}: unknown field; the fields here are {', '.join(known)}."
                )
        self._data, self._path = data, path

    def _fail(self, name: str, wanted: str) -> NoReturn:
        state = "is missing" if self._data.get(name) is None else "is not usable"
        raise InputError(f"{self._path}{name}: {state}; give {wanted}.")

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object that must be there."""
        value = self._data.get(name)
        return value if isinstance(value, Mapping) else self._fail(name, "an object")

    def items(self, name: str) -> Sequence[object]:
        """A list that must be there."""
        value = self._data.get(name)
        return value if isinstance(value, list | tuple) else self._fail(name, "a list of acts")

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self._data.get(name, default)
        return value if isinstance(value, str) and value else self._fail(name, "a text")

    def flag(self, name: str) -> bool:
        """True or false; false when absent."""
        value = self._data.get(name, False)
        return value if isinstance(value, bool) else self._fail(name, "true or false")

    def whole(self, name: str) -> int | None:
        """A whole number, None when absent."""
        value = self._data.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        return self._fail(name, "a whole number")

    def decimal(self, name: str) -> Decimal:
        """An exact number; 1 when absent."""
        value = self._data.get(name)
        value = 1 if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            self._fail(name, "a number")
        try:
            return Decimal(str(value))
        except InvalidOperation:
            self._fail(name, "a number")

    def day(self, name: str) -> date:
        """A date that exists, as YYYY-MM-DD."""
        value = self._data.get(name)
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            self._fail(name, "a date as YYYY-MM-DD")
        try:
            return date.fromisoformat(value)
        except ValueError:
            self._fail(name, "a date that exists, as YYYY-MM-DD")
