"""A person insured in another state: the European card (CEAM) or its provisional replacement certificate.

No electronic sheet is made for them: they have no NIR and no organism here. The care has the tariff and the
rate of the French insured, the pathway does not concern them, and a paper sheet goes to the caisse of the
place of care with a copy of the document (cleiss.fr, venir en France). In a care act:

    {"date": "…", "acts": […], "practitioner": {"place": "…"},
     "foreign": {"document": "ceam", "state": "DE", "name": "…", "first_name": "…", "birth_date": "…",
                 "person": "…", "institution": "…", "card": "…", "end": "…"}}

No refusal repeats a value: it could be a number or a name.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.billing.engine import Price, price
from gateway.billing.json_object import JsonObject
from gateway.billing.request import Beneficiary, CareRequest, Practitioner
from gateway.billing.tables import Tables
from gateway.care import FOREIGN, CareAct
from gateway.errors import CardRefusal, InputError
from gateway.paper import WIDTH, act_lines, amounts
from gateway.places import Place

DOCUMENTS = {"ceam": "CEAM", "certificate": "certificat provisoire de remplacement"}
STATES = frozenset(
    {
        "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "EL", "ES", "FI", "HR", "HU", "IE", "IS", "IT",
        "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
    }
)  # fmt: skip
"""States whose insured show a European card: the EU, Iceland, Liechtenstein, Norway, Switzerland (cleiss)."""
_FIELDS = (
    "document", "state", "name", "first_name", "birth_date", "person", "institution", "card", "start", "end",
)  # fmt: skip
_WORDS = re.compile(r"[^\x00-\x1f\x7f]{1,40}")
_NUMBER = re.compile(r"[0-9A-Za-z ./-]{1,30}")


@dataclass(frozen=True, slots=True)
class ForeignInsured:
    """What the document says, by the fields of the European card: 3 to 9, and the state that issued it.

    `document`: a word of DOCUMENTS. A certificate has a first day, a card only a last one.
    """

    document: str
    state: str
    name: str = field(repr=False)
    first_name: str = field(repr=False)
    birth_date: datetime.date = field(repr=False)
    person: str = field(repr=False)
    institution: str
    card: str = field(repr=False)
    start: datetime.date | None
    end: datetime.date

    @classmethod
    def from_json(cls, data: object) -> ForeignInsured:
        """Read the JSON form; InputError names the first field that is wrong."""
        if not isinstance(data, Mapping):
            raise InputError(f"{FOREIGN}: a JSON object is needed here.")
        reader = JsonObject(data, f"{FOREIGN}.", _FIELDS)
        document = _one_of(reader, "document", tuple(DOCUMENTS))
        state = reader.text("state")
        if state not in STATES:
            raise InputError(
                f"{FOREIGN}.state: two letters of the state that issued the document, such as DE; who is "
                "insured in France has a Vitale or an attestation."
            )
        start = reader.day("start") if data.get("start") is not None else None
        if document == "certificate" and start is None:
            raise InputError(f"{FOREIGN}.start: a certificate has a first day; give it.")
        return cls(
            document=document,
            state=state,
            name=_matched(reader, "name", _WORDS),
            first_name=_matched(reader, "first_name", _WORDS),
            birth_date=reader.day("birth_date"),
            person=_matched(reader, "person", _NUMBER),
            institution=_matched(reader, "institution", _NUMBER),
            card=_matched(reader, "card", _NUMBER) if data.get("card") is not None else "",
            start=start,
            end=reader.day("end"),
        )

    def check(self, on: datetime.date) -> None:
        """Raise CardRefusal (abroad-expired) when the document does not cover this day."""
        if self.end < on or (self.start is not None and self.start > on):
            raise CardRefusal(
                f"The document of the person insured abroad does not cover {on}: ask for a valid card or a "
                "replacement certificate; without one all is paid at the desk and asked for at home.",
                code="abroad-expired",
            )


@dataclass(frozen=True, slots=True)
class PaperAct:
    """One care act for somebody insured abroad."""

    act: CareAct
    insured: ForeignInsured

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PaperAct:
        """Read a care act that has `foreign`; InputError names the first field that is wrong."""
        if not isinstance(data, Mapping) or data.get(FOREIGN) is None:
            raise InputError(f"{FOREIGN}: is missing; give what the European card or its certificate says.")
        for name in ("attestation", "mode", "complementary"):
            if data.get(name):
                raise InputError(
                    f"{name}: not for a person insured abroad, whose sheet is on paper; remove it."
                )
        act = CareAct.from_json({name: value for name, value in data.items() if name != FOREIGN})
        if act.ald or act.number != 1:
            raise InputError("beneficiary: a European card shows one person and no long illness; correct it.")
        return cls(act, ForeignInsured.from_json(data[FOREIGN]))

    def price(self, place: Place, tables: Tables, *, optam: bool, zone: str) -> Price:
        """As for the French insured, out of no pathway; CardRefusal when the document does not cover it."""
        self.insured.check(self.act.date)
        return price(self._request(place, optam=optam, zone=zone), tables)

    def _request(self, place: Place, *, optam: bool, zone: str) -> CareRequest:
        act, who = self.act, place.practitioner
        return CareRequest(
            date=act.date,
            practitioner=Practitioner(who.specialty, who.convention, optam, zone),
            beneficiary=Beneficiary(
                birth_date=self.insured.birth_date,
                foreign=True,
                pregnancy_month=act.pregnancy_month,
                last_seen=act.last_seen,
                billed_this_year=act.billed_this_year,
            ),
            acts=act.acts,
            pathway=act.pathway,
            nature=act.nature,
            third_party=act.third_party,
        )


# INVENTED(foreign-sheet): no public form for the foreign insured; fields of the European card and R161-42.
def paper_sheet(asked: PaperAct, place: Place, priced: Price) -> str:
    """The text for the caisse of the place of care, in French, lines of at most 70 characters."""
    who, insured, act = place.practitioner, asked.insured, asked.act
    since = "" if insured.start is None else f"du {insured.start:%d/%m/%Y} "
    lines = [
        "FEUILLE DE SOINS - ASSURE D'UN AUTRE ETAT (SPECIMEN DE TEST)".center(WIDTH).rstrip(),
        "",
        f"Soins du {act.date:%d/%m/%Y} - papier seulement, aucune télétransmission",
        "",
        f"Professionnel : {who.name}",
        f"                n° {who.billing_number}, spécialité {who.specialty}",
        f"Assuré        : {insured.name} {insured.first_name}",
        f"                né(e) le {insured.birth_date:%d/%m/%Y}",
        f"Document      : {DOCUMENTS[insured.document]}, {insured.state}",
        f"                valable {since}jusqu'au {insured.end:%d/%m/%Y}",
        f"  6 personne    {insured.person}",
        f"  7 institution {insured.institution}",
        f"  8 carte       {insured.card or '-'}",
        "",
        *act_lines(priced),
        "",
        *amounts(priced),
        "",
        "A remettre à la caisse du lieu des soins avec la copie du document,",
        "l'adresse permanente et les références bancaires de l'assuré.",
        "",
        "Signature de l'assuré :                Signature du professionnel :",
        "",
    ]
    return "\n".join(lines)


def _one_of(reader: JsonObject, name: str, words: tuple[str, ...]) -> str:
    value = reader.text(name)
    if value not in words:
        raise InputError(f"{FOREIGN}.{name}: use one of {', '.join(words)}.")
    return value


def _matched(reader: JsonObject, name: str, form: re.Pattern[str]) -> str:
    value = reader.text(name)
    if not form.fullmatch(value):
        raise InputError(f"{FOREIGN}.{name}: is not usable; give it as the document prints it.")
    return value
