"""The attestation of rights that an insured person shows when the card cannot be used."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from card.layout import ssv
from card.profile import AmcEntry, MutuelleEntry, Period, Person
from gateway.attestation import Attestation
from tools.scenario.people import Patient

_BEFORE, _AFTER = timedelta(days=60), timedelta(days=300)


def attestation(patient: Patient, on: date) -> Attestation:
    """A paper of this year that says what the caisse knows, whatever the card says."""
    profile = patient.renewed(on).profile
    return Attestation.from_json(
        {
            "insured": {
                "nir": profile.nir,
                "regime": profile.regime,
                "caisse": profile.caisse,
                "centre": profile.centre,
                "management_code": profile.management_code,
            },
            "attestation": _dates(Period(on - _BEFORE, on + _AFTER)),
            "beneficiary": [_person(one) for one in profile.people],
        }
    )


def _person(person: Person) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": person.name,
        "first_name": person.first_name,
        "birth_date": person.birth_date.isoformat(),
        "birth_rank": person.birth_rank,
        "quality": person.quality,
        "address": list(person.address),
        "rights": [_dates(period) for period in person.rights],
        "coverage": [
            {**_dates(one.period), "ald": one.ald, "situation": one.situation or ssv.SITUATION_PLAIN}
            for one in person.coverage
        ],
    }
    if person.nir:
        said["nir"] = person.nir
    if person.css is not None:
        said["css"] = _dates(person.css)
    if person.mutuelle is not None:
        said["mutuelle"] = _cover(person.mutuelle)
    if person.amc is not None:
        said["amc"] = {**_cover(person.amc), "member": person.amc.member, "domain": person.amc.domain}
    return said


def _cover(cover: MutuelleEntry | AmcEntry) -> dict[str, str]:
    words = {"number": cover.number, "contract": cover.contract, "treatment": cover.treatment}
    return {**words, **_dates(cover.period)}


def _dates(period: Period) -> dict[str, str]:
    return {"start": period.start.isoformat(), "end": period.end.isoformat()}
