"""Fixed-position records as tables: a field is a name, a first position, a length and a kind.

A record class lists its fields once; encoding, strict decoding, error positions and the tests come from
that list. Positions count from 1, as the norms print them. Positions without a field are blank.

Kinds of fields and their Python values:
- `num`   non-negative int, right-aligned, zero-filled (amounts are cents)
- `code`  str of 0-9 A-Z, right-aligned, zero-filled; decoded at full length
- `text`  str of printable ASCII without small letters and without "@", left-aligned, blank-filled
- `date`  str of six digits AAMMJJ, "" for zeros
- `blob`  str of the base64 alphabet, left-aligned, blank-filled
- `const` the fixed text given as `default`
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, ClassVar, NoReturn

from gateway.errors import InputError

_ALPHABETS = {
    "num": "[0-9]",
    "code": "[0-9A-Z]",
    "text": "[ -?A-_]",
    "date": "[0-9]",
    "blob": "[0-9A-Za-z+/= ]",
}
_LAYOUTS = {"num": "0{}d", "code": "0>{}", "text": "<{}", "date": "0>{}", "blob": "<{}"}
_EXPECTS = {
    "num": "a number of at most {} digits, not negative",
    "code": "at most {} digits or capital letters",
    "text": "at most {} characters, capitals and no accents",
    "date": "six digits AAMMJJ",
    "blob": "at most {} base64 characters",
    "const": "fixed",
}


class RecordError(InputError):
    """A value does not fit its field, or a record is not readable. `position` counts from 1."""

    code = "record"

    def __init__(self, sentence: str, position: int = 0) -> None:
        super().__init__(sentence)
        self.position = position


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `start` is its first position (from 1). `default` is used when no value is given."""

    name: str
    start: int
    length: int
    kind: str = "num"
    default: str | int = ""

    @property
    def slice(self) -> slice:
        """Where the field is in the bytes of a record."""
        return slice(self.start - 1, self.start - 1 + self.length)

    @property
    def pattern(self) -> str:
        """A regular expression for exactly this field."""
        if self.kind == "const":
            return re.escape(str(self.default))
        return f"({_ALPHABETS[self.kind]}{{{self.length}}})"

    @property
    def template(self) -> str:
        """A `str.format` field that renders a value in place."""
        if self.kind == "const":
            return str(self.default)
        return f"{{{self.name}:{_LAYOUTS[self.kind].format(self.length)}}}"

    @property
    def expects(self) -> str:
        """What may stand here, for an error text."""
        return _EXPECTS[self.kind].format(self.length)


def const(start: int, text: str) -> Field:
    """A fixed text at a position."""
    return Field(f"const_{start}", start, len(text), "const", text)


def num(name: str, start: int, length: int) -> Field:
    """A zero-filled number, 0 when not given."""
    return Field(name, start, length, "num", 0)


def code(name: str, start: int, length: int) -> Field:
    """A zero-filled code, zeros when not given."""
    return Field(name, start, length, "code")


def text(name: str, start: int, length: int, default: str = "") -> Field:
    """A blank-filled text, blank when not given."""
    return Field(name, start, length, "text", default)


def day(name: str, start: int) -> Field:
    """A date AAMMJJ, zeros when not given."""
    return Field(name, start, 6, "date")


Example = tuple[dict[str, Any], bytes]


class Record:
    """A kind of record. Subclasses give NAME, FIELDS and EXAMPLES (values and the bytes they make)."""

    NAME: ClassVar[str]
    SIZE: ClassVar[int] = 128
    FIELDS: ClassVar[tuple[Field, ...]]
    EXAMPLES: ClassVar[tuple[Example, ...]]
    _template: ClassVar[str]
    _pattern: ClassVar[re.Pattern[str]]
    _defaults: ClassVar[dict[str, str | int]]
    _readers: ClassVar[tuple[tuple[str, Callable[[str], Any]], ...]]

    def __init_subclass__(cls) -> None:
        """Compile the table once: a format string to write, a regular expression to read."""
        layout = tuple(_with_blanks(cls.NAME, cls.FIELDS, cls.SIZE))
        values = [field for field in layout if field.kind != "const"]
        cls._template = "".join(field.template for field in layout)
        cls._pattern = re.compile("".join(field.pattern for field in layout))
        cls._defaults = {field.name: field.default for field in values}
        cls._readers = tuple((field.name, _READERS[field.kind]) for field in values)

    @classmethod
    def encode(cls, **values: Any) -> bytes:
        """The record's bytes; RecordError names the field and position of a value that does not fit."""
        merged = {**cls._defaults, **values}
        if len(merged) != len(cls._defaults):
            raise TypeError(f"record {cls.NAME} has no field {sorted(merged.keys() - cls._defaults.keys())}")
        try:
            line = cls._template.format_map(merged)
        except (ValueError, TypeError):
            cls._refuse_values(merged)
        if cls._pattern.fullmatch(line) is None:
            cls._refuse_values(merged)
        return line.encode("ascii")

    @classmethod
    def decode(cls, data: bytes) -> dict[str, Any]:
        """The values of every field; RecordError gives the position of the first wrong field."""
        match = cls._pattern.fullmatch(data.decode("latin-1"))
        if match is None:
            cls.refuse(data)
        values = zip(cls._readers, match.groups(), strict=True)
        return {name: read(value) for (name, read), value in values}

    @classmethod
    def check(cls, data: bytes) -> None:
        """Like `decode`, without the values."""
        if cls._pattern.fullmatch(data.decode("latin-1")) is None:
            cls.refuse(data)

    @classmethod
    def at(cls, name: str) -> slice:
        """Where the field of this name is in a record."""
        return next(field.slice for field in cls.FIELDS if field.name == name)

    @classmethod
    def refuse(cls, data: bytes) -> NoReturn:
        """Find what is wrong with a record that does not match, and raise it as RecordError."""
        if len(data) != cls.SIZE:
            raise RecordError(f"record {cls.NAME} has {len(data)} bytes instead of {cls.SIZE}")
        for field in _with_blanks(cls.NAME, cls.FIELDS, cls.SIZE):
            if not re.fullmatch(field.pattern, data[field.slice].decode("latin-1")):
                raise RecordError(_sentence(cls.NAME, field), field.start)
        raise RecordError(f"record {cls.NAME} is not readable")

    @classmethod
    def _refuse_values(cls, values: dict[str, Any]) -> NoReturn:
        for field in cls.FIELDS:
            if field.kind != "const" and not _fits(field, values[field.name]):
                raise RecordError(_sentence(cls.NAME, field), field.start)
        raise RecordError(f"record {cls.NAME} cannot be written")


_READERS: dict[str, Callable[[str], Any]] = {
    "num": int,
    "code": str,
    "text": lambda value: value.rstrip(" "),
    "date": lambda value: "" if value == "000000" else value,
    "blob": lambda value: value.rstrip(" "),
}


def _with_blanks(name: str, fields: tuple[Field, ...], size: int) -> list[Field]:
    """The fields in order, with a constant blank for every gap; TypeError when two fields overlap."""
    layout, at = [], 1
    for field in sorted(fields, key=lambda field: field.start):
        if field.start < at:
            raise TypeError(f"record {name}: field {field.name} overlaps position {at - 1}")
        if field.start > at:
            layout.append(const(at, " " * (field.start - at)))
        layout.append(field)
        at = field.start + field.length
    if at > size + 1:
        raise TypeError(f"record {name} is longer than {size}")
    if at <= size:
        layout.append(const(at, " " * (size + 1 - at)))
    return layout


def _fits(field: Field, value: Any) -> bool:
    try:
        rendered = field.template.format_map({field.name: value})
    except (ValueError, TypeError):
        return False
    return re.fullmatch(field.pattern, rendered) is not None


def _sentence(record: str, field: Field) -> str:
    """Names record, field and position; never the value, which may be personal."""
    if field.kind == "const":
        return f"record {record}, position {field.start}: expected {str(field.default).strip() or 'blanks'!r}"
    return f"record {record}, field {field.name} (position {field.start}): expected {field.expects}"


def plain(value: str, length: int) -> str:
    """Free text as the alphabet of records allows: capitals, no accents, cut to `length`."""
    letters = unicodedata.normalize("NFKD", value).upper()
    return "".join(c for c in letters if " " <= c <= "_" and c != "@")[:length].strip()


def write_date(value: date | None) -> str:
    """AAMMJJ, "" for none."""
    return "" if value is None else value.strftime("%y%m%d")


def read_date(value: str) -> date:
    """A business date of this century from AAMMJJ; RecordError when there is no such day."""
    try:
        return date(2000 + int(value[:2]), int(value[2:4]), int(value[4:6]))
    except ValueError:
        raise RecordError("a date is not a day of the calendar: write it AAMMJJ") from None


def write_moment(value: datetime) -> str:
    """AAAAMMJJhhmmss."""
    return value.strftime("%Y%m%d%H%M%S")


def read_moment(value: str) -> datetime:
    """A moment (UTC) from AAAAMMJJhhmmss; RecordError when there is no such moment."""
    try:
        day_part = (int(value[:4]), int(value[4:6]), int(value[6:8]))
        return datetime(*day_part, int(value[8:10]), int(value[10:12]), int(value[12:14]), tzinfo=UTC)
    except ValueError:
        raise RecordError("a moment does not exist: write it AAAAMMJJhhmmss") from None
