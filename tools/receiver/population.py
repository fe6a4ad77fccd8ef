"""The files of caisses and insurers at the start: everybody on the shipped card profiles.

They agree with the cards, but where a profile says under `on_file` that they do not: an entry like those of
the overrides file, its part about the insurer under `contract`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from card.layout import ssv
from card.personalise import list_outcomes, list_profiles, load_profile
from card.profile import CpsProfile, InsuredProfile, Person, Profile
from gateway.billing.exemption import Exemption
from gateway.billing.request import ZONES, Practitioner
from gateway.errors import InputError
from gateway.lots.organism import Organism
from tools.receiver.codes import SUSPENDED_PRACTITIONER, UNKNOWN_PRACTITIONER
from tools.receiver.iban import make_iban
from tools.receiver.insured import Insured, InsuredBase, overridden_people
from tools.receiver.insurers import Contract, InsurerBase, insurer_number, overridden_contracts

_SITUATIONS = {ssv.SITUATION_MATERNITY: "maternity", ssv.SITUATION_ASPA: "aspa"}
_BARRING = {"known": (False, UNKNOWN_PRACTITIONER), "suspended": (True, SUSPENDED_PRACTITIONER)}


def known_insured(profiles: Sequence[str] = ()) -> InsuredBase:
    """Every beneficiary of the shipped insured profiles, and of `profiles` (names or files)."""
    people = []
    for profile in _all(profiles):
        if isinstance(profile, InsuredProfile):
            people += _people(profile)
    return InsuredBase(people)


def known_contracts(profiles: Sequence[str] = ()) -> InsurerBase:
    """Every complementary contract on the shipped insured profiles, and on `profiles`."""
    return InsurerBase(
        contract
        for profile in _all(profiles)
        if isinstance(profile, InsuredProfile)
        for contract in _contracts_on_file(profile)
    )


def known_practitioners(profiles: Sequence[str] = ()) -> dict[str, tuple[Practitioner, ...]]:
    """Billing number (9 digits) → billing situations that the caisse would accept, most usual first.

    A card does not say the tariff zone of an overseas practice nor the OPTAM contract: every value passes.
    """
    known: dict[str, tuple[Practitioner, ...]] = {}
    for profile in _all(profiles):
        if isinstance(profile, CpsProfile):
            for situation in profile.situations:
                specialty, convention = (situation.group.get(name) for name in ("specialty", "convention"))
                known[situation.billing_number] = tuple(
                    Practitioner(specialty, convention, optam, zone)
                    for zone, optam in product(ZONES, (False, True))
                    if convention != "1" or not optam
                )
    return known


def barred_practitioners(profiles: Sequence[str] = ()) -> dict[str, str]:
    """Billing number → the return code with which every invoice of it is refused."""
    found: dict[str, str] = {}
    for profile in _all(profiles):
        if isinstance(profile, CpsProfile):
            for key, (value, code) in _BARRING.items():
                if profile.on_file.get(key) is value:
                    found |= {situation.billing_number: code for situation in profile.situations}
    return found


def _all(profiles: Sequence[str]) -> Iterator[Profile]:
    for name in (*list_profiles(), *list_outcomes(), *profiles):
        try:
            yield load_profile(name)
        except ValueError as error:
            raise InputError(str(error)) from None


def _people(profile: InsuredProfile) -> list[Insured]:
    people = [_insured(profile, person) for person in profile.people]
    changes = {key: value for key, value in profile.on_file.items() if key != "contract"}
    return overridden_people(people, *_entry(profile, changes)) if changes else people


def _contracts_on_file(profile: InsuredProfile) -> list[Contract]:
    contracts = [one for person in profile.people for one in _contracts(profile.nir[:13], person)]
    changes = profile.on_file.get("contract")
    if not isinstance(changes, Mapping):
        return contracts
    return overridden_contracts(contracts, *_entry(profile, changes))


def _entry(profile: InsuredProfile, changes: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    return {"nir": profile.nir, **changes}, f"profile {profile.name}, on_file"


def _insured(profile: InsuredProfile, person: Person) -> Insured:
    dated = tuple(_dated(person))
    exemptions = {one.kind for one in dated} | ({"ame"} if profile.ame else set())
    return Insured(
        nir=profile.nir[:13],
        birth_date=f"{person.birth_date:%y%m%d}",
        rights=tuple((period.start, period.end) for period in person.rights),
        exemptions=frozenset(exemptions),
        dated=dated,
        alsace_moselle=any(cover.situation == ssv.SITUATION_ALSACE_MOSELLE for cover in person.coverage),
        name=person.name,
        first_name=person.first_name,
        organism=_organism(profile),
        css_insurer=_solidarity_insurer(person),
        css_contribution=person.css is not None and person.css_contribution,
        iban=make_iban(int(profile.nir[7:13]) * 10 + int(profile.nir[:1])),
    )


def _solidarity_insurer(person: Person) -> str:
    """Ten digits of the insurer on the card that runs its solidarity cover, "" for the caisse."""
    if person.css is None or person.css_run_by == "amo" or person.amc is None:
        return ""
    return insurer_number(person.amc.number)


def _dated(person: Person) -> Iterator[Exemption]:
    """The exemptions on the card, each with its days."""
    for cover in person.coverage:
        if cover.ald:
            yield Exemption("ald", cover.period.start, cover.period.end)
        if cover.situation in _SITUATIONS:
            yield Exemption(_SITUATIONS[cover.situation], cover.period.start, cover.period.end)
    if person.css is not None:
        yield Exemption("css", person.css.start, person.css.end)


def _organism(profile: InsuredProfile) -> str:
    where = Organism.of_insured(profile.regime, profile.caisse, profile.centre)
    return f"{where.regime}-{where.organism}"


def _contracts(nir: str, person: Person) -> Iterator[Contract]:
    """Group 107 is reached through the caisse, group 109 by DRE."""
    birth = f"{person.birth_date:%y%m%d}"
    if (one := person.mutuelle) is not None:
        periods = ((one.period.start, one.period.end),)
        yield Contract(insurer_number(one.number), nir, birth, one.contract, periods=periods)
    if (own := person.amc) is not None:
        periods = ((own.period.start, own.period.end),)
        yield Contract(
            insurer_number(own.number), nir, birth, own.contract, own.member, periods,
            treatment=own.treatment, domain=own.domain,
        )  # fmt: skip
