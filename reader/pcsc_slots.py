"""Which PC/SC reader is which slot: names, states and answers to reset in, a verdict per slot out. No I/O.

One pattern per slot: the reader of that name is the slot, whatever card is in it. One pattern for all slots:
the card decides, since readers with two slots number them in no fixed order; a card that is neither a Vitale
nor a CPS stays out. A verdict is never a guess: where two would do, a person is asked to choose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reader.errors import CardMute, NoCard, ReaderError

CHANGED, UNKNOWN, UNAVAILABLE, EMPTY, PRESENT = 0x02, 0x04, 0x08, 0x10, 0x20
EXCLUSIVE, IN_USE, MUTE = 0x80, 0x100, 0x200
"""Bits of dwEventState (PC/SC part 5; pcsclite.h, SCARD_STATE_*)."""

VITALE_ATR_START = bytes.fromhex("3B7513")
CPS_ATR_MARK = bytes.fromhex("12250064")
"""Country 250 and the issuer data in the historical bytes of every CPS."""

MAX_SHOWN = 8


@dataclass(frozen=True, slots=True)
class ReaderState:
    """One reader as PC/SC shows it. `state` is dwEventState; its high 16 bits count the card movements."""

    name: str
    state: int
    atr: bytes = b""

    @property
    def has_card(self) -> bool:
        """True when a card is in, mute or not."""
        return bool(self.state & PRESENT) and not self.state & (UNKNOWN | UNAVAILABLE)

    @property
    def is_mute(self) -> bool:
        """True when the card in it does not answer to reset."""
        return self.has_card and bool(self.state & MUTE)

    @property
    def movements(self) -> int:
        """The reader's count of insertions and removals, 16 bits."""
        return self.state >> 16 & 0xFFFF


Verdict = ReaderState | ReaderError
"""The reader with the card of a slot, or why the slot is empty."""


def kind_of(atr: bytes) -> str:
    """ "Vitale", "CPS" or "" for another card, by its answer to reset."""
    if atr.startswith(VITALE_ATR_START):
        return "Vitale"
    return "CPS" if CPS_ATR_MARK in atr else ""


def matching(pattern: str, names: Sequence[str]) -> list[str]:
    """The names that are `pattern`; else those that contain it, whatever the case; else where it is found
    as a regular expression."""
    if pattern in names:
        return [pattern]
    if found := [name for name in names if pattern.lower() in name.lower()]:
        return found
    try:
        expression = re.compile(pattern, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError):
        return []
    return [name for name in names if expression.search(name)]


def assign(
    patterns: Sequence[str],
    slots: Sequence[str],
    states: Sequence[ReaderState],
    held: Mapping[str, str],
) -> dict[str, Verdict]:
    """A verdict for each of `slots`. `held`: slot → the reader whose card is in it now."""
    if len(patterns) == len(slots):
        return _by_name(patterns, slots, states)
    return _by_card(patterns[0], slots, states, held)


def _by_name(
    patterns: Sequence[str], slots: Sequence[str], states: Sequence[ReaderState]
) -> dict[str, Verdict]:
    verdicts: dict[str, Verdict] = {}
    taken: dict[str, str] = {}
    for slot, pattern in zip(slots, patterns, strict=True):
        found = matching(pattern, [state.name for state in states])
        if len(found) == 1 and found[0] in taken:
            verdicts[slot] = _same_reader(slot, taken[found[0]], found[0])
        elif len(found) == 1:
            taken[found[0]] = slot
            state = next(state for state in states if state.name == found[0])
            verdicts[slot] = state if state.has_card else NoCard(slot)
        else:
            verdicts[slot] = _none_or_several(pattern, slot, found, states)
    return verdicts


def _by_card(
    pattern: str, slots: Sequence[str], states: Sequence[ReaderState], held: Mapping[str, str]
) -> dict[str, Verdict]:
    names = matching(pattern, [state.name for state in states])
    if not names:
        return {slot: _none_or_several(pattern, slot, names, states) for slot in slots}
    readers = [state for state in states if state.name in names]
    return {slot: _card_of(slot, readers, held.get(slot)) for slot in slots}


def _card_of(slot: str, readers: Sequence[ReaderState], held: str | None) -> Verdict:
    """The one card of the kind of this slot; one that is in use already is kept when a second one comes."""
    found = [state for state in readers if state.has_card and kind_of(state.atr) == slot]
    if kept := [state for state in found if state.name == held]:
        return kept[0]
    if len(found) > 1:
        return ReaderError(
            f"There are several cards for the {slot} slot ({_shown([state.name for state in found])}): "
            "take out all but one.",
            slot=slot,
        )
    if found:
        return found[0]
    return CardMute(slot) if any(state.is_mute for state in readers) else NoCard(slot)


def _same_reader(slot: str, other: str, name: str) -> ReaderError:
    return ReaderError(
        f"The reader {name} is the {other} slot already: give the {slot} slot another name, "
        "or one name for both slots.",
        slot=slot,
    )


def _none_or_several(
    pattern: str, slot: str, found: Sequence[str], states: Sequence[ReaderState]
) -> ReaderError:
    if not states:
        return ReaderError(
            f"No card reader is connected: plug in the reader of the {slot} slot ({pattern}).", slot=slot
        )
    if found:
        return ReaderError(
            f"Several readers are called {pattern} ({_shown(found)}): write more of the name of the "
            f"{slot} slot's reader.",
            slot=slot,
        )
    return ReaderError(
        f"No reader is called {pattern}: plug in the reader of the {slot} slot, or choose among "
        f"{_shown([state.name for state in states])}.",
        slot=slot,
    )


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return "; ".join(names[:MAX_SHOWN]) + more
