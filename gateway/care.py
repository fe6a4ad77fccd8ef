"""A care act as the practice's software hands it over, and what the cards add to it."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from card.layout.tree import LayoutError
from gateway.billing import request as billing
from gateway.cards.cps import CpsSession, Situation
from gateway.cards.rights import Beneficiary, Rights
from gateway.errors import CardRefusal, InputError
from gateway.lots.parties import InsuredIds, PractitionerIds

_FIELDS = ("date", "practitioner", "beneficiary", "acts", "pathway", "nature", "third_party")
_LOGICAL_NUMBER = re.compile(r"[0-9]{1,2}")
# INVENTED(proof-by-card): B2 2:58, the nature of the proof of rights: 1 stands for the card.
_PROOF_BY_CARD = "1"


MAX_ACT = 64 * 1024
_PATIENT: Mapping[str, Any] = {"number": 1, "ald": False, "pregnancy_month": None, "last_seen": None}
"""What a care act may say of the patient, the rest is on the card."""


def parse_act(raw: bytes, name: str) -> Mapping[str, Any]:
    """The JSON object of one care act; InputError, which calls the file `name`, when it is not one."""
    if len(raw) > MAX_ACT:
        raise InputError(f"{name}: more than {MAX_ACT} bytes; give one care act per file.")
    try:
        data = json.loads(raw.decode("utf-8-sig"))  # some editors begin a file with a byte order mark
    except (ValueError, RecursionError):
        raise InputError(f"{name}: this is not JSON in UTF-8; write one JSON object.") from None
    if not isinstance(data, dict):
        raise InputError(f"{name}: this is not a JSON object; write one JSON object.")
    return data


@dataclass(frozen=True, slots=True)
class CareAct:
    """What was done, for whom: `number` is the beneficiary's place on the card, counted from 1.

    `ald` says that the care relates to a long illness that the card shows; `situation` is the logical number
    of the practitioner's place of practice on the CPS ("" = the only one, or the first).
    """

    date: datetime.date
    acts: tuple[billing.Act, ...]
    number: int = 1
    ald: bool = False
    pregnancy_month: int | None = None
    situation: str = ""
    pathway: str = "T"
    nature: str = "maladie"
    third_party: str = "none"
    last_seen: datetime.date | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CareAct:
        """Read the body that every entry of the gateway takes; InputError names the first wrong field.

        The form is that of `CareRequest`; what the cards know is left out: `practitioner` may hold
        `situation`, `beneficiary` may hold `number`, `ald`, `pregnancy_month` and `last_seen`.
        """
        if not isinstance(data, Mapping):
            raise InputError("care act: give one JSON object with a date and a list of acts.")
        for name in data:
            if name not in _FIELDS:
                raise InputError(
                    f"{billing.field_name(name)}: unknown field; a care act has {', '.join(_FIELDS)}."
                )
        patient = _part(data, "beneficiary", _PATIENT)
        place = _part(data, "practitioner", {"situation": ""})
        checked = billing.CareRequest.from_json(_with_stand_ins(data, patient))
        return cls(
            date=checked.date,
            acts=checked.acts,
            number=_number(patient["number"]),
            ald=checked.beneficiary.ald,
            pregnancy_month=checked.beneficiary.pregnancy_month,
            situation=_logical_number(place["situation"]),
            pathway=checked.pathway,
            nature=checked.nature,
            third_party=checked.third_party,
            last_seen=checked.beneficiary.last_seen,
        )

    def check_date(self, today: datetime.date) -> None:
        """Refuse care in the future; `today` is the day in France."""
        if self.date > today:
            raise InputError(
                f"date: care on {self.date} is in the future (today is {today}); correct the date."
            )


@dataclass(frozen=True, slots=True)
class Parties:
    """Who takes part, as the cards say: one situation of the practitioner, one beneficiary with rights."""

    cps: CpsSession
    situation: Situation
    rights: Rights
    person: Beneficiary

    @classmethod
    def of(cls, act: CareAct, cps: CpsSession, rights: Rights) -> Parties:
        """Choose situation and beneficiary; InputError or CardRefusal says what the cards do not give."""
        try:
            person = rights.beneficiary(act.number)
        except LayoutError as absent:
            raise InputError(f"beneficiary.number: {absent}; choose one that is on the card.") from None
        if not person.has_rights(act.date):
            raise CardRefusal(
                f"The Vitale shows no open rights for beneficiary {act.number} on {act.date}: "
                "update the card at a kiosk, or bill without the Vitale.",
                code="rights-closed",
            )
        if act.ald and not person.has_ald(act.date):
            raise InputError(
                f"beneficiary.ald: the Vitale shows no long illness for beneficiary {act.number} "
                f"on {act.date}; leave it out, or have the card updated."
            )
        return cls(cps, _situation(cps, act.situation), rights, person)

    def request(self, act: CareAct, *, optam: bool, zone: str) -> billing.CareRequest:
        """The sheet to price: the act, and what the cards say of both parties."""
        on, person = act.date, self.person
        return billing.CareRequest(
            date=on,
            practitioner=billing.Practitioner(
                self.situation.specialty, self.situation.convention, optam, zone
            ),
            beneficiary=billing.Beneficiary(
                birth_date=person.birth_date,
                regime=self.rights.regime,
                alsace_moselle=person.is_alsace_moselle(on),
                ald=act.ald,
                css=person.is_css(on),
                aspa=person.is_aspa(on),
                pregnancy_month=act.pregnancy_month,
                complementary=person.complementary(on),
                last_seen=act.last_seen,
            ),
            acts=act.acts,
            pathway=act.pathway,
            nature=act.nature,
            third_party=act.third_party,
        )

    @property
    def practitioner(self) -> PractitionerIds:
        """The professional as written into the invoice."""
        situation = self.situation
        return PractitionerIds(
            billing_number=situation.identifier,
            national_id=self.cps.holder.national_id,
            name=self.cps.holder.full_name,
            specialty=situation.specialty,
            convention=situation.convention,
            zone=situation.zone,
        )

    def insured(self, on: datetime.date) -> InsuredIds:
        """The insured person and the beneficiary as written into the invoice."""
        rights, person = self.rights, self.person
        mutuelle = person.mutuelle if person.mutuelle is not None and person.mutuelle.includes(on) else None
        return InsuredIds(
            nir=rights.insured_nir,
            nir_key=rights.nir_key,
            regime=rights.regime,
            caisse=rights.caisse,
            centre=rights.centre,
            birth_date=person.birth_date,
            birth_rank=str(person.rank),
            own_nir=person.own_nir,
            own_key=person.own_nir_key,
            proof_nature=_PROOF_BY_CARD,
            proof_date=on,
            complementary_number="" if mutuelle is None else mutuelle.number,
        )


def _part(data: Mapping[str, Any], name: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    part = data.get(name, {})
    if not isinstance(part, Mapping):
        raise InputError(f"{name}: an object is needed here, or nothing.")
    for key in part:
        if key not in defaults:
            raise InputError(
                f"{name}.{billing.field_name(key)}: the card says it; "
                f"a care act may give {', '.join(defaults)}."
            )
    return {**defaults, **part}


def _with_stand_ins(data: Mapping[str, Any], patient: Mapping[str, Any]) -> dict[str, Any]:
    """The act in the form the billing room checks; what the cards will say is filled with neutral values."""
    rights = {
        "birth_date": "0001-01-01",
        "ald": patient["ald"],
        "pregnancy_month": patient["pregnancy_month"],
        "last_seen": patient["last_seen"],
    }
    return {**data, "practitioner": {"specialty": "01", "convention": "1"}, "beneficiary": rights}


def _number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 19:
        return value
    raise InputError("beneficiary.number: give the beneficiary's place on the card, 1 for the first.")


def _logical_number(value: object) -> str:
    if isinstance(value, str) and (not value or _LOGICAL_NUMBER.fullmatch(value)):
        return value
    raise InputError(
        'practitioner.situation: give the situation\'s number on the CPS as a text, such as "1".'
    )


def _situation(cps: CpsSession, wanted: str) -> Situation:
    signing = [s for s in cps.situations if s.may_sign_invoice and s.may_sign_lot]
    usable = [s for s in signing if wanted in ("", s.logical_number)]
    if not usable:
        which = f"situation {wanted}" if wanted else "a situation"
        raise CardRefusal(
            f"The CPS in the {cps.connection.slot_name} slot has not {which} "
            "that may sign invoices and lots: insert another CPS or choose another situation.",
            code="no-situation",
        )
    return usable[0]
