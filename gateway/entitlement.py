"""What a card or an attestation entitles one person to, as rights with their dates.

The caisse keeps the same values in its base, so that both sides compare days, not words.
"""

from __future__ import annotations

from collections.abc import Iterator

from card.layout import ssv
from gateway.billing.exemption import Exemption
from gateway.cards.rights import Beneficiary

_SITUATIONS = {ssv.SITUATION_MATERNITY: "maternity", ssv.SITUATION_ASPA: "aspa"}


def entitlements(person: Beneficiary) -> tuple[Exemption, ...]:
    """Every exemption of groups 104 and 106 with its days, past and to come ones included."""
    return tuple(_entitlements(person))


def _entitlements(person: Beneficiary) -> Iterator[Exemption]:
    for cover in person.coverage:
        if cover.ald == ssv.ALD_EXEMPTING:
            yield Exemption("ald", cover.start, cover.end)
        if cover.situation in _SITUATIONS:
            yield Exemption(_SITUATIONS[cover.situation], cover.start, cover.end)
    if person.amo_service.is_css:
        yield Exemption("css", person.amo_service.start, person.amo_service.end)
