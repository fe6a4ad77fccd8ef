"""What is asked: the care, who gave it, who received it. Plain values, checked where they come in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from gateway.billing.exemption import KINDS, Exemption
from gateway.billing.json_object import JsonObject, shown, shown_code
from gateway.errors import InputError

PATHWAYS = ("T", "N", "R", "O", "M", "U", "H", "J", "B", "D", "S1", "S2")
"""Pathway letters (T médecin traitant … S2 not respected); their effect is a row of tables/rights.toml."""
NATURES = ("maladie", "maternite", "at")
THIRD_PARTIES = ("none", "amo", "full")
ZONES = ("metropole", "antilles", "guyane_reunion", "mayotte")

MAX_ACTS = 20
MAX_QUANTITY = 99  # B2 type 4, positions 81-82: two digits
MAX_COEFFICIENT = Decimal("9999.99")  # B2 type 4, positions 83-88: four digits and two decimals
MAX_CENTS = 9_999_999  # B2 type 4, positions 98-104 and 115-121: seven digits

_CODE = re.compile(
    r"[A-Z][A-Z0-9]{0,4}"  # NGAP letters: B2 type 4, positions 76-80
    r"|[A-Z]{4}[0-9]{3}"  # CCAM
    r"|[0-9]{4}|[0-9]{7}"  # NABM (biology), LPP (devices)
    r"|34009[0-9]{8}"  # CIP (medicines)
)
_MODIFIERS = re.compile(r"[A-Z0-9]{0,4}")  # B2 type 4M, positions 59-62
_ACTIVITIES = ("1", "2", "3", "4", "5")
_ASSOCIATIONS = range(1, 6)
_HUNDREDTH = Decimal("0.01")
_OPTIONAL = ("pathway", "nature", "third_party")
_RIGHTS = (
    "alsace_moselle", "ald", "css", "css_contribution", "css_insurer", "acs", "ame", "aspa", "foreign",
)  # fmt: skip
_MOST_EXEMPTIONS = 20
_MOST_COUNTED = 50


@dataclass(frozen=True, slots=True)
class Practitioner:
    """The billing situation of who gave the care (specialty G100, convention G101, tariff zone)."""

    specialty: str = "01"
    convention: str = "1"
    optam: bool = False
    zone: str = "metropole"


@dataclass(frozen=True, slots=True)
class Beneficiary:
    """The rights that change the price. No identity here: nothing in this room can name a person.

    `css_contribution`, `css_insurer`: with `css`, the person contributes; an insurer runs it, not the caisse.
    `foreign`: insured in another state (European card or its replacement certificate), on paper only.
    `exemptions`: rights with their dates, beside the flags; one that does not hold on the day is not counted.
    `last_seen`: the last day the practitioner saw the patient in person (teleconsultations); None = not said.
    `billed_this_year`: acts the practitioner has billed for this patient since 1 January; None = not said.
    """

    birth_date: date = field(repr=False)
    regime: str = "01"
    alsace_moselle: bool = False
    ald: bool = False
    css: bool = False
    ame: bool = False
    aspa: bool = False
    pregnancy_month: int | None = None
    complementary: str | None = None
    last_seen: date | None = field(default=None, repr=False)
    css_contribution: bool = False
    css_insurer: bool = False
    acs: bool = False
    foreign: bool = False
    exemptions: tuple[Exemption, ...] = ()
    billed_this_year: tuple[tuple[str, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the sheet. `charged_cents` is what is asked for the whole line; None = the tariff.

    `code`: NGAP letters, or a CCAM, NABM, LPP or CIP code. Only for CCAM: `activity`, `modifiers` (up to
    four, all in one text) and `association` (1 to 5; None = the rule is applied).
    """

    code: str
    quantity: int = 1
    coefficient: Decimal = Decimal(1)
    charged_cents: int | None = None
    activity: str = "1"
    modifiers: str = ""
    association: int | None = None

    @property
    def is_ccam(self) -> bool:
        """True when the code has the form of CCAM: four letters and three digits."""
        return len(self.code) == 7 and self.code[0].isalpha()


@dataclass(frozen=True, slots=True)
class CareRequest:
    """One sheet to price: everything `price` needs beside the dated tables."""

    date: date
    practitioner: Practitioner
    beneficiary: Beneficiary
    acts: tuple[Act, ...]
    pathway: str = "T"
    nature: str = "maladie"
    third_party: str = "none"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CareRequest:
        """Read the JSON form; raises InputError naming the first field that is wrong."""
        reader = JsonObject(data, "", ("date", "practitioner", "beneficiary", "acts", *_OPTIONAL))
        request = cls(
            date=reader.day("date"),
            practitioner=_practitioner(reader.mapping("practitioner")),
            beneficiary=_beneficiary(reader.mapping("beneficiary")),
            acts=tuple(_act(item, index) for index, item in enumerate(reader.items("acts"))),
            **{name: reader.text(name) for name in _OPTIONAL if name in data},
        )
        check(request)
        return request

    def to_json(self) -> dict[str, Any]:
        """The JSON form, without what says nothing on most sheets: `from_json(r.to_json()) == r`."""
        whole = asdict(self)
        whole["date"] = self.date.isoformat()
        whole["beneficiary"] = _beneficiary_json(self.beneficiary)
        whole["acts"] = [
            _without_defaults({**act, "coefficient": str(act["coefficient"])}, _CCAM_DEFAULTS)
            for act in whole["acts"]
        ]
        return whole


_CCAM_DEFAULTS = {"activity": "1", "modifiers": "", "association": None}
_SELDOM = {
    "last_seen": None, "css_contribution": False, "css_insurer": False, "acs": False, "foreign": False,
    "exemptions": (), "billed_this_year": None,
}  # fmt: skip
"""What most sheets say nothing of, and the JSON form leaves out then."""


def _beneficiary_json(person: Beneficiary) -> dict[str, Any]:
    whole = _without_defaults(asdict(person), _SELDOM)
    for name in ("birth_date", "last_seen"):
        if name in whole:
            whole[name] = whole[name].isoformat()
    if "exemptions" in whole:
        whole["exemptions"] = [_exemption_json(one) for one in person.exemptions]
    if "billed_this_year" in whole:
        whole["billed_this_year"] = dict(whole["billed_this_year"])
    return whole


def _exemption_json(one: Exemption) -> dict[str, str | None]:
    return {
        "kind": one.kind,
        "start": None if one.start is None else one.start.isoformat(),
        "end": None if one.end is None else one.end.isoformat(),
    }


def _without_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}


def check(request: CareRequest) -> None:
    """Refuse values that no table could price; raises InputError naming the field."""
    _one_of("pathway", request.pathway, PATHWAYS)
    _one_of("nature", request.nature, NATURES)
    _one_of("third_party", request.third_party, THIRD_PARTIES)
    _one_of("practitioner.zone", request.practitioner.zone, ZONES)
    month = request.beneficiary.pregnancy_month
    if month is not None and not 1 <= month <= 9:
        raise InputError(
            f"beneficiary.pregnancy_month: {shown(month)} is not a month of pregnancy; give 1 to 9 or null."
        )
    if request.beneficiary.birth_date > request.date:
        raise InputError("beneficiary.birth_date: the birth is after the care; correct one of the two dates.")
    if request.beneficiary.last_seen is not None and request.beneficiary.last_seen > request.date:
        raise InputError("beneficiary.last_seen: a day after the care; correct one of the two dates.")
    for name in ("css_contribution", "css_insurer"):
        if getattr(request.beneficiary, name) and not _has_css(request.beneficiary):
            raise InputError(f"beneficiary.{name}: says how a CSS is run; set css too, or leave it out.")
    if not 1 <= len(request.acts) <= MAX_ACTS:
        raise InputError(f"acts: {len(request.acts)} acts; give 1 to {MAX_ACTS} on one sheet.")
    for index, act in enumerate(request.acts):
        _check_act(act, index)


def _has_css(person: Beneficiary) -> bool:
    return person.css or any(one.kind == "css" for one in person.exemptions)


def check_dates(request: CareRequest, today: date) -> None:
    """Refuse care in the future; raises InputError naming the field. `today` is the day in Paris."""
    if request.date > today:
        raise InputError(
            f"date: care on {request.date} is in the future (today is {today}); correct the date."
        )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name}: {shown(value)} is not known; use one of {', '.join(allowed)}.")


def _check_act(act: Act, index: int) -> None:
    if not _CODE.fullmatch(act.code):
        raise InputError(
            f"acts[{index}].code: {shown(act.code)} is not an act code; "
            "give NGAP letters, or a CCAM, NABM, LPP or CIP code."
        )
    if not 1 <= act.quantity <= MAX_QUANTITY:
        raise InputError(
            f"acts[{index}].quantity: {shown(act.quantity)} is out of range; give 1 to {MAX_QUANTITY}."
        )
    coefficient = act.coefficient
    if coefficient.is_snan() or (coefficient != 1 and not _is_coefficient(coefficient)):
        raise InputError(
            f"acts[{index}].coefficient: {shown(coefficient)} is not usable; "
            f"give 0.01 to {MAX_COEFFICIENT} with at most two decimals."
        )
    charged = act.charged_cents
    if charged is not None and not 0 <= charged <= MAX_CENTS:
        raise InputError(
            f"acts[{index}].charged_cents: {shown(charged)} is not an amount; "
            f"give 0 to {MAX_CENTS} cents, never negative."
        )
    _check_ccam(act, f"acts[{index}].")


def _check_ccam(act: Act, path: str) -> None:
    if (act.activity, act.modifiers, act.association) == ("1", "", None):
        return
    if not act.is_ccam:
        raise InputError(
            f"{path}activity: activity, modifiers and association are for CCAM acts; leave them out."
        )
    _one_of(f"{path}activity", act.activity, _ACTIVITIES)
    if not _MODIFIERS.fullmatch(act.modifiers) or len(set(act.modifiers)) != len(act.modifiers):
        raise InputError(
            f"{path}modifiers: {shown(act.modifiers)} is not usable; give up to four, each once."
        )
    if act.association is not None and act.association not in _ASSOCIATIONS:
        raise InputError(f"{path}association: {shown(act.association)} is not known; give 1 to 5 or null.")


def _is_coefficient(value: Decimal) -> bool:
    return value.is_finite() and 0 < value <= MAX_COEFFICIENT and value == value.quantize(_HUNDREDTH)


def _practitioner(data: Mapping[str, Any]) -> Practitioner:
    reader = JsonObject(data, "practitioner.", ("specialty", "convention", "optam", "zone"))
    return Practitioner(
        specialty=reader.text("specialty"),
        convention=reader.text("convention"),
        optam=reader.flag("optam"),
        zone=reader.text("zone", "metropole"),
    )


def _beneficiary(data: Mapping[str, Any]) -> Beneficiary:
    reader = JsonObject(
        data,
        "beneficiary.",
        (
            "birth_date", "regime", *_RIGHTS, "pregnancy_month", "complementary", "last_seen", "exemptions",
            "billed_this_year",
        ),
    )  # fmt: skip
    return Beneficiary(
        birth_date=reader.day("birth_date"),
        regime=reader.text("regime", "01"),
        **{right: reader.flag(right) for right in _RIGHTS},
        pregnancy_month=reader.whole("pregnancy_month"),
        complementary=reader.text("complementary") if data.get("complementary") is not None else None,
        last_seen=reader.day("last_seen") if data.get("last_seen") is not None else None,
        exemptions=exemptions_from(data.get("exemptions"), "beneficiary.exemptions"),
        billed_this_year=counted_from(data.get("billed_this_year"), "beneficiary.billed_this_year"),
    )


def exemptions_from(data: object, path: str) -> tuple[Exemption, ...]:
    """Read a list of `{"kind", "start", "end"}`; InputError names the place and field that is wrong."""
    items = () if data is None else data
    if not isinstance(items, list | tuple) or len(items) > _MOST_EXEMPTIONS:
        raise InputError(f"{path}: is not usable; give a list of at most {_MOST_EXEMPTIONS} exemptions.")
    return tuple(_exemption(item, f"{path}[{index}].") for index, item in enumerate(items))


def _exemption(data: object, path: str) -> Exemption:
    if not isinstance(data, Mapping):
        raise InputError(f"{path.rstrip('.')}: an exemption is an object with a kind, a start and an end.")
    reader = JsonObject(data, path, ("kind", "start", "end"))
    kind = reader.text("kind")
    _one_of(f"{path}kind", kind, KINDS)
    start, end = (reader.day(name) if data.get(name) is not None else None for name in ("start", "end"))
    if start is not None and end is not None and end < start:
        raise InputError(f"{path}end: a day before the start; correct one of the two dates.")
    return Exemption(kind, start, end)


def counted_from(data: object, path: str) -> tuple[tuple[str, int], ...] | None:
    """Read `{"TE2": 3}`: how many of each act were billed; InputError names the code that is wrong."""
    if data is None:
        return None
    if not isinstance(data, Mapping) or len(data) > _MOST_COUNTED:
        raise InputError(f"{path}: is not usable; give an object of at most {_MOST_COUNTED} codes.")
    for code, count in data.items():
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise InputError(f"{path}: {shown(code)} is not an act code; give a code and how many.")
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= 999:
            raise InputError(f"{path}.{shown_code(code)}: is not usable; give 0 to 999.")
    return tuple(sorted(data.items()))


_ACT_FIELDS = ("code", "quantity", "coefficient", "charged_cents", *_CCAM_DEFAULTS)


def _act(data: object, index: int) -> Act:
    if not isinstance(data, Mapping):
        raise InputError(f"acts[{index}]: an act is an object with at least a code.")
    reader = JsonObject(data, f"acts[{index}].", _ACT_FIELDS)
    quantity = reader.whole("quantity")
    return Act(
        code=reader.text("code"),
        quantity=1 if quantity is None else quantity,
        coefficient=reader.decimal("coefficient"),
        charged_cents=reader.whole("charged_cents"),
        activity=reader.text("activity", "1"),
        modifiers="" if data.get("modifiers") in (None, "") else reader.text("modifiers"),
        association=reader.whole("association"),
    )
