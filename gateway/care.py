"""A care act as the practice's software hands it over, and what the cards add to it."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from card.layout.tree import LayoutError
from gateway.attestation import Attestation
from gateway.billing import request as billing
from gateway.billing.json_object import field_name
from gateway.cards.rights import Amc, Beneficiary, Rights
from gateway.entitlement import entitlements
from gateway.errors import CardRefusal, InputError
from gateway.lots import modes
from gateway.lots.parties import InsuredIds, PractitionerIds
from gateway.places import Place

_ACT_FIELDS = ("date", "practitioner", "beneficiary", "acts", "pathway", "nature", "third_party")
_FIELDS = (*_ACT_FIELDS, "mode", "attestation", "complementary", "accident_date")
FOREIGN = "foreign"
"""The field of a care act for somebody insured in another state (abroad.py): on paper, never billed here."""
_LOGICAL_NUMBER = re.compile(r"[0-9]{1,2}")
_PLACE = re.compile(r"[0-9A-Z]{9}")
# INVENTED(proof-by-card): B2 2:58, the nature of the proof of rights: 1 stands for the card.
_PROOF_BY_CARD = "1"
# INVENTED(proof-by-attestation): B2 2:58, the nature of the proof of rights: 2 stands for an attestation.
_PROOF_BY_ATTESTATION = "2"
# INVENTED(css-contract-types): B2 2:117, the type of contract: 81 a CSS without, 82 one with contribution.
_CSS_FREE, _CSS_CONTRIBUTION = "81", "82"

MODE_CODES = {
    "secured": modes.SECURED,
    "desynchronised": modes.DESYNCHRONISED,
    "without-vitale": modes.WITHOUT_VITALE,
    "degraded": modes.DEGRADED,
}
"""The words of a care act for the securing modes (billing facts 1.2)."""
_ON_PAPER = ("without-vitale", "degraded")
COMPLEMENTARIES = ("", "mutuelle", "amc")


MAX_ACT = 64 * 1024
_PATIENT: Mapping[str, Any] = {
    "number": 1, "ald": False, "pregnancy_month": None, "last_seen": None, "billed_this_year": None,
}  # fmt: skip
"""What a care act may say of the patient, the rest is on the card."""


def parse_act(raw: bytes, name: str) -> Mapping[str, Any]:
    """The JSON object of one care act; InputError, which calls the file `name`, when it is not one."""
    if len(raw) > MAX_ACT:
        raise InputError(f"{name}: more than {MAX_ACT} bytes; give one care act per file.")
    try:
        text = raw.decode("utf-8-sig")  # some editors begin a file with a byte order mark
        data = json.loads(text, object_pairs_hook=partial(_once_each, name))
    except (ValueError, RecursionError):
        raise InputError(f"{name}: this is not JSON in UTF-8; write one JSON object.") from None
    if not isinstance(data, dict):
        raise InputError(f"{name}: this is not a JSON object; write one JSON object.")
    return data


def _once_each(name: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose fields are there once: of two amounts under one name neither is meant for sure."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [field for field, _ in pairs]
        twice = next(field for field in names if names.count(field) > 1)
        raise InputError(
            f"{name}: the field {twice[:40]!r} is there twice in one object; leave one of them out."
        )
    return found


def cards_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Which cards a care act asks for, from its mode alone; the rest of it is not looked at."""
    mode = data.get("mode") or ("without-vitale" if data.get("attestation") else "secured")
    needed = {"degraded": (), "without-vitale": ("cps",)}
    return needed.get(mode, ("cps", "vitale")) if isinstance(mode, str) else ("cps", "vitale")


@dataclass(frozen=True, slots=True)
class CareAct:
    """What was done, for whom: `number` is the beneficiary's place on the card, counted from 1.

    `ald` says that the care relates to a long illness that the card shows; `situation` is the logical number
    of the practitioner's place of practice on the CPS ("" = the only one, or the first); `place` names by its
    nine digits a place whose CPS may be away. `mode` is a word of MODE_CODES; without a Vitale an
    `attestation` shows the rights. `complementary`: which of two covers counts, "" = the mutuelle.
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
    place: str = ""
    mode: str = "secured"
    complementary: str = ""
    attestation: Attestation | None = None
    billed_this_year: tuple[tuple[str, int], ...] | None = None
    accident_date: datetime.date | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CareAct:
        """Read the body that every entry of the gateway takes; InputError names the first wrong field.

        The form is that of `CareRequest`; what the cards know is left out: `practitioner` may hold
        `situation` or `place`, `beneficiary` may hold `number`, `ald`, `pregnancy_month`, `last_seen`
        and `billed_this_year`.
        """
        if not isinstance(data, Mapping):
            raise InputError("care act: give one JSON object with a date and a list of acts.")
        if data.get(FOREIGN) is not None:
            raise CardRefusal(
                "A person insured in another state has no electronic sheet: print the paper one with "
                "vitale-gateway abroad ACT.json, and bill nothing.",
                code="paper-only",
            )
        for name in data:
            if name not in _FIELDS:
                raise InputError(f"{field_name(name)}: unknown field; a care act has {', '.join(_FIELDS)}.")
        patient = _part(data, "beneficiary", _PATIENT)
        place = _part(data, "practitioner", {"situation": "", "place": ""})
        attestation = Attestation.from_json(data["attestation"]) if data.get("attestation") else None
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
            place=_place(place["place"]),
            mode=_mode(data.get("mode"), attestation),
            complementary=_one_of(data, "complementary", COMPLEMENTARIES),
            attestation=attestation,
            billed_this_year=checked.beneficiary.billed_this_year,
            accident_date=_accident(data.get("accident_date"), checked),
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON form: `CareAct.from_json(act.to_json()) == act`."""
        last_seen = None if self.last_seen is None else self.last_seen.isoformat()
        patient = {
            "number": self.number,
            "ald": self.ald,
            "pregnancy_month": self.pregnancy_month,
            "last_seen": last_seen,
            "billed_this_year": None if self.billed_this_year is None else dict(self.billed_this_year),
        }
        return {
            "date": self.date.isoformat(),
            "acts": [asdict(act) | {"coefficient": str(act.coefficient)} for act in self.acts],
            "practitioner": {"situation": self.situation, "place": self.place},
            "beneficiary": patient,
            "attestation": None if self.attestation is None else dict(self.attestation.source),
            "accident_date": None if self.accident_date is None else self.accident_date.isoformat(),
            **{name: getattr(self, name) for name in _SAME},
        }

    @property
    def mode_code(self) -> int:
        """The code of the securing mode."""
        return MODE_CODES[self.mode]

    @property
    def needs_vitale(self) -> bool:
        """Whether the patient's card has to be there."""
        return self.mode not in _ON_PAPER

    def check_date(self, today: datetime.date) -> None:
        """Refuse care in the future; `today` is the day in France."""
        if self.date > today:
            raise InputError(
                f"date: care on {self.date} is in the future (today is {today}); correct the date."
            )


@dataclass(frozen=True, slots=True)
class Parties:
    """Who takes part, as the cards say: one place of practice, one beneficiary with rights.

    `by_card`: a Vitale shows the rights, not an attestation. `ame`: state medical aid.
    """

    place: Place
    rights: Rights
    person: Beneficiary
    by_card: bool = True
    ame: bool = False

    @classmethod
    def on_paper(cls, act: CareAct, place: Place, attestation: Attestation) -> Parties:
        """The same from an attestation of rights."""
        attestation.check(act.date)
        parties = cls.of(act, place, attestation.rights)
        return replace(parties, by_card=False, ame=attestation.ame)

    @classmethod
    def of(cls, act: CareAct, place: Place, rights: Rights) -> Parties:
        """Choose the beneficiary; InputError or CardRefusal says what the cards do not give."""
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
        return cls(place, rights, person)

    def request(self, act: CareAct, *, optam: bool, zone: str) -> billing.CareRequest:
        """The sheet to price: the act, and what the cards say of both parties."""
        on, person = act.date, self.person
        return billing.CareRequest(
            date=on,
            practitioner=billing.Practitioner(
                self.practitioner.specialty, self.practitioner.convention, optam, zone
            ),
            beneficiary=billing.Beneficiary(
                birth_date=person.birth_date,
                regime=self.rights.regime,
                alsace_moselle=person.is_alsace_moselle(on),
                ald=act.ald,
                css=person.is_css(on),
                css_contribution=person.has_css_contribution(on),
                css_insurer=person.is_css_of_insurer(on),
                ame=self.ame,
                aspa=person.is_aspa(on),
                pregnancy_month=act.pregnancy_month,
                complementary=self._contract(act),
                last_seen=act.last_seen,
                exemptions=tuple(one for one in entitlements(person) if one.kind == "maternity"),
                billed_this_year=act.billed_this_year,
            ),
            acts=act.acts,
            pathway=act.pathway,
            nature=act.nature,
            third_party=act.third_party,
        )

    @property
    def practitioner(self) -> PractitionerIds:
        """The professional as written into the invoice."""
        return self.place.practitioner

    def insurer(self, act: CareAct) -> Amc | None:
        """The insurer with a flow of its own (group 109), when it is the cover that counts.

        Under a solidarity cover that the compulsory scheme runs (104.15 is 01), the caisse pays both shares;
        under one that an insurer runs (02, 03), that insurer counts before any mutuelle.
        """
        amc, mutuelle, on = self.person.amc, self.person.mutuelle, act.date
        if amc is None or not amc.includes(on):
            return None
        if self.person.is_css(on):
            return amc if self.person.is_css_of_insurer(on) else None
        if act.complementary == "mutuelle":
            return None
        first = mutuelle is not None and mutuelle.includes(on) and act.complementary != "amc"
        return None if first else amc

    def _contract(self, act: CareAct) -> str | None:
        amc = self.insurer(act)
        if amc is not None:
            return amc.services or amc.b2_number
        mutuelle = self.person.mutuelle
        if mutuelle is None or not mutuelle.includes(act.date) or act.complementary == "amc":
            return None
        return mutuelle.guarantees or mutuelle.number

    def _cover_number(self, act: CareAct) -> str:
        amc, mutuelle = self.insurer(act), self.person.mutuelle
        if amc is not None:
            return amc.b2_number
        return mutuelle.number if mutuelle is not None and self._contract(act) else ""

    def insured(self, act: CareAct) -> InsuredIds:
        """The insured person and the beneficiary as written into the invoice."""
        rights, person = self.rights, self.person
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
            proof_nature=_PROOF_BY_CARD if self.by_card else _PROOF_BY_ATTESTATION,
            proof_date=act.date,
            contract_type=self._contract_type(act.date),
            complementary_number=self._cover_number(act),
        )

    def _contract_type(self, on: datetime.date) -> str:
        if not self.person.is_css(on):
            return ""
        return _CSS_CONTRIBUTION if self.person.has_css_contribution(on) else _CSS_FREE


_SAME = ("pathway", "nature", "third_party", "mode", "complementary")
"""What a care act has under the same name, and as the same text, in JSON."""


def _part(data: Mapping[str, Any], name: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    part = data.get(name, {})
    if not isinstance(part, Mapping):
        raise InputError(f"{name}: an object is needed here, or nothing.")
    for key in part:
        if key not in defaults:
            raise InputError(
                f"{name}.{field_name(key)}: the card says it; a care act may give {', '.join(defaults)}."
            )
    return {**defaults, **part}


def _accident(given: object, checked: billing.CareRequest) -> datetime.date | None:
    """The day of the accident that the care is for (B2 86-94)."""
    if given is None:
        return None
    if checked.nature != "at":
        raise InputError("accident_date: only care of nature at has one; leave it out, or say nature at.")
    try:
        day = datetime.date.fromisoformat(given) if isinstance(given, str) and len(given) == 10 else None
    except ValueError:
        day = None
    if day is None:
        raise InputError("accident_date: write it as YYYY-MM-DD.")
    if day > checked.date:
        raise InputError("accident_date: the accident is after the care; correct one of the two days.")
    return day


def _with_stand_ins(data: Mapping[str, Any], patient: Mapping[str, Any]) -> dict[str, Any]:
    """The act in the form the billing room checks; what the cards will say is filled with neutral values."""
    rights = {
        "birth_date": "0001-01-01",
        "ald": patient["ald"],
        "pregnancy_month": patient["pregnancy_month"],
        "last_seen": patient["last_seen"],
        "billed_this_year": patient["billed_this_year"],
    }
    care = {name: value for name, value in data.items() if name in _ACT_FIELDS}
    return {**care, "practitioner": {"specialty": "01", "convention": "1"}, "beneficiary": rights}


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


def _place(value: object) -> str:
    if isinstance(value, str) and (not value or _PLACE.fullmatch(value)):
        return value
    raise InputError("practitioner.place: give the billing number of the place, nine digits as a text.")


def _one_of(data: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = data.get(name) or ""
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{name}: use one of {', '.join(filter(None, allowed))}, or leave it out.")
    return value


def _mode(value: object, attestation: Attestation | None) -> str:
    """The mode asked for; an attestation alone means that there is no Vitale."""
    mode = value or ("without-vitale" if attestation is not None else "secured")
    if not isinstance(mode, str) or mode not in MODE_CODES:
        raise InputError(f"mode: use one of {', '.join(MODE_CODES)}, or leave it out.")
    if (mode in _ON_PAPER) != (attestation is not None):
        need = "needs an attestation of rights" if mode in _ON_PAPER else "takes no attestation"
        raise InputError(f"attestation: a sheet of mode {mode} {need}; correct mode or attestation.")
    return mode
