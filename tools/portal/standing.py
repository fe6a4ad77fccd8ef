"""What the caisse's base says today of each beneficiary, and the same as new content for a card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date

from card.layout import ssv
from card.profile import CoverageEntry, InsuredProfile, Period, Person
from gateway.billing.exemption import Exemption
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
    dated: tuple[Exemption, ...] = ()
    css_insurer: str = ""
    css_contribution: bool = False


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
            dated=known.dated,
            css_insurer=known.css_insurer,
            css_contribution=known.css_contribution,
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
    if _on_card(known) == held and known.alsace_moselle == _is_local(person):
        coverage = person.coverage
    else:
        coverage = tuple(_coverage(known, rights))
    css = person.css or (rights[-1] if rights and "css" in known.exemptions else None)
    run_by = person.css_run_by if known.css_insurer else "amo"
    return replace(
        person, rights=rights, coverage=coverage, css=css if "css" in known.exemptions else None,
        css_run_by=run_by, css_contribution=known.css_contribution,
    )  # fmt: skip


def _coverage(known: Insured, rights: tuple[Period, ...]) -> Iterator[CoverageEntry]:
    """One entry for each period of rights and situation; an exemption with days of its own has its own."""
    always = known.exemptions - {one.kind for one in known.dated}
    situations = [code for name, code in _SITUATIONS.items() if name in always]
    situations += [ssv.SITUATION_ALSACE_MOSELLE] if known.alsace_moselle else []
    for period in rights:
        for situation in situations or [ssv.SITUATION_PLAIN]:
            yield CoverageEntry(period, "ald" in always, situation)
        for one in known.dated:
            within = Period(
                max(one.start or period.start, period.start), min(one.end or period.end, period.end)
            )
            if one.kind in known.exemptions and one.kind in _EXEMPTING and within.start <= within.end:
                situation = _SITUATIONS.get(one.kind, ssv.SITUATION_PLAIN)
                yield CoverageEntry(within, one.kind == "ald", situation)


_Held = set[tuple[str, date | None, date | None]]


def _on_card(known: Insured) -> _Held:
    """What the base has of exemptions, with their days, as a card would show it."""
    dated = {(one.kind, one.start, one.end) for one in known.dated if one.kind in known.exemptions}
    always = known.exemptions - {one.kind for one in known.dated} - {"ame"}
    return dated | {(name, None, None) for name in always}


def _held(person: Person) -> _Held:
    words = {code: name for name, code in _SITUATIONS.items()}
    held: _Held = set()
    for cover in person.coverage:
        names = [words[cover.situation]] if cover.situation in words else []
        names += ["ald"] if cover.ald else []
        held |= {(name, cover.period.start, cover.period.end) for name in names}
    return held | ({("css", person.css.start, person.css.end)} if person.css is not None else set())


def _is_local(person: Person) -> bool:
    return any(cover.situation == ssv.SITUATION_ALSACE_MOSELLE for cover in person.coverage)
