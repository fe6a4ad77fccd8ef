"""The insured people of a year, by seed: schemes, families, rights, covers, and what goes wrong for some.

Each has one Vitale card. A trouble begins on a day: from then on card, caisse and insurer tell different
things, and the chain has to say so with the right cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from math import ceil
from random import Random

from card.layout import ssv
from card.layout.nir import nir_key
from card.profile import AmcEntry, CoverageEntry, InsuredProfile, MutuelleEntry, Period, Person

SCHEMES = (
    ("general", 0.66, ("01", "349", "0349")),
    ("css", 0.11, ("01", "999", "0999")),
    ("alsace-moselle", 0.08, ("01", "349", "0349")),
    ("msa", 0.09, ("02", "349", "0000")),
    ("special", 0.06, ("08", "996", "0000")),
)
"""Name, part of the insured, and régime, caisse and centre of the card."""

INSURERS = ("99999991", "99999992", "99999993")
BY_DRE = ("99999994", "99999995")
"""Insurers reached through the caisse (group 107), and by a DRE of the professional (group 109)."""
_IN_THIRD_PARTY = "22"
"""109.4: DRE with third-party payment; outside it the caisse hands the share on."""
CONTRACTS = ("tm100", "tm100", "responsible")

ELSEWHERE = "02-331"
"""An organism that insures somebody now whose card still names the old one."""
CARD_RIGHTS_ENDED, CARD_EXPIRED, CARD_STOLEN = "card-rights-ended", "card-expired", "card-stolen"
CAISSE_UNKNOWN, CAISSE_CLOSED, CAISSE_NO_ALD = "caisse-unknown", "caisse-rights-closed", "caisse-no-ald"
INSURER_UNKNOWN, INSURER_CLOSED = "insurer-unknown", "insurer-closed"
INSURER_NOT_LINKED, INSURER_REFUSES = "insurer-not-linked", "insurer-refuses"

TROUBLES = (
    (CARD_RIGHTS_ENDED, 0.03),
    (CARD_EXPIRED, 0.012),
    (CARD_STOLEN, 0.008),
    (CAISSE_UNKNOWN, 0.016),
    (CAISSE_CLOSED, 0.016),
    (CAISSE_NO_ALD, 0.008),
    (INSURER_UNKNOWN, 0.014),
    (INSURER_CLOSED, 0.02),
    (INSURER_NOT_LINKED, 0.016),
    (INSURER_REFUSES, 0.01),
)
"""Each trouble and the part of the insured that it befalls, one person at least."""

_OF_INSURERS = (INSURER_UNKNOWN, INSURER_CLOSED, INSURER_NOT_LINKED, INSURER_REFUSES)
_LONG = Period(date(2023, 1, 1), date(2031, 12, 31))


@dataclass(frozen=True)
class Patient:
    """One insured person. `trouble` holds from `since` on, "" for none; `due`: when a birth is expected."""

    index: int
    scheme: str
    profile: InsuredProfile = field(repr=False)
    ald: bool
    due: date | None
    trouble: str
    since: date

    @property
    def holder(self) -> Person:
        """The insured person in person."""
        return self.profile.people[0]

    @property
    def contract(self) -> str:
        """The name of the complementary contract, "" without one."""
        cover = self.holder.mutuelle or self.holder.amc
        return "" if cover is None else cover.contract

    def has(self, trouble: str, on: date) -> bool:
        """Whether this trouble has begun."""
        return self.trouble == trouble and on >= self.since

    def age(self, on: date) -> int:
        """Whole years, near enough for a habit."""
        return (on - self.holder.birth_date).days // 365

    def moved(self, on: date) -> Patient:
        """The same person with a card that names the organism that insures them now."""
        regime, caisse = ELSEWHERE.split("-")
        profile = replace(self.profile, regime=regime, caisse=caisse, centre="0000")
        return replace(self, profile=profile, trouble="", since=on)

    def renewed(self, on: date) -> Patient:
        """The same person with a card that was made or updated on this day: its troubles are over."""
        people = tuple(replace(one, rights=(_LONG,)) for one in self.profile.people)
        serial = _serial(self.index, 1) if self.trouble != CARD_RIGHTS_ENDED else self.profile.serial
        profile = replace(self.profile, serial=serial, valid_to=_LONG.end, people=people)
        return replace(self, profile=profile, trouble="", since=on)


def population(seed: int, count: int, start: date, days: int) -> list[Patient]:
    """`count` insured people; the same seed gives the same people."""
    rng = Random(f"people {seed}")
    schemes = _shared(rng, count, [(name, part) for name, part, _ in SCHEMES])
    people = [_patient(rng, index, scheme, start) for index, scheme in enumerate(schemes)]
    return _troubled(rng, people, start, days)


def _shared(rng: Random, count: int, parts: Sequence[tuple[str, float]]) -> list[str]:
    """`count` names in these parts, each at least once, in an order of chance."""
    names = [name for name, part in parts for _ in range(ceil(part * count))]
    names = [*(name for name, _ in parts), *rng.sample(names, len(names))][:count]
    rng.shuffle(names)
    return names


def _patient(rng: Random, index: int, scheme: str, start: date) -> Patient:
    age = rng.choices((rng.randint(18, 39), rng.randint(40, 64), rng.randint(65, 92)), (30, 40, 30))[0]
    born = start - timedelta(days=age * 365 + rng.randint(30, 330))
    woman = rng.random() < 0.52
    pregnant = woman and age < 40 and rng.random() < 0.25
    ald = not pregnant and rng.random() < (0.06 if age < 40 else 0.2 if age < 65 else 0.42)
    holder = _holder(rng, index, scheme, born, woman=woman, ald=ald, pregnant=pregnant)
    children = (_child(rng, holder, start),) if 24 < age < 55 and rng.random() < 0.45 else ()
    profile = _profile(index, scheme, holder, children)
    due = start + timedelta(days=rng.randint(20, 420)) if pregnant else None
    return Patient(index, scheme, profile, ald, due, "", start)


def _holder(
    rng: Random, index: int, scheme: str, born: date, *, woman: bool, ald: bool, pregnant: bool
) -> Person:
    by_dre = rng.random() < 0.35
    covered = scheme != "css" and rng.random() < 0.8
    situation = ssv.SITUATION_ALSACE_MOSELLE if scheme == "alsace-moselle" else ssv.SITUATION_PLAIN
    coverage = [CoverageEntry(_LONG, ald, situation)]
    if pregnant:
        coverage.append(CoverageEntry(_LONG, ald=False, situation=ssv.SITUATION_MATERNITY))
    return Person(
        name=f"TEST-{_letters(index)}",
        first_name="DOMINIQUE",
        birth_date=born,
        birth_rank=1,
        quality="0",
        nir=_nir(index, born, woman=woman),
        address=("1 RUE DU BANC D ESSAI", "99349 TESTVILLE"),
        rights=(_LONG,),
        coverage=tuple(coverage),
        css=_LONG if scheme == "css" else None,
        mutuelle=_mutuelle(rng) if covered and not by_dre else None,
        amc=_amc(rng, index) if covered and by_dre else None,
    )


def _mutuelle(rng: Random) -> MutuelleEntry:
    return MutuelleEntry(rng.choice(INSURERS), rng.choice(CONTRACTS), "01", _LONG)


def _amc(rng: Random, index: int) -> AmcEntry:
    number, contract = rng.choice(BY_DRE), rng.choice(CONTRACTS)
    return AmcEntry(number, f"TESTMEMBER{index}", contract, _IN_THIRD_PARTY, "amc.test", _LONG)


def _child(rng: Random, parent: Person, start: date) -> Person:
    born = start - timedelta(days=rng.randint(90, 15 * 365))
    plain = tuple(replace(cover, ald=False) for cover in parent.coverage[:1])
    return replace(parent, birth_date=born, quality="6", nir="", coverage=plain, first_name="CAMILLE")


def _profile(index: int, scheme: str, holder: Person, children: tuple[Person, ...]) -> InsuredProfile:
    regime, caisse, centre = next(where for name, _, where in SCHEMES if name == scheme)
    return InsuredProfile(
        name=f"year-{index}",
        kind="vitale",
        label="One insured person of a year in a practice",
        nir=holder.nir,
        regime=regime,
        caisse=caisse,
        centre=centre,
        management_code="10",
        ame=False,
        serial=_serial(index, 0),
        valid_from=date(2023, 1, 1),
        valid_to=_LONG.end,
        people=(holder, *children),
    )


def _troubled(rng: Random, people: list[Patient], start: date, days: int) -> list[Patient]:
    """The same people, some of them with one trouble each, from some day of the first two thirds on."""
    free = rng.sample(range(len(people)), len(people))
    for trouble, part in TROUBLES:
        able = [at for at in free if _may_have(people[at], trouble)]
        for at in able[: max(1, round(part * len(people)))]:
            free.remove(at)
            since = start + timedelta(days=rng.randint(days // 12, max(days // 12, days * 2 // 3)))
            people[at] = _with(people[at], trouble, since)
    return people


def _may_have(patient: Patient, trouble: str) -> bool:
    if trouble == CAISSE_NO_ALD:
        return patient.ald
    if trouble == CAISSE_UNKNOWN:
        return patient.scheme in ("general", "alsace-moselle")
    if trouble == INSURER_NOT_LINKED:
        return patient.holder.mutuelle is not None
    return bool(patient.contract) if trouble in _OF_INSURERS else True


def _with(patient: Patient, trouble: str, since: date) -> Patient:
    """What the card itself says of a trouble; the other troubles are in the files of caisse and insurer."""
    profile, before = patient.profile, since - timedelta(days=1)
    if trouble == CARD_RIGHTS_ENDED:
        people = tuple(replace(one, rights=(Period(_LONG.start, before),)) for one in profile.people)
        profile = replace(profile, people=people)
    if trouble == CARD_EXPIRED:
        profile = replace(profile, valid_to=before)
    return replace(patient, profile=profile, trouble=trouble, since=since)


def _nir(index: int, born: date, *, woman: bool) -> str:
    """A number that can belong to nobody: its birth month is 13 to 19."""
    short = f"{2 if woman else 1}{born:%y}{13 + born.month % 7:02d}99{index:06d}"
    return f"{short}{nir_key(short):02d}"


def _serial(index: int, edition: int) -> str:
    return f"9925{edition:02d}77{index:012d}"


def _letters(index: int) -> str:
    """A name of letters alone, another for each index."""
    name = ""
    for _ in range(4):
        index, rest = divmod(index, 26)
        name = chr(65 + rest) + name
    return name
