"""One FSE, top to bottom: a care act becomes a kept FSE (1 to 7), kept FSE become a queued lot (8 to 10).

The rest of the line is gateway/delivery.py: 11 send, 12 receipt, 13 send again, 14 payment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime

from gateway.billing.engine import Price, price
from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.care import CareAct, Parties
from gateway.certificates import receiver_in_force
from gateway.errors import GatewayError
from gateway.exchange.calendar import legal_day, resend_deadline, send_deadline
from gateway.lots.fse import Fse, Rectified, encode_fse
from gateway.lots.half_sealed import HalfSealed
from gateway.lots.lot import LotHeader, build_lot, cut
from gateway.lots.modes import DRE
from gateway.lots.numbering import LotNumbers
from gateway.lots.organism import Destination
from gateway.lots.sealing import SealedLot, seal
from gateway.paper import paper_twin
from gateway.practice import Practice
from gateway.signing import Sheet, check, insurer_of, share_of, sign
from gateway.steps import step
from gateway.store.rows import StoredFse, StoredShare, WaitingGroup
from gateway.visit import who_takes_part


@dataclass(frozen=True, slots=True)
class Billed:
    """What the caller hears once an FSE is durably kept: its number, its price, where it will go.

    `mode` as in the care act; `demand`: the insurer that a DRE goes to, "" without one.
    """

    number: int
    price: Price
    destination: str
    mode: str = "secured"
    demand: str = ""


def bill(
    practice: Practice,
    cps: CpsSession | None,
    vitale: VitaleSession | None,
    act: CareAct,
    beside: Callable[[Billed], None] | None = None,
    rectified: Rectified | None = None,
) -> Billed:
    """Steps 1 to 7. Returns only when the FSE is kept; raises GatewayError and keeps nothing otherwise.

    `beside`: what else is kept in the transaction that keeps the FSE, both or neither. `rectified`: the
    refused FSE that this one takes the place of. A card that the mode does without may be None.
    """
    act.check_date(legal_day(practice.clock.now()))
    with step("number"):
        number = practice.store.reserve_fse_number(practice.id)
    with step("cards"):
        parties = who_takes_part(practice, cps, vitale, act)
    built = build_fse(practice, parties, cps, vitale, act, number, rectified)
    kept = kept_form(practice, parties, act, built, rectified)
    demand = kept.share.destination if kept.share else ""
    billed = Billed(number, built.price, kept.destination, act.mode, demand)
    with step("keep"), practice.store.batch() if beside else nullcontext():
        practice.store.keep_fse(kept)
        if beside is not None:
            beside(billed)
    return billed


@dataclass(frozen=True, slots=True)
class Built:
    """A sheet that is ready to be kept: signed as its mode asks, priced, with its complementary share."""

    fse: Sheet
    price: Price
    share: StoredShare | None = None


def build_fse(
    practice: Practice,
    parties: Parties,
    cps: CpsSession | None,
    vitale: VitaleSession | None,
    act: CareAct,
    number: int,
    rectified: Rectified | None = None,
) -> Built:
    """Steps 3 to 6: the FSE under its reserved number, signed as its mode asks and verified; its price."""
    with step("price"):
        request = parties.request(act, optam=practice.optam, zone=practice.zone)
        priced = price(request, practice.tables)
    with step("encode"):
        draft = encode_fse(
            number, practice.clock.now(), parties.practitioner, parties.insured(act), request, priced,
            mode=act.mode_code, vitale_serial=vitale.serial if vitale and act.needs_vitale else "",
            cps_serial=parties.place.cps_serial, accident=act.accident_date, rectified=rectified,
        )  # fmt: skip
    insurer = None if rectified and not rectified.may_ask_share else insurer_of(parties, act, priced)
    with step("sign"):
        fse = sign(draft, cps, vitale)
        share = share_of(fse, insurer, priced, cps)
    with step("check"):
        check(fse, cps, practice.vitale_authority)
    return Built(fse, priced, share if rectified is None or rectified.may_ask_share else None)


def make_lots(practice: Practice, cps: CpsSession) -> list[SealedLot]:
    """Steps 8 to 10 for every kept FSE of this CPS: one place of practice, organism and family in each lot.

    What cannot be sealed for one organism does not keep back the others: its error is raised at the end.
    """
    made: list[SealedLot] = []
    problems: list[GatewayError] = []
    mine = {situation.identifier for situation in cps.situations if situation.may_sign_lot}
    with practice.store.sealing(practice.id):
        for group in practice.store.fse_waiting(practice.id):
            if group.practitioner in mine:
                try:
                    made += _lots_of_group(practice, cps, group)
                except GatewayError as problem:
                    problems.append(problem)
    if problems:
        raise problems[0]
    return made


def kept_form(
    practice: Practice, parties: Parties, act: CareAct, built: Built, rectified: Rectified | None = None
) -> StoredFse:
    """Step 7: what is kept. Nothing that names the patient is outside the closed bodies."""
    fse, priced = built.fse, built.price
    twin = "" if act.needs_vitale else paper_twin(parties, act, priced, fse.number)
    return StoredFse(
        practice=practice.id,
        number=fse.number,
        practitioner=parties.place.identifier,
        destination=fse.destination.key,
        mode=act.mode_code,
        third_party=priced.third_party,
        elaborated=practice.clock.now(),
        deadline=_deadline(practice, act, priced, rectified),
        body=fse.to_bytes(),
        base_cents=priced.base_cents,
        amo_cents=priced.amo_cents,
        amc_cents=priced.amc_cents,
        patient_cents=priced.patient_cents,
        excess_cents=priced.excess_cents,
        label=" + ".join(line.code for line in priced.lines),
        waits=isinstance(fse, HalfSealed),
        act=json.dumps(act.to_json()).encode(),
        twin=twin.encode(),
        share=built.share,
        rectifies=rectified.number if rectified else 0,
    )


def _deadline(practice: Practice, act: CareAct, priced: Price, rectified: Rectified | None) -> date:
    """The last legal day to send it, from the care on; what was refused has two working days more."""
    first = send_deadline(act.date, priced.third_party != "none", practice.territory)
    if rectified is None:
        return first
    return max(first, resend_deadline(legal_day(practice.clock.now()), practice.territory))


def _lots_of_group(practice: Practice, cps: CpsSession, group: WaitingGroup) -> list[SealedLot]:
    """Steps 8 to 10 for FSE that may share lots: all their lots are queued together or not at all."""
    demands = group.family == DRE
    bodies = practice.store.fse_bodies(group.practice, group.numbers, demands=demands)
    shares = cut((Fse.parse(body) for body in bodies), practice.lot_size)
    today = legal_day(practice.clock.now())
    numbers = practice.store.reserve_lots(practice.id, [group.destination] * len(shares), today)
    sealed = [_one_lot(practice, cps, *share) for share in zip(shares, numbers, strict=True)]
    with step("queue"), practice.store.batch():
        for lot, fses in zip(sealed, shares, strict=True):
            practice.store.keep_lot(practice.id, lot, [fse.number for fse in fses], demands=demands)
    return sealed


def _one_lot(practice: Practice, cps: CpsSession, fses: Sequence[Fse], numbers: LotNumbers) -> SealedLot:
    """Steps 8 and 9: the CPS signs the lot; the file is sealed for its organism, fixed from now on."""
    now, first = practice.clock.now(), fses[0]
    with step("lot"):
        draft = build_lot(_header(cps, first, numbers, now), fses)
        signs = first.invoice.mode.cps
        lot = draft.signed(cps.sign_digest(draft.digest), cps.certificate) if signs else draft.signed()
    with step("seal"):
        certificate = receiver_in_force(practice, now)
        return seal(
            lot, sender=practice.address, recipient=_recipient(practice, first), policy=practice.policy,
            signer=cps, recipient_certificate=certificate, rng=practice.rng, now=now,
        )  # fmt: skip


def _recipient(practice: Practice, first: Fse) -> str:
    """The mail address of an organism follows from its number, that of an insurer stands on the card."""
    destination: Destination = first.destination
    if first.invoice.mode.family == DRE:
        return practice.store.demand_recipient(practice.id, first.number) or destination.address
    return destination.address


def _header(cps: CpsSession, first: Fse, numbers: LotNumbers, now: datetime) -> LotHeader:
    return LotHeader(
        billing_number=first.view().billing_number,
        national_id=cps.holder.national_id,
        name=cps.holder.full_name,
        destination=first.destination,
        numbers=numbers,
        created=now,
        family=first.invoice.mode.family,
    )
