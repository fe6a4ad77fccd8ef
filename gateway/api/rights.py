"""The rights on the inserted Vitale, as the API shows them, and the same as an attestation.

This is the one place where the API answers with names and NIR: the software needs them for its own patient
file. They are read from the card for each request and kept nowhere.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

from card.layout import ssv
from gateway.api.asked import AmcIn, AttestationIn, CoverIn, CssIn, InsuredIn, MutuelleIn, PersonIn, SpanIn
from gateway.api.shown import Shown
from gateway.cards.rights import Amc, AmoService, Beneficiary, Mutuelle, Rights


class Span(Shown):
    """From `start` to `end`, both days included; null leaves that side open."""

    start: date | None
    end: date | None


class Cover(Span):
    """One period of cover: long illness and situation codes (SSV group 106)."""

    ald: str
    situation: str


class Contract(Shown):
    """The complementary cover in force: a mutuelle managed by the caisse, or an insurer of its own."""

    kind: str
    number: str
    name: str
    routing: str


class Person(Shown):
    """One person on the card; `number` names the person in a care act. The flags are for the day asked."""

    number: int
    name: str
    first_name: str
    birth_date: date
    birth_rank: int
    quality: str
    nir: str
    nir_key: str
    address: list[str]
    rights: list[Span]
    cover: list[Cover]
    has_rights: bool
    has_ald: bool
    is_css: bool
    css_run_by: str
    css_contribution: bool
    is_aspa: bool
    is_alsace_moselle: bool
    is_maternity: bool
    complementary: Contract | None


class CardRights(Shown):
    """What the inserted Vitale says on a day; `valid_until` is the card's last day."""

    on: date
    card: str
    valid_until: date | None
    is_test: bool
    nir: str
    nir_key: str
    regime: str
    caisse: str
    centre: str
    management_code: str
    persons: list[Person]


def shown(rights: Rights, serial: str, on: date) -> CardRights:
    """Rights as shown for one day."""
    return CardRights(
        on=on,
        card=serial,
        valid_until=rights.validity_end,
        is_test=rights.is_test,
        nir=rights.insured_nir,
        nir_key=rights.nir_key,
        regime=rights.regime,
        caisse=rights.caisse,
        centre=rights.centre,
        management_code=rights.management_code,
        persons=[_person(person, place, on) for place, person in enumerate(rights.beneficiaries, 1)],
    )


def _person(person: Beneficiary, place: int, on: date) -> Person:
    return Person(
        number=place,
        name=person.name,
        first_name=person.first_name,
        birth_date=person.birth_date,
        birth_rank=person.rank,
        quality=person.quality,
        nir=person.own_nir,
        nir_key=person.own_nir_key,
        address=list(person.address),
        rights=[Span(**asdict(period)) for period in person.rights],
        cover=[Cover(**asdict(period)) for period in person.coverage],
        has_rights=person.has_rights(on),
        has_ald=person.has_ald(on),
        is_css=person.is_css(on),
        css_run_by=person.amo_service.run_by,
        css_contribution=person.has_css_contribution(on),
        is_aspa=person.is_aspa(on),
        is_alsace_moselle=person.is_alsace_moselle(on),
        is_maternity=person.is_maternity(on),
        complementary=_contract(person, on),
    )


def _contract(person: Beneficiary, on: date) -> Contract | None:
    name = person.complementary(on)
    if name is None:
        return None
    if person.mutuelle is not None and person.mutuelle.includes(on):
        return Contract(kind="mutuelle", number=person.mutuelle.number, name=name, routing="")
    if person.amc is None:
        return None
    return Contract(kind="amc", number=person.amc.b2_number, name=name, routing=person.amc.routing)


def attested(rights: Rights, on: date) -> AttestationIn:
    """The same as an attestation of rights, good from that day to the last one of the card.

    It is what a care act of the modes without a Vitale takes, should the patient come without the card.
    """
    return AttestationIn(
        insured=InsuredIn(
            nir=rights.insured_nir + rights.nir_key,
            regime=rights.regime,
            caisse=rights.caisse,
            centre=rights.centre,
            management_code=rights.management_code,
        ),
        attestation=SpanIn(start=on, end=rights.validity_end),
        beneficiary=[_attested(person) for person in rights.beneficiaries],
    )


def _attested(person: Beneficiary) -> PersonIn:
    service, own = person.amo_service, person.own_nir + person.own_nir_key
    return PersonIn(
        name=person.name,
        first_name=person.first_name,
        birth_date=person.birth_date,
        birth_rank=person.rank,
        quality=person.quality,
        nir=own if len(own) == 15 else None,
        address=list(person.address) or None,
        rights=[SpanIn(**asdict(period)) for period in person.rights],
        coverage=[
            CoverIn(start=one.start, end=one.end, ald=one.ald == ssv.ALD_EXEMPTING, situation=one.situation)
            for one in person.coverage
        ],
        css=_css(service) if service.is_css else None,
        mutuelle=None if person.mutuelle is None else _mutuelle(person.mutuelle),
        amc=None if person.amc is None else _amc(person.amc),
    )


def _css(service: AmoService) -> CssIn:
    run_by, contribution = ssv.CSS_SERVICES[service.code]
    return CssIn.model_validate(
        {"start": service.start, "end": service.end, "run_by": run_by, "contribution": contribution}
    )


def _mutuelle(mutuelle: Mutuelle) -> MutuelleIn:
    first = mutuelle.periods[0] if mutuelle.periods else None
    return MutuelleIn(
        number=mutuelle.number,
        contract=mutuelle.guarantees,
        treatment=mutuelle.treatment,
        start=first.start if first else None,
        end=first.end if first else None,
    )


def _amc(amc: Amc) -> AmcIn:
    return AmcIn(
        number=amc.b2_number,
        contract=amc.services,
        member=amc.member_number,
        treatment=amc.treatment,
        domain=amc.domain,
        start=amc.start,
        end=amc.end,
    )
