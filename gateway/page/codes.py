"""Access codes of the page: one short code for each practice, shown once, kept as a digest only (0600).

A code is 60 random bits in three groups of four characters, without those that are taken for each other;
with the brake on wrong ones nobody guesses it. The file has the form of the API's file of tokens.
"""

from __future__ import annotations

from pathlib import Path

from gateway.api.tokens import Tokens
from gateway.clock import Clock, Rng

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Thirty-two characters: no I, L, O or U."""

_GROUPS, _LENGTH = 3, 4
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})


class Codes:
    """The file of codes, beside the tokens. InputError names it when it is not one."""

    def __init__(self, path: Path) -> None:
        self._entries = Tokens(path)

    @classmethod
    def beside(cls, tokens: Path) -> Codes:
        """The codes that go with this file of tokens."""
        return cls(tokens.with_name(f"{tokens.stem}-page{tokens.suffix}"))

    def new(self, practice: str, clock: Clock, rng: Rng) -> str:
        """A new code for this practice; its former one opens nothing any more."""
        code = "".join(ALPHABET[byte % 32] for byte in rng(_GROUPS * _LENGTH))
        self.revoke(practice)
        self._entries.keep(practice, practice, code, clock)
        return "-".join(code[at : at + _LENGTH] for at in range(0, len(code), _LENGTH))

    def revoke(self, practice: str) -> None:
        """Take the code of this practice back, if it has one."""
        if practice in self.practices():
            self._entries.revoke(practice)

    def practices(self) -> tuple[str, ...]:
        """The practices that have a code."""
        return tuple(entry.practice for entry in self._entries.entries())

    def practice_of(self, typed: str) -> str:
        """The practice whose code was typed, however it was grouped; "" for nobody's."""
        caller = self._entries.caller(plain(typed))
        return "" if caller is None else caller.practice


def plain(typed: str) -> str:
    """A code as it is kept: capitals, no spaces or hyphens, O read as 0, I and L as 1."""
    return "".join(typed.split()).replace("-", "").upper().translate(_READ_AS)
