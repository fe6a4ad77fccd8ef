"""Profiles: the invented people a card can be made for, as values. `card.profile_toml` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from card.layout import ssv
from card.layout.identifiers import national_id
from card.layout.ssv import Group

REVOKED_SERIES = 1 << 124 | 1 << 64
"""Certificate numbers of cards that are revoked from the start: no other certificate has them."""


@dataclass(frozen=True, slots=True)
class Period:
    """First and last day, both included."""

    start: date
    end: date

    def times(self) -> tuple[str, str]:
        """As SSV dates: from midnight to 23:59."""
        return f"{self.start:%Y%m%d}0000", f"{self.end:%Y%m%d}2359"


@dataclass(frozen=True, slots=True)
class CoverageEntry:
    """A period of cover: with an exempting long illness or not, and the situation code of 106.4."""

    period: Period
    ald: bool
    situation: str


# INVENTED(contract-names): fields 107.2 and 109.12 carry the name of a contract of ours such as tm100.
@dataclass(frozen=True, slots=True)
class MutuelleEntry:
    """A complementary contract managed with the compulsory scheme (groups 107 and 108)."""

    number: str
    contract: str
    treatment: str
    period: Period


@dataclass(frozen=True, slots=True)
class AmcEntry:
    """A complementary insurer with its own flow (group 109)."""

    number: str
    member: str = field(repr=False)
    contract: str
    treatment: str
    domain: str
    period: Period


@dataclass(frozen=True, slots=True)
class Person:
    """A beneficiary: identity, place in the family, rights. `nir` has 15 characters, "" without one.

    `css_run_by`, `css_contribution`: who runs the CSS (amo, convention, insurer), and if it is paid for.
    """

    name: str = field(repr=False)
    first_name: str = field(repr=False)
    birth_date: date = field(repr=False)
    birth_rank: int
    quality: str
    nir: str = field(repr=False)
    address: tuple[str, ...] = field(repr=False)
    rights: tuple[Period, ...]
    coverage: tuple[CoverageEntry, ...]
    css: Period | None
    mutuelle: MutuelleEntry | None
    amc: AmcEntry | None
    css_run_by: str = "amo"
    css_contribution: bool = False

    def groups(self) -> tuple[Group, ...]:
        """Group 104 and what follows it."""
        found = [self._group_104()]
        found += [_dated(ssv.AMO_RIGHTS, period) for period in self.rights]
        for cover in self.coverage:
            ald = ssv.ALD_EXEMPTING if cover.ald else ssv.ALD_NONE
            found.append(_dated(ssv.COVERAGE, cover.period, ald=ald, situation=cover.situation))
        if self.mutuelle is not None:
            found += self._mutuelle_groups(self.mutuelle)
        if self.amc is not None:
            found.append(self._group_109(self.amc))
        return tuple(found)

    @property
    def _css_service(self) -> str:
        return ssv.css_service(self.css_run_by, contribution=self.css_contribution)

    def _group_104(self) -> Group:
        start, end = (ssv.NO_DATE, ssv.NO_DATE) if self.css is None else self.css.times()
        lines = {f"address_{at}": line for at, line in enumerate(self.address, 1)}
        return Group.of(
            ssv.BENEFICIARY,
            name=self.name,
            birth_name=self.name,
            first_name=self.first_name,
            **lines,
            certified_nir=self.nir[:13],
            certified_nir_key=self.nir[13:],
            birth_date=f"{self.birth_date:%Y%m%d}0000",
            birth_rank=str(self.birth_rank),
            quality=self.quality,
            amo_service=ssv.AMO_SERVICE_NONE if self.css is None else self._css_service,
            amo_service_start=start,
            amo_service_end=end,
        )

    @staticmethod
    def _mutuelle_groups(contract: MutuelleEntry) -> list[Group]:
        return [
            Group.of(
                ssv.MUTUELLE,
                number=contract.number,
                guarantees=contract.contract,
                treatment=contract.treatment,
            ),
            _dated(ssv.MUTUELLE_RIGHTS, contract.period),
        ]

    @staticmethod
    def _group_109(contract: AmcEntry) -> Group:
        return _dated(
            ssv.AMC,
            contract.period,
            b2_number=contract.number,
            edi_number=contract.number,
            member_number=contract.member,
            treatment=contract.treatment,
            domain=contract.domain,
            services=contract.contract,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The one outcome that a card always brings: where (`stage`), its code, one plain sentence.

    `results`: refused, signalled, partial or paid for each kind of third-party payment (none, amo, full).
    `act`: what the care act must say for it, nothing for any act. `twin`: a plain profile that is paid.
    """

    stage: str
    code: str
    says: str
    results: Mapping[str, str]
    act: Mapping[str, object]
    twin: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What every profile has: its name, its kind (vitale, attestation, cps) and a line for a list.

    `on_file`: what caisse and insurers know differently from the card, as an entry of their overrides.
    """

    name: str
    kind: str
    label: str
    outcome: Outcome | None = field(default=None, kw_only=True)
    on_file: Mapping[str, object] = field(default_factory=dict, kw_only=True)
    foreign: bool = field(default=False, kw_only=True)
    """Made by another test authority, which nobody here knows."""


@dataclass(frozen=True, slots=True)
class InsuredProfile(Profile):
    """A family: on a Vitale card (kind vitale), or on a paper attestation (kind attestation, no serial).

    `nir` is the insured person's, 15 characters; `ame` is true for people with the AME. `key_on_card`: a
    wrong key in place of its own; `opposed`: the letter of the reason why it is on the opposition list.
    """

    nir: str = field(repr=False)
    regime: str
    caisse: str
    centre: str
    management_code: str
    ame: bool
    serial: str
    valid_from: date
    valid_to: date
    people: tuple[Person, ...]
    key_on_card: str = ""
    opposed: str = ""

    def groups(self) -> tuple[Group, ...]:
        """The SSV groups the card carries."""
        insured = Group.of(
            ssv.INSURED,
            card_type="T",
            serial=self.serial,
            validity_end=f"{self.valid_to:%Y%m%d}2359",
            holder_id_type="1",
            nir=self.nir[:13],
            nir_key=self.key_on_card or self.nir[13:],
            regime=self.regime,
            caisse=self.caisse,
            centre=self.centre,
            management_code=self.management_code,
        )
        return (insured, *(group for person in self.people for group in person.groups()))


@dataclass(frozen=True, slots=True)
class PracticeSituation:
    """A place of practice: SSV group 2, and the RPPS sector of the activity object."""

    group: Group
    rpps_sector: str

    @property
    def billing_number(self) -> str:
        """9 digits, key included."""
        return self.group.get("billing_number") + self.group.get("billing_key")


@dataclass(frozen=True, slots=True)
class CpsProfile(Profile):
    """A practitioner and the places of practice.

    `pin_tries`: how many are left on the new card, None for all; `revoked`: from the first day on.
    """

    serial: str
    number: str
    category: str
    card_type: str
    valid_from: date
    valid_to: date
    rpps: str
    civility: str
    last_name: str = field(repr=False)
    first_name: str = field(repr=False)
    profession: str
    title: str
    specialty: str
    situations: tuple[PracticeSituation, ...]
    revoked: bool = False
    pin_tries: int | None = None

    @property
    def certificate_serial(self) -> int | None:
        """The number that the signature certificate of a revoked card always has, for the revocation list."""
        return REVOKED_SERIES | int(self.serial) if self.revoked else None

    @property
    def national_id(self) -> str:
        """ "8" and the RPPS number."""
        return national_id(self.rpps)


def _dated(number: int, period: Period, **values: str) -> Group:
    start, end = period.times()
    return Group.of(number, start=start, end=end, **values)
