"""What is done at a practice's desk, whoever asks: the inbox, the command line, the HTTP API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.cards.cps import CpsSession
from gateway.care import CareAct
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.pipeline import Billed, bill
from gateway.practice import Practice
from gateway.secret import Secret


def unlock(practice: Practice, desk: Desk, pin: Secret | None = None) -> CpsSession:
    """Open the CPS with this PIN, or one typed on the reader's pad; its holder must work in this practice.

    CardRefusal or ReaderError says what is wrong; the CPS is locked then.
    """
    cps = desk.unlock(pin)
    try:
        practice.admit(cps.holder.national_id, cps.connection.slot_name)
    except GatewayError:
        desk.lock()
        raise
    return cps


def bill_act(
    practice: Practice,
    desk: Desk,
    data: Mapping[str, Any],
    beside: Callable[[Billed], None] | None = None,
) -> Billed:
    """Bill one care act (the JSON that every entry takes) with the cards that are at the desk.

    Returns only when the FSE is kept; GatewayError or ReaderError: nothing was kept. `beside`: see `bill`.
    """
    act = CareAct.from_json(data)
    with desk.vitale() as vitale:
        billed = bill(practice, desk.cps, vitale, act, beside)
    if desk.sitting is not None:
        desk.sitting.count()
    return billed


def accepted(billed: Billed) -> dict[str, Any]:
    """The answer to a care act that was kept."""
    return {
        "accepted": True,
        "number": billed.number,
        "destination": billed.destination,
        **billed.price.to_json(),
    }
