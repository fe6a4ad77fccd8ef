"""What is done at a practice's desk, whoever asks: the inbox, the command line, the HTTP API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.care import CareAct
from gateway.desk import Desk
from gateway.errors import CardRefusal, GatewayError
from gateway.lots.fse import Rectified
from gateway.lots.modes import mode_of
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
    desk: Desk | None,
    data: Mapping[str, Any],
    beside: Callable[[Billed], None] | None = None,
) -> Billed:
    """Bill one care act (the JSON that every entry takes) with the cards that are at the desk.

    Returns only when the FSE is kept; GatewayError or ReaderError: nothing was kept. `beside`: see `bill`.
    """
    return bill_with(practice, desk, CareAct.from_json(data), beside)


def bill_with(
    practice: Practice,
    desk: Desk | None,
    act: CareAct,
    beside: Callable[[Billed], None] | None = None,
    rectified: Rectified | None = None,
) -> Billed:
    """The same for an act that is read already; `rectified`: the refused sheet that it replaces."""
    with cards_for(desk, act) as (cps, vitale):
        billed = bill(practice, cps, vitale, act, beside, rectified)
    if desk is not None and desk.sitting is not None and mode_of(act.mode_code).cps:
        desk.sitting.count()
    return billed


@contextmanager
def cards_for(desk: Desk | None, act: CareAct) -> Iterator[tuple[CpsSession | None, VitaleSession | None]]:
    """The cards that this act's mode asks for; a degraded one takes a CPS that is unlocked, or none.

    CardRefusal no-reader: there is no desk, and the mode needs one.
    """
    if desk is None:
        if act.mode != "degraded":
            raise CardRefusal(
                "There is no reader for this practice here: use the gateway that has its reader, "
                "or the degraded mode with practitioner.place.",
                code="no-reader",
            )
        yield None, None
        return
    cps = None if act.mode == "degraded" and not desk.is_unlocked else desk.cps
    if not act.needs_vitale:
        yield cps, None
        return
    with desk.vitale() as vitale:
        yield cps, vitale


def accepted(billed: Billed) -> dict[str, Any]:
    """The answer to a care act that was kept."""
    return {
        "accepted": True,
        "number": billed.number,
        "destination": billed.destination,
        **({} if billed.mode == "secured" else {"mode": billed.mode}),
        **({"demand": billed.demand} if billed.demand else {}),
        **billed.price.to_json(),
    }
