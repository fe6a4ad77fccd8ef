"""What is asked: the care, who gave it, who received it. Plain values, checked where they come in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

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
_NIR_LENGTH = 13
_WORD = re.compile(r"[A-Za-z_]{1,40}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HUNDREDTH = Decimal("0.01")
_OPTIONAL = ("pathway", "nature", "third_party")
_RIGHTS = ("alsace_moselle", "ald", "css", "ame", "aspa")


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

    `last_seen`: the last day the practitioner saw the patient in person (teleconsultations); None = not said.
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
        reader = _Reader(data, "", ("date", "practitioner", "beneficiary", "acts", *_OPTIONAL))
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
        whole["beneficiary"] = _without_defaults(whole["beneficiary"], {"last_seen": None})
        for name in ("birth_date", "last_seen"):
            if name in whole["beneficiary"]:
                whole["beneficiary"][name] = whole["beneficiary"][name].isoformat()
        whole["acts"] = [
            _without_defaults({**act, "coefficient": str(act["coefficient"])}, _CCAM_DEFAULTS)
            for act in whole["acts"]
        ]
        return whole


_CCAM_DEFAULTS = {"activity": "1", "modifiers": "", "association": None}


def _without_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}


def field_name(name: object) -> str:
    """The name of a field as an error may show it: what is not a plain word could be anything, a NIR too."""
    return name if isinstance(name, str) and _WORD.fullmatch(name) else "(a name that is not a word)"


def shown(value: object) -> str:
    """A value as an error may repeat it: nothing long enough to be a NIR, nothing that fills a screen."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) < _NIR_LENGTH else "this value"


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
    if not 1 <= len(request.acts) <= MAX_ACTS:
        raise InputError(f"acts: {len(request.acts)} acts; give 1 to {MAX_ACTS} on one sheet.")
    for index, act in enumerate(request.acts):
        _check_act(act, index)


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
    reader = _Reader(data, "practitioner.", ("specialty", "convention", "optam", "zone"))
    return Practitioner(
        specialty=reader.text("specialty"),
        convention=reader.text("convention"),
        optam=reader.flag("optam"),
        zone=reader.text("zone", "metropole"),
    )


def _beneficiary(data: Mapping[str, Any]) -> Beneficiary:
    reader = _Reader(
        data,
        "beneficiary.",
        ("birth_date", "regime", *_RIGHTS, "pregnancy_month", "complementary", "last_seen"),
    )
    return Beneficiary(
        birth_date=reader.day("birth_date"),
        regime=reader.text("regime", "01"),
        **{right: reader.flag(right) for right in _RIGHTS},
        pregnancy_month=reader.whole("pregnancy_month"),
        complementary=reader.text("complementary") if data.get("complementary") is not None else None,
        last_seen=reader.day("last_seen") if data.get("last_seen") is not None else None,
    )


_ACT_FIELDS = ("code", "quantity", "coefficient", "charged_cents", *_CCAM_DEFAULTS)


def _act(data: object, index: int) -> Act:
    if not isinstance(data, Mapping):
        raise InputError(f"acts[{index}]: an act is an object with at least a code.")
    reader = _Reader(data, f"acts[{index}].", _ACT_FIELDS)
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


class _Reader:
    """Takes typed values out of one JSON object and names the field when a value is of the wrong kind."""

    def __init__(self, data: Mapping[str, Any], path: str, known: Sequence[str]) -> None:
        if not isinstance(data, Mapping):
            raise InputError(f"{path.rstrip('.') or 'the request'}: a JSON object is needed here.")
        for name in data:
            if name not in known:
                raise InputError(
                    f"{path}{field_name(name)}: unknown field; the fields here are {', '.join(known)}."
                )
        self._data, self._path = data, path

    def _fail(self, name: str, wanted: str) -> NoReturn:
        state = "is missing" if self._data.get(name) is None else "is not usable"
        raise InputError(f"{self._path}{name}: {state}; give {wanted}.")

    def mapping(self, name: str) -> Mapping[str, Any]:
        value = self._data.get(name)
        return value if isinstance(value, Mapping) else self._fail(name, "an object")

    def items(self, name: str) -> Sequence[object]:
        value = self._data.get(name)
        return value if isinstance(value, list | tuple) else self._fail(name, "a list of acts")

    def text(self, name: str, default: str | None = None) -> str:
        value = self._data.get(name, default)
        return value if isinstance(value, str) and value else self._fail(name, "a text")

    def flag(self, name: str) -> bool:
        value = self._data.get(name, False)
        return value if isinstance(value, bool) else self._fail(name, "true or false")

    def whole(self, name: str) -> int | None:
        value = self._data.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        return self._fail(name, "a whole number")

    def decimal(self, name: str) -> Decimal:
        value = self._data.get(name)
        value = 1 if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            self._fail(name, "a number")
        try:
            return Decimal(str(value))
        except InvalidOperation:
            self._fail(name, "a number")

    def day(self, name: str) -> date:
        value = self._data.get(name)
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            self._fail(name, "a date as YYYY-MM-DD")
        try:
            return date.fromisoformat(value)
        except ValueError:
            self._fail(name, "a date that exists, as YYYY-MM-DD")
