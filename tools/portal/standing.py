"""What the caisse's base says today of each beneficiary, and the same as new content for a card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date

from card.layout import ssv
from card.profile import CoverageEntry, InsuredProfile, Period, Person
from tools.portal.register import Family
from tools.receiver.insured import Insured, InsuredBase
from tools.receiver.insurers import InsurerBase

_SITUATIONS = {"maternity": ssv.SITUATION_MATERNITY, "aspa": ssv.SITUATION_ASPA}
_EXEMPTING = ("ald", "maternity", "aspa")


@dataclass(frozen=True)
class Standing:
    """One beneficiary: identity, periods of rights, exemptions, complementary insurers."""

    name: str = field(repr=False)
    birth_date: date = field(repr=False)
    nir: str = field(repr=False)
    rights: tuple[tuple[date, date], ...]
    exemptions: tuple[str, ...]
    alsace_moselle: bool
    insurers: tuple[str, ...]


def standings(family: Family, insured: InsuredBase, insurers: InsurerBase) -> list[Standing]:
    """The family's beneficiaries that the base knows, in the order of the card."""
    return list(_standings(family, insured, insurers))


def _standings(family: Family, insured: InsuredBase, insurers: InsurerBase) -> Iterator[Standing]:
    for person in family.profile.people:
        birth = f"{person.birth_date:%y%m%d}"
        known = insured.find(family.nir, birth)
        if known is None:
            continue
        yield Standing(
            name=f"{person.first_name} {person.name}",
            birth_date=person.birth_date,
            nir=person.nir or family.profile.nir,
            rights=known.rights,
            exemptions=tuple(sorted(known.exemptions)),
            alsace_moselle=known.alsace_moselle,
            insurers=tuple(one.insurer for one in insurers.of_family(family.nir) if one.birth_date == birth),
        )


def present_profile(profile: InsuredProfile, insured: InsuredBase) -> InsuredProfile | None:
    """The profile as the base knows it today, for a card to be brought up to date; None: nobody is known."""
    nir = profile.nir[:13]
    pairs = [(one, insured.find(nir, f"{one.birth_date:%y%m%d}")) for one in profile.people]
    people = tuple(_person(one, known) for one, known in pairs if known is not None)
    return replace(profile, people=people) if people else None


def _person(person: Person, known: Insured) -> Person:
    rights = tuple(Period(start, end) for start, end in known.rights)
    held = _held(person)
    if known.exemptions - {"ame"} == held and known.alsace_moselle == _is_local(person):
        coverage = person.coverage
    else:
        coverage = tuple(_coverage(known, rights))
    css = person.css or (rights[-1] if rights and "css" in known.exemptions else None)
    return replace(person, rights=rights, coverage=coverage, css=css if "css" in known.exemptions else None)


def _coverage(known: Insured, rights: tuple[Period, ...]) -> Iterator[CoverageEntry]:
    """One entry a period and situation: the base keeps no dates of exemptions, those of the rights stand."""
    situations = [code for name, code in _SITUATIONS.items() if name in known.exemptions]
    situations += [ssv.SITUATION_ALSACE_MOSELLE] if known.alsace_moselle else []
    for period in rights:
        for situation in situations or [ssv.SITUATION_PLAIN]:
            yield CoverageEntry(period, "ald" in known.exemptions, situation)


def _held(person: Person) -> set[str]:
    words = {code: name for name, code in _SITUATIONS.items()}
    held = {words[cover.situation] for cover in person.coverage if cover.situation in words}
    held |= {"ald" for cover in person.coverage if cover.ald}
    return held | ({"css"} if person.css is not None else set())


def _is_local(person: Person) -> bool:
    return any(cover.situation == ssv.SITUATION_ALSACE_MOSELLE for cover in person.coverage)
