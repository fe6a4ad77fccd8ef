"""What a machine costs: the bytes it keeps, the lines of code it runs."""

from __future__ import annotations

import sys


def kept(thing: object, seen: set[int] | None = None) -> int:
    """Bytes held by a machine and all it is made of."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type) or callable(thing):
        return 0
    seen.add(id(thing))
    if isinstance(thing, bytes | bytearray | str):
        return len(thing)
    if isinstance(thing, dict):
        return sum(kept(value, seen) + 8 for value in thing.values())
    if isinstance(thing, list | tuple | set | frozenset):
        return sum(kept(item, seen) + 8 for item in thing)
    if not type(thing).__module__.startswith(("reader.", "card.iso7816.")):
        return 0
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    values = [getattr(thing, name) for name in slots if hasattr(thing, name)]
    return sum(kept(value, seen) for value in (*values, *getattr(thing, "__dict__", {}).values()))


class Work:
    """Counts the lines of the room's code that are run."""

    def __init__(self) -> None:
        self.lines = 0

    def __enter__(self) -> Work:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: object, _event: str, _argument: object) -> object:
        return self._line

    def _line(self, _frame: object, event: str, _argument: object) -> object:
        self.lines += event == "line"
        return self._line
