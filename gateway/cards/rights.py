"""The rights on a Carte Vitale, as typed values made from the SSV groups 101 to 111.

Group numbers and field names come from `card.layout.ssv`; a beneficiary is group 104 followed by its own
105 to 109. Questions are asked for a day: `beneficiary.has_ald(on)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from card.layout import ssv
from card.layout.ssv import Group
from card.layout.tree import LayoutError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` to `end`, both days included; None leaves that side open."""

    start: date | None
    end: date | None

    def includes(self, on: date) -> bool:
        """True when the day is in the period."""
        return (self.start is None or self.start <= on) and (self.end is None or on <= self.end)


@dataclass(frozen=True, slots=True)
class Coverage:
    """One period of group 106: code ALD and code situation."""

    start: date | None
    end: date | None
    ald: str
    situation: str

    def includes(self, on: date) -> bool:
        """True when the day is in the period."""
        return Period(self.start, self.end).includes(on)


@dataclass(frozen=True, slots=True)
class AmoService:
    """Service of the compulsory scheme (104.15 to 17): a CSS of `ssv.CSS_SERVICES`, or "00"."""

    code: str
    start: date | None
    end: date | None

    @property
    def is_css(self) -> bool:
        """True for the CSS, whoever runs it."""
        return self.code in ssv.CSS_SERVICES

    @property
    def run_by(self) -> str:
        """Who runs the CSS: amo, convention (an insurer, by agreement with the AMO), insurer; "" without."""
        return ssv.CSS_SERVICES[self.code][0] if self.is_css else ""

    @property
    def contribution(self) -> bool:
        """True when the person pays for the CSS."""
        return self.is_css and ssv.CSS_SERVICES[self.code][1]


@dataclass(frozen=True, slots=True)
class Mutuelle:
    """Complementary cover managed with the compulsory scheme: group 107 and its periods 108."""

    number: str
    guarantees: str
    treatment: str
    service_type: str
    services: str
    sts_switch: str
    periods: tuple[Period, ...]

    def includes(self, on: date) -> bool:
        """True when one of the periods has the day; a mutuelle without periods is always in force."""
        return not self.periods or any(period.includes(on) for period in self.periods)


@dataclass(frozen=True, slots=True)
class Amc:
    """Complementary insurer with its own flow: group 109."""

    b2_number: str
    edi_number: str
    member_number: str = field(repr=False)
    treatment: str
    start: date | None
    end: date | None
    routing: str
    host: str
    domain: str
    sts_switch: str
    service_type: str
    services: str

    def includes(self, on: date) -> bool:
        """True when the contract covers the day."""
        return Period(self.start, self.end).includes(on)


@dataclass(frozen=True, slots=True)
class Beneficiary:
    """One person covered by the card: group 104 and what follows it."""

    name: str = field(repr=False)
    first_name: str = field(repr=False)
    birth_date: date = field(repr=False)
    rank: int
    quality: str
    own_nir: str = field(repr=False)
    own_nir_key: str = field(repr=False)
    amo_service: AmoService
    rights: tuple[Period, ...]
    coverage: tuple[Coverage, ...]
    mutuelle: Mutuelle | None
    amc: Amc | None
    address: tuple[str, ...] = field(default=(), repr=False)

    def has_rights(self, on: date) -> bool:
        """True when a period of AMO rights (105) has the day."""
        return any(period.includes(on) for period in self.rights)

    def has_ald(self, on: date) -> bool:
        """True when an exempting long illness is in force."""
        return any(c.ald == ssv.ALD_EXEMPTING for c in self._covering(on))

    def is_alsace_moselle(self, on: date) -> bool:
        """True under the local scheme of Alsace-Moselle."""
        return self._situation(ssv.SITUATION_ALSACE_MOSELLE, on)

    def is_maternity(self, on: date) -> bool:
        """True when maternity cover is in force."""
        return self._situation(ssv.SITUATION_MATERNITY, on)

    def is_aspa(self, on: date) -> bool:
        """True for holders of the ASPA allowance."""
        return self._situation(ssv.SITUATION_ASPA, on)

    def is_css(self, on: date) -> bool:
        """True when the complémentaire santé solidaire is in force, whoever runs it."""
        service = self.amo_service
        return service.is_css and Period(service.start, service.end).includes(on)

    def is_css_of_insurer(self, on: date) -> bool:
        """True when a CSS in force is run by an insurer, not by the caisse."""
        return self.is_css(on) and self.amo_service.run_by != "amo"

    def has_css_contribution(self, on: date) -> bool:
        """True when a CSS in force is one that the person pays for."""
        return self.is_css(on) and self.amo_service.contribution

    def complementary(self, on: date) -> str | None:
        """The name of the complementary contract in force, None without one. The mutuelle goes first."""
        if self.mutuelle is not None and self.mutuelle.includes(on):
            return self.mutuelle.guarantees or self.mutuelle.number
        if self.amc is not None and self.amc.includes(on):
            return self.amc.services or self.amc.b2_number
        return None

    def _covering(self, on: date) -> tuple[Coverage, ...]:
        return tuple(coverage for coverage in self.coverage if coverage.includes(on))

    def _situation(self, code: str, on: date) -> bool:
        return any(coverage.situation == code for coverage in self._covering(on))


@dataclass(frozen=True, slots=True)
class Rights:
    """Everything a card says about the insured person and the beneficiaries."""

    card_type: str
    serial: str
    validity_end: date | None
    insured_nir: str = field(repr=False)
    nir_key: str = field(repr=False)
    regime: str
    caisse: str
    centre: str
    management_code: str
    beneficiaries: tuple[Beneficiary, ...]

    @classmethod
    def from_groups(cls, groups: Iterable[Group]) -> Rights:
        """Rights from the groups of a card, in zone order; raises LayoutError naming the group at fault."""
        insured: Group | None = None
        people: list[list[Group]] = []
        for group in groups:
            if group.number == ssv.INSURED:
                insured = group
            elif group.number == ssv.BENEFICIARY:
                people.append([group])
            elif ssv.BENEFICIARY < group.number <= ssv.AMC:
                if not people:
                    raise LayoutError(f"group {group.number} comes before the first beneficiary")
                people[-1].append(group)
        if insured is None:
            raise LayoutError("group 101 (the insured person) is missing")
        if not people:
            raise LayoutError("group 104 (the beneficiaries) is missing")
        return cls._assembled(insured, tuple(_beneficiary(own) for own in people))

    @classmethod
    def _assembled(cls, insured: Group, beneficiaries: tuple[Beneficiary, ...]) -> Rights:
        get = insured.get
        return cls(
            card_type=get("card_type"),
            serial=get("serial"),
            validity_end=_day(insured, "validity_end"),
            insured_nir=get("nir"),
            nir_key=get("nir_key"),
            regime=get("regime"),
            caisse=get("caisse"),
            centre=get("centre"),
            management_code=get("management_code"),
            beneficiaries=beneficiaries,
        )

    @property
    def is_test(self) -> bool:
        """True for a test card (type T)."""
        return self.card_type == "T"

    def beneficiary(self, rank: int) -> Beneficiary:
        """The beneficiary at this place of the card, from 1 on; raises LayoutError when there is none."""
        if not 1 <= rank <= len(self.beneficiaries):
            raise LayoutError(
                f"the card has {len(self.beneficiaries)} beneficiaries, there is no number {rank}"
            )
        return self.beneficiaries[rank - 1]


def _beneficiary(own: Sequence[Group]) -> Beneficiary:
    person = own[0]
    birth = _day(person, "birth_date")
    if birth is None:
        raise LayoutError("group 104 has no birth date")
    return Beneficiary(
        name=person.get("name"),
        first_name=person.get("first_name"),
        birth_date=birth,
        rank=_rank(person),
        quality=person.get("quality"),
        own_nir=person.get("certified_nir"),
        own_nir_key=person.get("certified_nir_key"),
        amo_service=AmoService(
            person.get("amo_service"), _day(person, "amo_service_start"), _day(person, "amo_service_end")
        ),
        rights=_periods(own, ssv.AMO_RIGHTS),
        coverage=tuple(_coverage(group) for group in own if group.number == ssv.COVERAGE),
        mutuelle=_first(
            own, ssv.MUTUELLE, lambda group: _mutuelle(group, _periods(own, ssv.MUTUELLE_RIGHTS))
        ),
        amc=_first(own, ssv.AMC, _amc),
        address=tuple(filter(None, (person.get(f"address_{line}") for line in range(1, 6)))),
    )


def _first(own: Sequence[Group], number: int, make: Callable[[Group], T]) -> T | None:
    return next((make(group) for group in own if group.number == number), None)


def _periods(own: Sequence[Group], number: int) -> tuple[Period, ...]:
    return tuple(Period(_day(g, "start"), _day(g, "end")) for g in own if g.number == number)


def _coverage(group: Group) -> Coverage:
    return Coverage(_day(group, "start"), _day(group, "end"), group.get("ald"), group.get("situation"))


def _mutuelle(group: Group, periods: tuple[Period, ...]) -> Mutuelle:
    return Mutuelle(
        number=group.get("number"),
        guarantees=group.get("guarantees"),
        treatment=group.get("treatment"),
        service_type=group.get("service_type"),
        services=group.get("services"),
        sts_switch=group.get("sts_switch"),
        periods=periods,
    )


def _amc(group: Group) -> Amc:
    return Amc(
        b2_number=group.get("b2_number"),
        edi_number=group.get("edi_number"),
        member_number=group.get("member_number"),
        treatment=group.get("treatment"),
        start=_day(group, "start"),
        end=_day(group, "end"),
        routing=group.get("routing"),
        host=group.get("host"),
        domain=group.get("domain"),
        sts_switch=group.get("sts_switch"),
        service_type=group.get("service_type"),
        services=group.get("services"),
    )


def _rank(person: Group) -> int:
    text = person.get("birth_rank") or "1"
    if not (text.isascii() and text.isdecimal()):
        raise LayoutError("field birth_rank of group 104 is not a number")
    return int(text)


def _day(group: Group, name: str) -> date | None:
    """The day of a date field AAAAMMJJhhmm; None when it is absent or all zeros."""
    text = group.get(name)
    if not text or text == ssv.NO_DATE:
        return None
    try:
        if len(text) not in (8, 12):
            raise ValueError
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        raise LayoutError(f"field {name} of group {group.number} is not a date AAAAMMJJhhmm") from None
