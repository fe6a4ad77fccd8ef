"""Securing modes: which card signs what (SSV `cModeSecur`, codes of the JFSE model)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import InputError

SECURED, DESYNCHRONISED, WITHOUT_VITALE, DEGRADED, DEMAND = 3, 4, 1, 5, 9
"""The codes of the modes below."""

DRE = "dre"
"""The family of demands to a complementary insurer (DRE): its lots go to the insurer, not to a caisse."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to secure an invoice.

    `family`: modes of one family may share a lot. `header`: a 7H record is present.
    `vitale`, `cps`: the card's signature is required.
    """

    code: int
    name: str
    family: str
    header: bool
    vitale: bool
    cps: bool


MODES = {
    mode.code: mode
    for mode in (
        Mode(SECURED, "secured", "signed", True, True, True),
        Mode(DESYNCHRONISED, "desynchronised", "signed", True, True, True),
        Mode(WITHOUT_VITALE, "without Vitale", "without-vitale", True, False, True),
        Mode(DEGRADED, "degraded", "degraded", False, False, False),
        # INVENTED(dre-mode): how a DRE is secured is not public; mode 9, signed by the CPS alone.
        Mode(DEMAND, "demand to the complementary insurer", DRE, True, False, True),
    )
}


def family_of(code: int) -> str:
    """The family of a mode: invoices of one family may share a lot."""
    return mode_of(code).family


def mode_of(code: int) -> Mode:
    """The mode with this code; InputError for a code that is not handled."""
    if code not in MODES:
        known = ", ".join(f"{mode.code} ({mode.name})" for mode in MODES.values())
        raise InputError(f"securing mode {code} is not handled; choose one of {known}")
    return MODES[code]
