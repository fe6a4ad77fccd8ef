"""A small JSON file of entries that others change while we work: read again when it is another file."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

from gateway.errors import InputError
from gateway.folder import write_whole

T = TypeVar("T")


class EntriesFile(Generic[T]):
    """`parse` makes an entry of one object (a dataclass), ValueError or TypeError when it is none.

    `wrong` makes the sentence for what is wrong with the file; `what` says what it should be.
    """

    def __init__(
        self, path: Path, what: str, parse: Callable[[dict[str, Any]], T], wrong: Callable[[str], InputError]
    ) -> None:
        self._path, self._what, self._parse, self._wrong = path, what, parse, wrong
        self._guard = threading.Lock()
        self._stamp: tuple[int, ...] = ()
        self._entries: tuple[T, ...] = ()

    def entries(self) -> tuple[T, ...]:
        """What the file holds now; nothing when there is none. InputError: it cannot be read."""
        with self._guard:
            try:
                found = self._path.stat()
                stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
                if stamp != self._stamp:
                    self._entries, self._stamp = self._read(), stamp
            except FileNotFoundError:
                self._entries, self._stamp = (), ()
            except OSError as problem:
                raise self._wrong(f"cannot be read ({problem.strerror})") from None
            return self._entries

    def write(self, entries: Sequence[Any]) -> None:
        """Durably, whole or not at all, readable by its owner only."""
        text = json.dumps([asdict(entry) for entry in entries], indent=1)
        try:
            write_whole(self._path, text.encode("utf-8"))
        except OSError as problem:
            raise self._wrong(f"cannot be written ({problem.strerror})") from None

    def _read(self) -> tuple[T, ...]:
        try:
            return tuple(self._parse(item) for item in json.loads(self._path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, RecursionError):
            raise self._wrong(f"is not {self._what}") from None
