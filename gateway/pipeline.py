"""One FSE, top to bottom: a care act becomes a kept FSE (1 to 7), kept FSE become a queued lot (8 to 10).

The rest of the line is gateway/delivery.py: 11 send, 12 receipt, 13 send again, 14 payment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from gateway.billing.engine import Price, price
from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.care import CareAct, Parties
from gateway.errors import GatewayError
from gateway.exchange.calendar import legal_day, send_deadline
from gateway.lots.fse import Fse, FseDraft, encode_fse
from gateway.lots.lot import LotHeader, build_lot, cut
from gateway.lots.numbering import LotNumbers
from gateway.lots.sealing import SealedLot, seal
from gateway.lots.verify import verify_fse
from gateway.pki import Purpose
from gateway.practice import Practice
from gateway.steps import step
from gateway.store.rows import StoredFse, WaitingGroup

SECURED = 3


@dataclass(frozen=True, slots=True)
class Billed:
    """What the caller hears once an FSE is durably kept: its number, its price, where it will go."""

    number: int
    price: Price
    destination: str


def bill(
    practice: Practice,
    cps: CpsSession,
    vitale: VitaleSession,
    act: CareAct,
    beside: Callable[[Billed], None] | None = None,
) -> Billed:
    """Steps 1 to 7. Returns only when the FSE is kept; raises GatewayError and keeps nothing otherwise.

    `beside`: what else is kept in the transaction that keeps the FSE, both or neither.
    """
    act.check_date(legal_day(practice.clock.now()))
    with step("number"):
        number = practice.store.reserve_fse_number(practice.id)
    with step("cards"):
        parties = _read_cards(practice, cps, vitale, act)
    fse, priced = build_fse(practice, parties, vitale, act, number)
    billed = Billed(number, priced, fse.destination.key)
    with step("keep"), practice.store.batch() if beside else nullcontext():
        practice.store.keep_fse(kept_form(practice, parties, act, fse, priced))
        if beside is not None:
            beside(billed)
    return billed


def build_fse(
    practice: Practice, parties: Parties, vitale: VitaleSession, act: CareAct, number: int
) -> tuple[Fse, Price]:
    """Steps 3 to 6: the FSE under its reserved number, signed by both cards and verified, and its price."""
    cps = parties.cps
    with step("price"):
        request = parties.request(act, optam=practice.optam, zone=practice.zone)
        priced = price(request, practice.tables)
    with step("encode"):
        draft = encode_fse(
            number, practice.clock.now(), parties.practitioner, parties.insured(act.date), request, priced,
            mode=SECURED, vitale_serial=vitale.serial, cps_serial=cps.serial,
        )  # fmt: skip
    with step("sign"):
        fse = _sign(draft, cps, vitale)
    with step("check"):
        verify_fse(fse, cps.certificate, practice.vitale_authority)
    return fse, priced


def make_lots(practice: Practice, cps: CpsSession) -> list[SealedLot]:
    """Steps 8 to 10 for every kept FSE of this CPS: one place of practice, organism and family in each lot.

    What cannot be sealed for one organism does not keep back the others: its error is raised at the end.
    """
    made: list[SealedLot] = []
    problems: list[GatewayError] = []
    mine = {situation.identifier for situation in cps.situations if situation.may_sign_lot}
    for group in practice.store.fse_waiting(practice.id):
        if group.practitioner in mine:
            try:
                made += _lots_of_group(practice, cps, group)
            except GatewayError as problem:
                problems.append(problem)
    if problems:
        raise problems[0]
    return made


def _read_cards(practice: Practice, cps: CpsSession, vitale: VitaleSession, act: CareAct) -> Parties:
    """Step 2: both cards are valid, the CPS not revoked, the Vitale not opposed; they give what is needed."""
    now = practice.clock.now()
    practice.admit(cps.holder.national_id, cps.connection.slot_name)
    practice.trust.validate(cps.certificate, now, Purpose.CPS_SIGNATURE)
    vitale.check_validity(legal_day(now))
    practice.opposition.check(vitale.serial, now)
    if not vitale.is_authenticated:
        vitale.authenticate(cps)
    return Parties.of(act, cps, vitale.read_rights())


def _sign(draft: FseDraft, cps: CpsSession, vitale: VitaleSession) -> Fse:
    """Step 5: the Vitale seals the digest, the CPS signs the same digest; nobody else gets in between."""
    with cps.exclusive(), vitale.exclusive():
        return draft.sealed(vitale.seal(draft.digest), vitale.certificate, cps.sign_digest(draft.digest))


def kept_form(practice: Practice, parties: Parties, act: CareAct, fse: Fse, priced: Price) -> StoredFse:
    """Step 7: what is kept. Nothing that names the patient is outside `body`."""
    return StoredFse(
        practice=practice.id,
        number=fse.number,
        practitioner=parties.situation.identifier,
        destination=fse.destination.key,
        mode=fse.mode,
        third_party=priced.third_party,
        elaborated=practice.clock.now(),
        deadline=send_deadline(act.date, third_party=priced.third_party != "none"),
        body=fse.to_bytes(),
        base_cents=priced.base_cents,
        amo_cents=priced.amo_cents,
        amc_cents=priced.amc_cents,
        patient_cents=priced.patient_cents,
        excess_cents=priced.excess_cents,
        label=" + ".join(line.code for line in priced.lines),
    )


def _lots_of_group(practice: Practice, cps: CpsSession, group: WaitingGroup) -> list[SealedLot]:
    """Steps 8 to 10 for FSE that may share lots: all their lots are queued together or not at all."""
    bodies = practice.store.fse_bodies(group.practice, group.numbers)
    shares = cut((Fse.parse(body) for body in bodies), practice.lot_size)
    today = legal_day(practice.clock.now())
    numbers = practice.store.reserve_lots(practice.id, [group.destination] * len(shares), today)
    sealed = [_one_lot(practice, cps, *share) for share in zip(shares, numbers, strict=True)]
    with step("queue"), practice.store.batch():
        for lot, fses in zip(sealed, shares, strict=True):
            practice.store.keep_lot(practice.id, lot, [fse.number for fse in fses])
    return sealed


def _one_lot(practice: Practice, cps: CpsSession, fses: Sequence[Fse], numbers: LotNumbers) -> SealedLot:
    """Steps 8 and 9: the CPS signs the lot; the file is sealed for its organism, fixed from now on."""
    now, destination = practice.clock.now(), fses[0].destination
    with step("lot"):
        draft = build_lot(_header(cps, fses[0], numbers, now), fses)
        lot = draft.signed(cps.sign_digest(draft.digest), cps.certificate)
    with step("seal"):
        practice.trust.validate(practice.receiver_certificate, now, Purpose.RECEIVER_ENCRYPTION)
        return seal(
            lot, sender=practice.address, recipient=destination.address, policy=practice.policy, signer=cps,
            recipient_certificate=practice.receiver_certificate, rng=practice.rng, now=now,
        )  # fmt: skip


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
