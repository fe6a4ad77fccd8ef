"""Small cards for the reader's tests: each answers from a script or a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

ATR = bytes.fromhex("3B00")

Rule = Callable[[bytes], bytes]


class ScriptedCard:
    """Answers with `rule(command)`; keeps what it was told."""

    def __init__(self, rule: Rule, atr: bytes = ATR) -> None:
        self.rule, self.atr = rule, atr
        self.commands: list[bytes] = []
        self.power = 0

    def power_on(self) -> bytes:
        self.power += 1
        return self.atr

    def power_off(self) -> None:
        self.power = max(0, self.power - 1)

    def transmit(self, apdu: bytes) -> bytes:
        self.commands.append(apdu)
        return self.rule(apdu)


def playing(answers: Iterable[str]) -> Rule:
    """A rule that gives these answers (hex) one after the other."""
    waiting = iter(answers)
    return lambda _command: bytes.fromhex(next(waiting))


@pytest.fixture
def scripted() -> Callable[..., ScriptedCard]:
    """Builds a card from a rule, or from a list of answers in hex."""

    def build(rule: Rule | list[str], atr: bytes = ATR) -> ScriptedCard:
        return ScriptedCard(playing(rule) if isinstance(rule, list) else rule, atr)

    return build
