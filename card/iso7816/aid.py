"""Application identifiers, 5 to 16 bytes (ISO 7816-4, 8.2.1.2), and when a name selects one."""

from __future__ import annotations

from dataclasses import dataclass

MIN_LENGTH, MAX_LENGTH = 5, 16


class AidError(ValueError):
    """The bytes cannot be an application identifier."""


@dataclass(frozen=True, slots=True)
class Aid:
    """An application identifier. Category A and D begin with a five-byte registered provider.

    >>> str(Aid.parse(bytes.fromhex("80250000 01FF0100")))
    '80250000 01FF0100'
    """

    value: bytes

    @classmethod
    def parse(cls, value: bytes) -> Aid:
        """Check the length; raises AidError."""
        if not MIN_LENGTH <= len(value) <= MAX_LENGTH:
            raise AidError(f"an application identifier has 5 to 16 bytes, got {len(value)}")
        return cls(bytes(value))

    @property
    def provider(self) -> bytes | None:
        """The registered application provider (RID) of category A (international) and D (national)."""
        return self.value[:5] if self.value[0] >> 4 in (0xA, 0xD) else None

    def is_selected_by(self, name: bytes) -> bool:
        """True for the full name and for a right-truncated one (ISO 7816-4, 11.1.1)."""
        return len(name) >= MIN_LENGTH and self.value.startswith(name)

    def __str__(self) -> str:
        return self.value.hex(" ", -4).upper()
