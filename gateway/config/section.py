"""One table of a settings file: every key is taken once, and what is left at the end is a mistake.

Every refusal is an InputError of one sentence with the file, the line and the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, TypeVar

from gateway.errors import InputError

T = TypeVar("T")


class Section:
    """`[name]`, or the `place`-th `[[name]]` (1 is the first), of the settings file `file` with this `text`.

    Paths are relative to `folder`. Used with `with`: what was not taken is refused at its end.
    """

    def __init__(
        self, file: str, text: str, folder: Path, name: str, table: object, place: int | None = None
    ) -> None:
        self._file, self._text, self._name, self._place, self.folder = file, text, name, place, folder
        if not isinstance(table, Mapping):
            line = line_of(text, name, "", None)
            raise InputError(f"{file}: {_at(line)}{name!r} is a section: write [{name}] on a line of its own")
        self._left: dict[str, Any] = dict(table)

    def __enter__(self) -> Section:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._left:
            raise self.wrong(min(self._left), "is not a known key")

    def wrong(self, key: str, what: str) -> InputError:
        """The sentence for a bad key, with its line."""
        line = line_of(self._text, self._name, key, self._place)
        return InputError(f"{self._file}: {_at(line)}{key} of {self._header} {what}")

    def holds(self, key: str) -> bool:
        """Whether the key is written."""
        return key in self._left

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self._take(key, str, "must be a text in quotes", default)
        if not value.strip():
            raise self.wrong(key, "is empty")
        if not value.isprintable():
            raise self.wrong(key, "holds a character that cannot be seen: type it again")
        return value

    def texts(self, key: str, default: list[object] | None = None) -> tuple[str, ...]:
        """A list of texts, perhaps empty ones."""
        values: list[object] = self._take(key, list, "must be a list of texts in quotes", default)
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "must be a list of texts in quotes")
        return tuple(str(value) for value in values)

    def path(self, key: str, default: str | None = None) -> Path:
        """A path, relative to the folder of the file."""
        return self._path(key, self.text(key, default))

    def paths(self, key: str) -> tuple[Path, ...]:
        """One path, or a list of several: at least one."""
        if isinstance(self._left.get(key), list):
            values = self.texts(key)
            if not values or not all(value.strip() and value.isprintable() for value in values):
                raise self.wrong(key, "must name a file, or several as a list of texts in quotes")
            return tuple(self._path(key, value) for value in values)
        return (self.path(key),)

    def matching(self, key: str, pattern: re.Pattern[str], what: str, default: str | None = None) -> str:
        """A text of a given form."""
        value = self.text(key, default)
        if not pattern.fullmatch(value):
            raise self.wrong(key, f"must be {what}")
        return value

    def address(self, key: str, default: str) -> IPv4Address | IPv6Address:
        """An IP address."""
        try:
            return ip_address(self._take(key, str, "must be a text in quotes", default))
        except ValueError:
            raise self.wrong(key, "must be an IP address such as 127.0.0.1") from None

    def one_of(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        value = self._take(key, str, "must be a text in quotes", default)
        if value not in choices:
            raise self.wrong(key, f"must be one of {', '.join(choices)}")
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """true or false."""
        return self._take(key, bool, "must be true or false", default)

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number within bounds."""
        value = self._take(key, int, "must be a whole number", default)
        if isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(key, f"must be a whole number from {low} to {high}")
        return value

    @property
    def _header(self) -> str:
        return f"[{self._name}]" if self._place is None else f"[[{self._name}]] number {self._place}"

    def _path(self, key: str, value: str) -> Path:
        try:
            return self.folder / Path(value).expanduser()
        except RuntimeError:
            raise self.wrong(key, "begins with ~ and the name of nobody here: write the whole path") from None

    def _take(self, key: str, kind: type[T], what: str, default: T | None = None) -> T:
        value = self._left.pop(key, default)
        if value is None:
            line = line_of(self._text, self._name, "", self._place)
            raise InputError(f"{self._file}: {_at(line)}{key} is missing in {self._header}")
        if not isinstance(value, kind):
            raise self.wrong(key, what)
        return value


def line_of(text: str, section: str, key: str, place: int | None) -> int | None:
    """The line of a key, or of the header itself when `key` is empty; None when it is written another way.

    `place`: which of the headers [[section]]; None for a plain [section].
    """
    header = f"[{section}]" if place is None else f"[[{section}]]"
    inside, seen = False, 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            found = "".join(line.split("#")[0].split()) == header
            seen += found
            inside = found and seen == (place or seen)
            if inside and not key:
                return number
        elif inside and key and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
            return number
    return None


def _at(line: int | None) -> str:
    return f"line {line}, " if line else ""
