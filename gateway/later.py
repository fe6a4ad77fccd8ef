"""What is done with a sheet after it was kept: the CPS signs what waits, a refused sheet is made anew.

Cancelling needs no card: `Store.cancel`. None of this is the straight line of pipeline.py, but everything
goes through it: a rectification is a new sheet with a new number, and a sheet that is signed here goes into
its lot like any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from gateway.cards.cps import CpsSession
from gateway.care import CareAct
from gateway.desk import Desk
from gateway.errors import CardRefusal, StoreError
from gateway.lots.demand import demand_of
from gateway.lots.fse import Rectified
from gateway.lots.half_sealed import HalfSealed
from gateway.lots.organism import Complementary
from gateway.lots.verify import verify_fse
from gateway.office import bill_with
from gateway.pipeline import Billed
from gateway.pki import Purpose
from gateway.practice import Practice


def sign_waiting(practice: Practice, cps: CpsSession, said: Callable[[int], None] = lambda _: None) -> int:
    """The CPS signs every sheet that waits for it, most urgent first; how many.

    Each one is kept before the next is signed (`said` hears its number), so that a stop loses none; one that
    is signed is never signed again. CardRefusal or ReaderError ends the work where it is.
    """
    practice.admit(cps.holder.national_id, cps.connection.slot_name)
    practice.trust.validate(cps.certificate, practice.clock.now(), Purpose.CPS_SIGNATURE)
    mine = {situation.identifier for situation in cps.situations if situation.may_sign_invoice}
    numbers = [one.number for one in practice.store.fse_awaiting(practice.id) if one.practitioner in mine]
    for number in numbers:
        _sign_one(practice, cps, number)
        said(number)
    return len(numbers)


def _sign_one(practice: Practice, cps: CpsSession, number: int) -> None:
    store = practice.store
    half = HalfSealed.parse(store.fse_bodies(practice.id, [number])[0])
    if half.national_id != cps.holder.national_id:
        raise CardRefusal(
            f"FSE {number} waits for another CPS than the one in the {cps.connection.slot_name} slot: "
            "insert the card of its professional.",
            code="wrong-card",
        )
    with cps.exclusive():
        fse = half.signed(cps.sign_digest(half.draft.digest))
        demand = _demand(practice, cps, half)
    verify_fse(fse, cps.certificate, practice.vitale_authority)
    store.sign_fse(practice.id, number, fse.to_bytes(), demand)


def _demand(practice: Practice, cps: CpsSession, half: HalfSealed) -> bytes:
    """The DRE that goes with a sheet, signed in the same go; b"" when it has none."""
    insurer = practice.store.demand_insurer(practice.id, half.number)
    if not insurer:
        return b""
    draft = demand_of(half.records, Complementary(insurer.removeprefix("amc-")))
    return draft.sealed(cps_signature=cps.sign_digest(draft.digest)).to_bytes()


def rectify(
    practice: Practice,
    desk: Desk | None,
    number: int,
    data: Mapping[str, Any] | None = None,
    beside: Callable[[Billed], None] | None = None,
) -> Billed:
    """Make a refused sheet anew, under a new number, with the cards that its mode asks for.

    `data`: the corrected care act; without it, the one the sheet was made from. The refused sheet ends as
    RECTIFIED in the transaction that keeps the new one, or stays as it is. StoreError (state, share-open)
    when it is not one that was refused. `beside`: see `bill`.
    """
    may_ask = practice.store.check_rectifiable(practice.id, number)
    refused = practice.store.fse(practice.id, number)
    act = CareAct.from_json(_act_of(practice, number) if data is None else data)
    return bill_with(practice, desk, act, beside, Rectified(number, refused.elaborated, may_ask))


def _act_of(practice: Practice, number: int) -> Mapping[str, Any]:
    """The care act that is kept with a sheet."""
    kept = practice.store.act_of(practice.id, number)
    if not kept:
        raise StoreError(
            f"the care act of FSE {number} is not kept: give it again as a JSON file", code="no-act"
        )
    whole: Mapping[str, Any] = json.loads(kept)
    return whole
