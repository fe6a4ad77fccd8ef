"""Step 2 of the line: who takes part in one care act, from the cards that are there or what stands in."""

from __future__ import annotations

from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.care import CareAct, Parties
from gateway.errors import CardRefusal
from gateway.exchange.calendar import legal_day
from gateway.lots.modes import mode_of
from gateway.pki import Purpose
from gateway.places import Place, unknown
from gateway.practice import Practice


def who_takes_part(
    practice: Practice, cps: CpsSession | None, vitale: VitaleSession | None, act: CareAct
) -> Parties:
    """Every card is valid, the CPS not revoked, the Vitale not opposed; together they give what is needed."""
    place = place_for(practice, cps, act)
    if act.attestation is not None:
        return Parties.on_paper(act, place, act.attestation)
    if vitale is None or cps is None:
        missing = "CPS, unlocked" if cps is None else "Vitale"
        raise CardRefusal(
            f"A sheet of mode {act.mode} needs the {missing}: insert it, or bill with an attestation.",
            code="card-needed",
        )
    now = practice.clock.now()
    vitale.check_validity(legal_day(now))
    practice.opposition.check(vitale.serial, now)
    if not vitale.is_authenticated:
        vitale.authenticate(cps)
    return Parties.of(act, place, vitale.read_rights())


def place_for(practice: Practice, cps: CpsSession | None, act: CareAct) -> Place:
    """The professional: read from the CPS, or kept from an earlier day where the CPS signs later or never."""
    if cps is not None:
        practice.admit(cps.holder.national_id, cps.connection.slot_name)
        practice.trust.validate(cps.certificate, practice.clock.now(), Purpose.CPS_SIGNATURE)
        place = Place.named(cps, act.place) if act.place else Place.of_card(cps, act.situation)
        if place is not None:
            _keep(practice, place)
            return place
    return _kept(practice, act)


def _keep(practice: Practice, place: Place) -> None:
    """Once for each place, and again when its card says something else."""
    body = place.to_bytes()
    if practice.store.place_of(practice.id, place.identifier) != body:
        practice.store.keep_place(practice.id, place.identifier, body)


def _kept(practice: Practice, act: CareAct) -> Place:
    mode = mode_of(act.mode_code)
    if act.mode != "desynchronised" and mode.cps:
        raise CardRefusal(
            f"A sheet of mode {act.mode} is signed by the CPS of its place of practice: insert that card.",
            code="card-needed",
        )
    body = practice.store.place_of(practice.id, act.place) if act.place else b""
    if not body:
        raise unknown(act.place or "the place of practice (name it in practitioner.place)")
    place = Place.parse(body)
    practice.admit(place.practitioner.national_id, "CPS")
    return place
