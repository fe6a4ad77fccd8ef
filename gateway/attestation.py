"""An attestation of rights: what stands in for a Vitale that is not there, as JSON in a care act.

    {"insured": {"nir": "…", "regime": "01", "caisse": "349", "centre": "0349", "management_code": "10"},
     "attestation": {"start": "2026-01-01", "end": "2026-12-31"}, "ame": true,
     "beneficiary": [{"name": "…", "first_name": "…", "birth_date": "1979-04-04", "birth_rank": 1,
                      "quality": "0", "nir": "…", "address": ["…"],
                      "rights": [{"start": "…", "end": "…"}],
                      "coverage": [{"start": "…", "end": "…", "ald": true, "situation": "0200"}],
                      "css": {"start": "…", "end": "…", "run_by": "amo", "contribution": false},
                      "mutuelle": {"number": "…", "contract": "tm100", "start": "…", "end": "…"},
                      "amc": {"number": "…", "member": "…", "contract": "tm100", "treatment": "22", …}}]}

This is the form of the card profiles (kind "attestation"). It becomes the same `Rights` as a card gives, so
that everything behind it is the same. No refusal repeats a value: it could be a NIR or a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NoReturn

from card.layout import ssv
from card.layout.nir import NirError, check_nir
from gateway.billing.json_object import field_name
from gateway.cards.rights import Amc, AmoService, Beneficiary, Coverage, Mutuelle, Period, Rights
from gateway.errors import CardRefusal, InputError

MOST_PEOPLE = 19
MOST_PERIODS = 20
MOST_LINES = 5
_IGNORED = ("kind", "label")
"""What a card profile has beside what an attestation says."""


# INVENTED(attestation-form): an attestation of rights is paper; its JSON is the form of the card profiles.
@dataclass(frozen=True, slots=True)
class Attestation:
    """The rights that the paper shows, and the days on which it does; `ame`: state medical aid."""

    rights: Rights = field(repr=False)
    valid: Period
    ame: bool
    source: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, data: object) -> Attestation:
        """Read the JSON form; InputError names the first field that is wrong."""
        whole = _Part(data, "attestation", ("insured", "attestation", "ame", "beneficiary", *_IGNORED))
        people = whole.parts("beneficiary", _PERSON, MOST_PEOPLE)
        if not people:
            whole.fail("beneficiary", "at least one beneficiary")
        insured = whole.part("insured", ("nir", "regime", "caisse", "centre", "management_code"))
        valid = whole.part("attestation", ("start", "end")).period()
        source = {name: value for name, value in whole.data.items() if name not in _IGNORED}
        return cls(_rights(insured, people), valid, whole.flag("ame"), source)

    def check(self, on: date) -> None:
        """Raise CardRefusal (attestation-expired) when the paper does not cover this day."""
        if not self.valid.includes(on):
            raise CardRefusal(
                f"The attestation of rights does not cover {on}: ask the patient for a newer one.",
                code="attestation-expired",
            )


_DATES = ("start", "end")
_RUN_CSS = ("amo", "convention", "insurer")
_PERSON = (
    "name", "first_name", "birth_date", "birth_rank", "quality", "nir", "address", "rights", "coverage",
    "css", "mutuelle", "amc",
)  # fmt: skip


def _rights(insured: _Part, people: Sequence[_Part]) -> Rights:
    nir = insured.nir("nir")
    return Rights(
        card_type="",
        serial="",
        validity_end=None,
        insured_nir=nir[:13],
        nir_key=nir[13:],
        regime=insured.digits("regime", 2),
        caisse=insured.digits("caisse", 3),
        centre=insured.digits("centre", 4),
        management_code=insured.text("management_code", ""),
        beneficiaries=tuple(map(_beneficiary, people)),
    )


def _beneficiary(person: _Part) -> Beneficiary:
    own = person.nir("nir") if person.has("nir") else ""
    css = person.part("css", (*_DATES, "run_by", "contribution")) if person.has("css") else None
    return Beneficiary(
        name=person.text("name"),
        first_name=person.text("first_name"),
        birth_date=person.day("birth_date"),
        rank=person.whole("birth_rank", 1),
        quality=person.text("quality", "0"),
        own_nir=own[:13],
        own_nir_key=own[13:],
        amo_service=AmoService(ssv.AMO_SERVICE_NONE, None, None) if css is None else _css(css),
        rights=tuple(one.period() for one in person.parts("rights", _DATES, MOST_PERIODS)),
        coverage=tuple(map(_coverage, person.parts("coverage", (*_DATES, "ald", "situation"), MOST_PERIODS))),
        mutuelle=_mutuelle(person) if person.has("mutuelle") else None,
        amc=_amc(person) if person.has("amc") else None,
        address=person.texts("address", MOST_LINES),
    )


def _css(part: _Part) -> AmoService:
    period, run_by = part.period(), part.text("run_by", "amo")
    if run_by not in _RUN_CSS:
        part.fail("run_by", f"one of {', '.join(_RUN_CSS)}")
    code = ssv.css_service(run_by, contribution=part.flag("contribution"))
    return AmoService(code, period.start, period.end)


def _coverage(part: _Part) -> Coverage:
    period = part.period()
    ald = ssv.ALD_EXEMPTING if part.flag("ald") else ssv.ALD_NONE
    situation = part.text("situation", ssv.SITUATION_PLAIN)
    if situation not in ssv.SITUATIONS:
        part.fail("situation", f"one of {', '.join(ssv.SITUATIONS)}")
    return Coverage(period.start, period.end, ald, situation)


def _mutuelle(person: _Part) -> Mutuelle:
    part = person.part("mutuelle", ("number", "contract", "treatment", *_DATES))
    return Mutuelle(
        number=part.digits("number", 8, 10),
        guarantees=part.text("contract"),
        treatment=part.text("treatment", "01"),
        service_type="",
        services="",
        sts_switch="",
        periods=(part.period(),),
    )


def _amc(person: _Part) -> Amc:
    part = person.part("amc", ("number", "member", "contract", "treatment", "domain", *_DATES))
    period, number = part.period(), part.digits("number", 8, 10)
    return Amc(
        b2_number=number,
        edi_number=number,
        member_number=part.text("member", ""),
        treatment=part.text("treatment", "00"),
        start=period.start,
        end=period.end,
        routing="",
        host="",
        domain=part.text("domain", ""),
        sts_switch="",
        service_type="",
        services=part.text("contract"),
    )


class _Part:
    """One object of the attestation; every refusal names the path of the field and what is wanted."""

    def __init__(self, data: object, path: str, known: Sequence[str]) -> None:
        self.path = path
        if not isinstance(data, Mapping):
            raise InputError(f"{path}: a JSON object is needed here.")
        for name in data:
            if name not in known:
                raise InputError(f"{path}.{field_name(name)}: unknown field; use {', '.join(known)}.")
        self.data: Mapping[str, Any] = data

    def fail(self, name: str, wanted: str) -> NoReturn:
        raise InputError(f"{self.path}.{name}: give {wanted}.")

    def has(self, name: str) -> bool:
        return self.data.get(name) is not None

    def part(self, name: str, known: Sequence[str]) -> _Part:
        return _Part(self.data.get(name), f"{self.path}.{name}", known)

    def parts(self, name: str, known: Sequence[str], most: int) -> list[_Part]:
        value = self.data.get(name, [])
        if not isinstance(value, list | tuple) or len(value) > most:
            self.fail(name, f"a list of at most {most}")
        return [_Part(one, f"{self.path}.{name}[{at}]", known) for at, one in enumerate(value)]

    def text(self, name: str, default: str | None = None) -> str:
        value = self.data.get(name, default)
        return value if isinstance(value, str) and len(value) <= 80 else self.fail(name, "a text")

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        value = self.data.get(name) or []
        known = isinstance(value, list | tuple) and len(value) <= most
        if not known or not all(isinstance(one, str) and len(one) <= 80 for one in value):
            self.fail(name, f"a list of at most {most} texts")
        return tuple(value)

    def digits(self, name: str, *lengths: int) -> str:
        value = self.text(name, "")
        if not (value.isascii() and value.isdigit() and len(value) in lengths):
            self.fail(name, f"{' or '.join(map(str, lengths))} digits, as a text")
        return value

    def nir(self, name: str) -> str:
        try:
            return check_nir(self.text(name, ""))
        except NirError:
            self.fail(name, "the NIR with its key, 15 characters, as the attestation prints it")

    def flag(self, name: str) -> bool:
        value = self.data.get(name, False)
        return value if isinstance(value, bool) else self.fail(name, "true or false")

    def whole(self, name: str, default: int) -> int:
        value = self.data.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 9:
            self.fail(name, "1 to 9")
        return value

    def day(self, name: str) -> date:
        try:
            return date.fromisoformat(self.text(name, ""))
        except ValueError:
            self.fail(name, "a date as YYYY-MM-DD")

    def period(self) -> Period:
        """`start` and `end`; one that is not given is open."""
        found = [self.day(name) if self.has(name) else None for name in _DATES]
        return Period(*found)
