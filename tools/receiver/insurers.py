"""Complementary insurers (AMC): the contracts they have on file, and what they decide on a share.

A share reaches its insurer in one of two ways: by a DRE of the professional, where the card's indicator
allows it (109.4), or handed on by the caisse, where the contract is linked. Contracts come from the shipped
card profiles and can be changed by the overrides file of the caisse:

    [[contract]]
    nir = "…"                  # the insured person; 13 characters, or 15 with its key
    birth_date = 1980-01-31    # one beneficiary; without it, everybody on this card
    insurer = "99999999"       # one of several contracts; without it, all of them
    known = false              # the insurer does not know this member
    linked = false             # the caisse hands nothing on
    treatment = "22"           # the indicator for DRE
    refuses = true             # the insurer refuses every share
    periods = [[2020-01-01, 2030-12-31]]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from gateway.errors import InputError
from gateway.lots.modes import DEGRADED
from tools.receiver.config import read_rows
from tools.receiver.insured import Period, chosen_people, insurer_number, read_periods

__all__ = ["Contract", "InsurerBase", "insurer_number", "overridden_contracts"]

_IN_THIRD_PARTY = frozenset({"22", "23", "32", "33", "62", "63", "72", "73"})
_OUTSIDE_THIRD_PARTY = frozenset({"12", "13", "32", "33"})
"""Indicators of 109.4 that allow a DRE (billing facts 1.6): 00 and 60 allow none."""
_KEYS = {"nir", "birth_date", "insurer", "known", "linked", "treatment", "refuses", "periods"}


@dataclass(frozen=True)
class Contract:
    """One beneficiary's contract. `insurer`: ten digits; `name`: of a contract of the dated tables.

    `linked`: the caisse hands shares on; `treatment`: 109.4, "" when the insurer takes no DRE.
    `refuses`: an insurer that says no to everything, for cards that are always declined. `domain`: of the
    insurer's mail address (109.9).
    """

    insurer: str
    nir: str = field(repr=False)
    birth_date: str = field(repr=False)
    name: str = "tm100"
    member: str = field(default="", repr=False)
    periods: tuple[Period, ...] = ()
    linked: bool = True
    treatment: str = ""
    refuses: bool = False
    domain: str = ""

    def is_open(self, on: date) -> bool:
        """Whether the contract covers this day; one without periods always does."""
        return not self.periods or any(start <= on <= end for start, end in self.periods)

    def is_asked_by_dre(self, third_party: str, mode: int) -> bool:
        """Whether a DRE is to come beside a sheet: never beside one that nobody signs."""
        return mode != DEGRADED and self.takes_dre(third_party)

    def takes_dre(self, third_party: str) -> bool:
        """Whether the indicator allows a DRE for this kind of third-party payment (full, amo or none)."""
        allowed = _IN_THIRD_PARTY if third_party == "full" else _OUTSIDE_THIRD_PARTY
        return self.treatment in allowed


class InsurerBase:
    """Every contract, by insurer and member."""

    def __init__(self, contracts: Iterable[Contract] = ()) -> None:
        self._contracts: dict[tuple[str, str, str], Contract] = {
            (one.insurer, one.nir, one.birth_date): one for one in contracts
        }

    def find(self, insurer: str, nir: str, birth_date: str) -> Contract | None:
        """The member's contract with this insurer (ten digits), or None."""
        return self._contracts.get((insurer, nir, birth_date))

    def of_family(self, nir: str) -> tuple[Contract, ...]:
        """Every contract of the people insured under this NIR (13 characters)."""
        return tuple(one for one in self if one.nir == nir)

    def link(self, nir: str, insurer: str, *, linked: bool) -> None:
        """From now on the caisse hands this family's shares on to this insurer, or no longer does."""
        for one in self.of_family(nir):
            if one.insurer == insurer:
                self._contracts[one.insurer, one.nir, one.birth_date] = replace(one, linked=linked)

    def __len__(self) -> int:
        return len(self._contracts)

    def __iter__(self) -> Iterator[Contract]:
        return iter(tuple(self._contracts.values()))

    def overridden(self, path: Path) -> InsurerBase:
        """This base with the changes of an overrides file; InputError names the entry and key at fault."""
        contracts = list(self)
        for index, row in enumerate(read_rows(path, "overrides", "contract"), 1):
            contracts = overridden_contracts(contracts, row, f"overrides {path.name}, contract {index}")
        return InsurerBase(contracts)


def overridden_contracts(contracts: Sequence[Contract], row: Mapping[str, Any], where: str) -> list[Contract]:
    """These contracts after one entry; InputError says `where` and which key is at fault."""
    try:
        return _override(contracts, row, where)
    except TypeError:
        raise InputError(f"{where}: a value is of the wrong kind; see insurers.py") from None


def _override(contracts: Sequence[Contract], row: Mapping[str, Any], where: str) -> list[Contract]:
    if unknown := set(row) - _KEYS:
        raise InputError(f"{where}: unknown key {sorted(unknown)[0]!r}; use {', '.join(sorted(_KEYS))}")
    wanted = insurer_number(str(row.get("insurer", "")))
    chosen = [one for one in chosen_people(contracts, row) if wanted in ("", one.insurer)]
    if not chosen:
        raise InputError(f"{where}: nobody has this nir, birth_date and insurer; copy them from the profile")
    others = [one for one in contracts if one not in chosen]
    if row.get("known") is False:
        return others
    return others + [_changed(one, row, where) for one in chosen]


def _changed(contract: Contract, row: Mapping[str, Any], where: str) -> Contract:
    changes: dict[str, Any] = {name: bool(row[name]) for name in ("linked", "refuses") if name in row}
    if "treatment" in row:
        changes["treatment"] = str(row["treatment"])
    if "periods" in row:
        changes["periods"] = read_periods(row["periods"], f"{where}: periods")
    return replace(contract, **changes)
