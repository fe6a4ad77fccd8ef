"""The form of a sheet: fields of a browser to the care act that every entry of the gateway takes, and back.

Nothing is judged here but what a field of text can get wrong (a number, an amount); `CareAct` and the price
are the judges, and what they refuse names the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from gateway.billing.request import MAX_ACTS
from gateway.errors import InputError
from gateway.page.words import typed

MODES = ("secured", "desynchronised", "without-vitale", "degraded")
ON_PAPER = ("without-vitale", "degraded")
_LINE = re.compile(r"a([0-9]{1,2})-([a-z]+)")
_CODES = re.compile(r"[A-Z0-9]{1,13}")
_NIR_LENGTH = 15
_ATTESTATION = (
    "nir", "regime", "caisse", "centre", "gestion", "debut", "fin", "ame", "nom", "prenom", "naissance",
    "rang", "qualite", "ald", "css", "mutuelle", "contrat",
)  # fmt: skip


@dataclass(frozen=True)
class ActLine:
    """One act as typed; `montant` in euros, "" for the tariff."""

    code: str = ""
    quantite: str = "1"
    coefficient: str = ""
    montant: str = ""
    modificateurs: str = ""
    activite: str = ""
    association: str = ""

    @property
    def is_detailed(self) -> bool:
        """Whether more than code and quantity was typed."""
        return bool(
            self.coefficient or self.montant or self.modificateurs or self.activite or self.association
        )

    def to_act(self, at: int) -> dict[str, Any]:
        """The act of a care act; InputError names what is not a number."""
        path = f"acts[{at}]"
        act: dict[str, Any] = {"code": self.code.strip().upper()}
        act["quantity"] = _whole(self.quantite or "1", f"{path}.quantity")
        if self.coefficient.strip():
            act["coefficient"] = _decimal(self.coefficient, f"{path}.coefficient")
        if self.montant.strip():
            act["charged_cents"] = _cents(self.montant, f"{path}.charged_cents")
        if self.activite:
            act["activity"] = self.activite
        if self.modificateurs.strip():
            act["modifiers"] = self.modificateurs.strip().upper()
        if self.association:
            act["association"] = _whole(self.association, f"{path}.association")
        return act

    @classmethod
    def of(cls, act: Mapping[str, Any], language: str) -> ActLine:
        """An act of a care act, as it stands in the form."""
        charged, coefficient = act.get("charged_cents"), str(act.get("coefficient", "1"))
        return cls(
            code=str(act["code"]),
            quantite=str(act.get("quantity", 1)),
            coefficient="" if coefficient == "1" else coefficient,
            montant="" if charged is None else typed(int(charged), language),
            modificateurs=act.get("modifiers") or "",
            activite="" if act.get("activity", "1") == "1" else str(act["activity"]),
            association="" if act.get("association") is None else str(act["association"]),
        )


@dataclass(frozen=True)
class CareForm:
    """Everything typed. `key`: the idempotency key of the sheet that will be made of it."""

    date: str
    key: str = ""
    acts: tuple[ActLine, ...] = (ActLine(),)
    personne: str = "1"
    mode: str = "secured"
    situation: str = ""
    lieu: str = ""
    parcours: str = "T"
    nature: str = "maladie"
    tiers: str = "none"
    couverture: str = ""
    ald: bool = False
    grossesse: str = ""
    vu: str = ""
    accident: str = ""
    attestation: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of_form(cls, form: Mapping[str, str], today: str) -> CareForm:
        """What a browser sent; fields that it left out are as at the beginning."""
        names = (
            "personne", "mode", "situation", "lieu", "parcours", "nature", "tiers", "couverture", "grossesse",
            "vu", "accident",
        )  # fmt: skip
        given = {name: form[name].strip() for name in names if name in form}
        if given.get("mode") not in MODES:
            given["mode"] = "secured"
        return cls(
            date=form.get("date") or today,
            key=form.get("unique", ""),
            acts=_lines(form),
            ald="ald" in form,
            attestation={name: form[f"at-{name}"].strip() for name in _ATTESTATION if f"at-{name}" in form},
            **given,
        )

    @classmethod
    def of_act(cls, act: Mapping[str, Any], language: str) -> CareForm:
        """A care act as kept, as it stands in the form."""
        patient, place = act.get("beneficiary", {}), act.get("practitioner", {})
        return cls(
            date=act["date"],
            acts=tuple(ActLine.of(one, language) for one in act["acts"]),
            personne=str(patient.get("number", 1)),
            mode=act.get("mode") or "secured",
            situation=place.get("situation", ""),
            lieu=place.get("place", ""),
            parcours=act.get("pathway", "T"),
            nature=act.get("nature", "maladie"),
            tiers=act.get("third_party", "none"),
            couverture=act.get("complementary") or "",
            ald=bool(patient.get("ald")),
            grossesse=str(patient.get("pregnancy_month") or ""),
            vu=patient.get("last_seen") or "",
            accident=act.get("accident_date") or "",
            attestation=_typed_attestation(act.get("attestation")),
        )

    def to_act(self) -> dict[str, Any]:
        """The care act; InputError names the first field that is not of its kind."""
        acts = [line.to_act(at) for at, line in enumerate(self.acts) if line.code.strip()]
        if not acts:
            raise InputError("acts: no act was chosen; choose at least one.")
        patient: dict[str, Any] = {"number": _whole(self.personne or "1", "beneficiary.number")}
        if self.ald:
            patient["ald"] = True
        if self.grossesse:
            patient["pregnancy_month"] = _whole(self.grossesse, "beneficiary.pregnancy_month")
        if self.vu:
            patient["last_seen"] = self.vu
        place = {"situation": self.situation, "place": self.lieu}
        act: dict[str, Any] = {
            "date": self.date,
            "acts": acts,
            "beneficiary": patient,
            "practitioner": {name: value for name, value in place.items() if value},
            "pathway": self.parcours,
            "nature": self.nature,
            "third_party": self.tiers,
            "mode": self.mode,
        }
        if self.accident and self.nature == "at":
            act["accident_date"] = self.accident
        if self.couverture:
            act["complementary"] = self.couverture
        if self.mode in ON_PAPER:
            act["beneficiary"] = {**patient, "number": 1}
            act["attestation"] = self._paper()
        return act

    def to_corrected(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        """The care act, with what the form does not show of the one it was filled from."""
        act, patient = self.to_act(), kept.get("beneficiary", {})
        if patient.get("billed_this_year"):
            act["beneficiary"]["billed_this_year"] = patient["billed_this_year"]
        paper = kept.get("attestation")
        if "attestation" in act and paper and _typed_attestation(paper) == dict(self.attestation):
            act["attestation"], act["beneficiary"]["number"] = paper, patient.get("number", 1)
        return act

    def changed(self, do: str, default: ActLine) -> CareForm:
        """The same after a button: `ajouter`, `retirer-N` or `favori-CODE+CODE`."""
        word, _, rest = do.partition("-")
        kept = tuple(line for line in self.acts if line.code.strip())
        if word == "ajouter" and len(kept) < MAX_ACTS:
            return replace(self, acts=(*kept, default))
        if word == "retirer" and re.fullmatch(r"[0-9]{1,2}", rest):
            left = tuple(line for at, line in enumerate(self.acts) if at != int(rest))
            return replace(self, acts=left or (default,))
        if word == "favori":
            return replace(self, acts=lines_of(rest) or self.acts)
        return self

    def _paper(self) -> dict[str, Any]:
        """The attestation, in the form that a care act takes."""
        one = self.attestation
        span = {"start": one.get("debut") or None, "end": one.get("fin") or None}
        person: dict[str, Any] = {
            "name": one.get("nom", ""),
            "first_name": one.get("prenom", ""),
            "birth_date": one.get("naissance", ""),
            "birth_rank": _whole(one.get("rang") or "1", "attestation.beneficiary[0].birth_rank"),
            "quality": one.get("qualite") or "0",
            "rights": [span],
            "coverage": [{**span, "ald": "ald" in one}],
        }
        if "css" in one:
            person["css"] = span
        if one.get("mutuelle"):
            person["mutuelle"] = {
                "number": one["mutuelle"],
                "contract": one.get("contrat") or "tm100",
                **span,
            }
        return {
            "insured": {
                "nir": re.sub(r"[\s.\-]", "", one.get("nir", "")).upper(),
                "regime": one.get("regime", ""),
                "caisse": one.get("caisse", ""),
                "centre": one.get("centre", ""),
                "management_code": one.get("gestion") or "10",
            },
            "attestation": span,
            "ame": "ame" in one,
            "beneficiary": [person],
        }


def lines_of(text: str) -> tuple[ActLine, ...]:
    """`G+MEG` or `AMI:2.5` → lines, with a coefficient behind a colon; what is no code is left out."""
    found = []
    for word in text.replace(" ", "+").split("+")[:MAX_ACTS]:
        code, _, coefficient = word.partition(":")
        if _CODES.fullmatch(code) and re.fullmatch(r"[0-9.]{0,7}", coefficient):
            found.append(ActLine(code=code, coefficient=coefficient))
    return tuple(found)


def _lines(form: Mapping[str, str]) -> tuple[ActLine, ...]:
    lines: dict[int, dict[str, str]] = {}
    for name, value in form.items():
        match = _LINE.fullmatch(name)
        if match and match[2] in ActLine.__dataclass_fields__ and int(match[1]) < MAX_ACTS:
            lines.setdefault(int(match[1]), {})[match[2]] = value.strip()
    return tuple(ActLine(**lines[at]) for at in sorted(lines)) or (ActLine(),)


def _typed_attestation(kept: Mapping[str, Any] | None) -> dict[str, str]:
    if not kept:
        return {}
    insured, span = kept.get("insured", {}), kept.get("attestation", {})
    (person, *_) = kept["beneficiary"]
    found = {
        "nir": insured.get("nir"), "regime": insured.get("regime"), "caisse": insured.get("caisse"),
        "centre": insured.get("centre"), "gestion": insured.get("management_code"),
        "debut": span.get("start"), "fin": span.get("end"), "nom": person.get("name"),
        "prenom": person.get("first_name"), "naissance": person.get("birth_date"),
        "rang": person.get("birth_rank"), "qualite": person.get("quality"),
        "mutuelle": (person.get("mutuelle") or {}).get("number"),
        "contrat": (person.get("mutuelle") or {}).get("contract"),
        "ame": "1" if kept.get("ame") else None, "css": "1" if person.get("css") else None,
        "ald": "1" if any(one.get("ald") for one in person.get("coverage", [])) else None,
    }  # fmt: skip
    return {name: str(value) for name, value in found.items() if value}


def _whole(text: str, path: str) -> int:
    if re.fullmatch(r"[0-9]{1,6}", text.strip()):
        return int(text)
    return _wrong(path, "give a whole number")


def _decimal(text: str, path: str) -> str:
    value = text.strip().replace(",", ".")
    if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,2})?", value):
        return value
    return _wrong(path, "give a number with at most two decimals")


def _cents(text: str, path: str) -> int:
    value = re.sub(r"[\s€]", "", text).replace(",", ".")
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,2})?", value):
        whole, _, rest = value.partition(".")
        return int(whole) * 100 + int(rest.ljust(2, "0"))
    return _wrong(path, "give an amount in euros, such as 35,00")


def _wrong(path: str, wanted: str) -> NoReturn:
    raise InputError(f"{path}: is not usable; {wanted}.")
