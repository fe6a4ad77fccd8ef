"""Who comes on a day, and for what: by seed, season and day of the week, on days when a practice is open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from gateway.billing.request import Act
from gateway.exchange.calendar import holidays, is_working_day
from tools.scenario.people import Patient

GP, NURSE, PHARMACY = "gp", "nurse", "pharmacy"

_YEARLY = {GP: 4.6, NURSE: 2.4, PHARMACY: 3.0}
"""Visits for each card and year; the pharmacy has besides those who come from the doctor."""
_SEASON = (1.28, 1.22, 1.08, 0.98, 0.94, 0.9, 0.82, 0.66, 0.98, 1.04, 1.06, 1.16)
"""January to December: epidemics in winter, holidays in August."""
_PRESCRIBED = 0.72
_WITHDRAWN = "3400949444137"
"""A medicine that the tables take off the list on 1 August 2025."""
_BOXES = (
    ("3400936485464", "HD7", 30), ("3400936145825", "HD7", 18), ("3400939725192", "HD7", 14),
    ("3400936963504", "HD7", 6), ("3400936820982", "HD7", 12), ("3400937016254", "HG7", 10),
    ("3400922108711", "HD7", 1), ("3400930168592", "HD4", 6), ("3400933783310", "HD4", 8),
    ("3400938415797", "HD4", 6), ("3400949215539", "HD2", 5), ("3400949497294", "HD1", 1),
    (_WITHDRAWN, "HD7", 4),
)  # fmt: skip
"""Medicine, the fee for its box, and how often it is given."""
_CODES, _FEES, _OFTEN = zip(*_BOXES, strict=True)
_OUT_OF_PATHWAY = 0.04


@dataclass(frozen=True)
class Visit:
    """One care act to come: `person` counts from 1 on the card. `third_party`: what is asked for."""

    where: str
    patient: int
    acts: tuple[Act, ...]
    third_party: str
    person: int = 1
    ald: bool = False
    pregnancy_month: int | None = None
    pathway: str = "T"


def is_open(where: str, day: date) -> bool:
    """The pharmacy is open on Saturdays too."""
    saturday = where == PHARMACY and day.weekday() == 5 and day not in holidays(day.year)
    return saturday or is_working_day(day)


class Diary:
    """Gives the visits of any day; each day has a chance of its own, so that days can be asked alone."""

    def __init__(self, seed: int, people: Sequence[Patient]) -> None:
        self._seed, self._people = seed, people
        self._sizes = {where: yearly * len(people) for where, yearly in _YEARLY.items()}

    def visits(self, day: date) -> list[Visit]:
        """The visits of one day, in the order in which they come."""
        rng = Random(f"care {self._seed} {day}")
        found: list[Visit] = []
        for where in (GP, NURSE, PHARMACY):
            if is_open(where, day):
                found += [self._visit(rng, where, at, day) for at in self._who(rng, where, day)]
        prescribed = [visit for visit in found if visit.where == GP and rng.random() < _PRESCRIBED]
        if is_open(PHARMACY, day):
            found += [self._dispensed(rng, visit, day) for visit in prescribed]
        return found

    def _who(self, rng: Random, where: str, day: date) -> list[int]:
        """So many people as the season brings, those who need most care most often."""
        open_days = 300 if where == PHARMACY else 252
        expected = (
            self._sizes[where] / open_days * _SEASON[day.month - 1] * (1.2 if day.weekday() == 0 else 0.95)
        )
        count = int(expected * rng.uniform(0.6, 1.4) + rng.random())
        return rng.choices(range(len(self._people)), [_need(one, where) for one in self._people], k=count)

    def _visit(self, rng: Random, where: str, at: int, day: date) -> Visit:
        patient = self._people[at]
        if where == GP:
            return self._consultation(rng, patient, day)
        acts = _nursing(rng) if where == NURSE else _medicines(rng)
        return _at(rng, where, patient, day, acts)

    def _consultation(self, rng: Random, patient: Patient, day: date) -> Visit:
        person = len(patient.profile.people) if rng.random() < 0.4 else 1
        born = patient.profile.people[person - 1].birth_date
        small = (day - born).days < 6 * 365 - 2
        acts = (Act("G"), Act("MEG")) if small else (Act("G"),)
        out = rng.random() < _OUT_OF_PATHWAY and not small
        return _at(rng, GP, patient, day, acts, person, "S1" if out else "T")

    def _dispensed(self, rng: Random, visit: Visit, day: date) -> Visit:
        patient = self._people[visit.patient]
        return _at(rng, PHARMACY, patient, day, _medicines(rng), visit.person)


def _need(patient: Patient, where: str) -> float:
    """How much more often than others this person comes."""
    old = 2.0 if patient.age(date(2025, 6, 30)) >= 65 else 1.0
    if where == NURSE:
        return old**2 * (2.5 if patient.ald else 1.0)
    return old * (1.8 if patient.ald else 1.0) * (1.5 if patient.due else 1.0)


def _at(
    rng: Random,
    where: str,
    patient: Patient,
    day: date,
    acts: tuple[Act, ...],
    person: int = 1,
    pathway: str = "T",
) -> Visit:
    holder = person == 1
    month = _pregnancy_month(patient, day) if holder else None
    related = patient.ald and holder and rng.random() < 0.7
    return Visit(
        where, patient.index, acts, _third_party(rng, where, patient), person,
        related, month, pathway,
    )  # fmt: skip


def _third_party(rng: Random, where: str, patient: Patient) -> str:
    """What is asked at the desk: seldom anything at the doctor's, nearly always at the pharmacy."""
    full, amo = {GP: (0.04, 0.14), NURSE: (0.35, 0.5), PHARMACY: (0.86, 0.1)}[where]
    chance = rng.random()
    if patient.contract and chance < full:
        return "full"
    return "amo" if chance < full + amo else "none"


def _pregnancy_month(patient: Patient, day: date) -> int | None:
    """The month of a pregnancy (1 to 9), None when there is none on this day."""
    if patient.due is None or not timedelta(0) <= patient.due - day <= timedelta(days=270):
        return None
    return 9 - min(8, (patient.due - day).days // 30)


def _nursing(rng: Random) -> tuple[Act, ...]:
    kind = rng.random()
    if kind < 0.3:
        return (Act("AIS", 1, Decimal(3)), Act("IFD"))
    acts = (Act("AMI", 1, rng.choice((Decimal("1.5"), Decimal(2), Decimal("2.5"), Decimal(4)))),)
    return (*acts, Act("IFD")) if kind < 0.7 else acts


def _medicines(rng: Random) -> tuple[Act, ...]:
    """One to four medicines with the fee of their boxes, and the fee of the prescription."""
    chosen = dict.fromkeys(rng.choices(range(len(_BOXES)), _OFTEN, k=rng.choice((1, 2, 2, 3, 4))))
    return (*_boxes(rng, list(chosen)), Act("HDR"))


def _boxes(rng: Random, chosen: list[int]) -> Iterator[Act]:
    fees: dict[str, int] = {}
    for at in chosen:
        boxes = rng.choice((1, 1, 1, 2, 3))
        fees[_FEES[at]] = fees.get(_FEES[at], 0) + boxes
        yield Act(_CODES[at], boxes)
    for fee, boxes in fees.items():
        yield Act(fee, boxes)
