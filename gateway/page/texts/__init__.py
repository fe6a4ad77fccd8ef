"""Every text of the page, one catalogue for each language; both have the same keys (a test says so)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.page.texts.en import TEXTS as ENGLISH
from gateway.page.texts.fr import TEXTS as FRENCH

LANGUAGES = ("fr", "en")
_CATALOGUES: Mapping[str, Mapping[str, str]] = {"fr": FRENCH, "en": ENGLISH}


@dataclass(frozen=True)
class Texts:
    """The texts of one language. Called with a key and the values that stand in the text."""

    language: str
    _kept: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_kept", _CATALOGUES[self.language])

    def __call__(self, key: str, /, **values: object) -> str:
        """The text; a key that is not there is a mistake of the page (KeyError)."""
        return self._kept[key].format(**values) if values else self._kept[key]

    def of(self, kind: str, word: str, other: str = "") -> str:
        """The text `kind.word`, or `other` when the catalogue has none."""
        return self._kept.get(f"{kind}.{word}", other)

    def count(self, key: str, number: int) -> str:
        """The text for a number of things: `key.none`, `key.one`, or `key.many` for others."""
        word = {0: "none", 1: "one"}.get(number, "many")
        return self(f"{key}.{word}", n=number)


TEXTS = {language: Texts(language) for language in LANGUAGES}
