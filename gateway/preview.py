"""What a care act would come to with the cards at the desk, before anything is signed or numbered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.billing.engine import Price, price
from gateway.cards.rights import Rights
from gateway.care import CareAct, Parties
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.office import cards_for
from gateway.practice import Practice
from gateway.visit import place_for, who_takes_part


def preview(practice: Practice, desk: Desk, data: Mapping[str, Any], rights: Rights | None = None) -> Price:
    """The price that `bill_act` would give the same care act; GatewayError or ReaderError as it would raise.

    `rights`: what the inserted Vitale was read to say a moment ago; without them it is read again.
    """
    act = CareAct.from_json(data)
    act.check_date(legal_day(practice.clock.now()))
    if rights is not None and act.needs_vitale:
        parties = Parties.of(act, place_for(practice, desk.cps, act), rights)
    else:
        with cards_for(desk, act) as (cps, vitale):
            parties = who_takes_part(practice, cps, vitale, act)
    return price(parties.request(act, optam=practice.optam, zone=practice.zone), practice.tables)
