"""A value that cannot be printed, logged, pickled or compared with ==."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Holds secret bytes (a PIN, a key). Ask `reveal()` at the one place that needs them.

    >>> Secret(b"1234")
    Secret(***)
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode("utf-8") if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """The secret itself. Never keep, log or compare what this returns."""
        return self._value

    def matches(self, other: Secret) -> bool:
        """Constant-time comparison."""
        return hmac.compare_digest(self._value, other._value)

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a Secret is not compared with ==; use matches()")

    def __hash__(self) -> NoReturn:
        raise TypeError("a Secret is not hashable")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")
