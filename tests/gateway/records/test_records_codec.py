"""Round trips and refusals of single records."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.records import b2, noemie, security
from gateway.records.fields import Field, Record, RecordError, plain, read_date, read_moment

RECORDS = (*b2.RECORDS, *security.RECORDS, *noemie.RECORDS)
TEXT = "".join(chr(c) for c in range(0x20, 0x60) if c != ord("@"))
BASE64 = string.ascii_letters + string.digits + "+/="


def values_of(field: Field) -> st.SearchStrategy[str | int]:
    """Every value a field takes, in the form in which decoding gives it back."""
    if field.kind == "num":
        return st.integers(0, 10**field.length - 1)
    if field.kind == "code":
        return st.text("0123456789ABCZ", min_size=field.length, max_size=field.length)
    if field.kind == "date":
        return st.from_regex(r"\A[0-9]{6}\Z").map(lambda day: "" if day == "000000" else day)
    alphabet = BASE64 if field.kind == "blob" else TEXT
    return st.text(alphabet, max_size=field.length).map(lambda value: value.rstrip(" "))


def records() -> st.SearchStrategy[tuple[type[Record], dict[str, str | int]]]:
    def one(kind: type[Record]) -> st.SearchStrategy[tuple[type[Record], dict[str, str | int]]]:
        fields = {field.name: values_of(field) for field in kind.FIELDS if field.kind != "const"}
        return st.tuples(st.just(kind), st.fixed_dictionaries(fields))

    return st.sampled_from(RECORDS).flatmap(one)


@settings(max_examples=400, deadline=None)
@given(records())
def test_round_trip(case: tuple[type[Record], dict[str, str | int]]) -> None:
    """Whatever fits its fields comes back unchanged, in a record of the right size."""
    kind, values = case
    data = kind.encode(**values)
    assert len(data) == kind.SIZE
    assert kind.decode(data) == values
    kind.check(data)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(RECORDS), st.binary(max_size=160))
def test_any_bytes_are_read_or_refused(kind: type[Record], data: bytes) -> None:
    """No bytes make a decoder fail otherwise than by RecordError; what is read is written back the same."""
    try:
        values = kind.decode(data)
    except RecordError:
        return
    assert kind.encode(**values) == data


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_overflow_names_field_and_position(kind: type[Record]) -> None:
    """A value one place too long is refused with record, field and position, and is never cut."""
    values = kind.EXAMPLES[0][0]
    for field in kind.FIELDS:
        if field.kind == "const":
            continue
        long = 10**field.length if field.kind == "num" else "1" * (field.length + 1)
        with pytest.raises(InputError, match=f"field {field.name} ") as refused:
            kind.encode(**{**values, field.name: long})
        assert refused.value.position == field.start  # type: ignore[attr-defined]
    kind.encode(**values)


@pytest.mark.parametrize("wrong", [-1, "12", 1.5, None])
def test_amounts_are_whole_and_not_negative(wrong: object) -> None:
    """An amount that is not a whole number of cents is refused."""
    with pytest.raises(RecordError, match="field amo "):
        b2.FeeLine.encode(amo=wrong)
    assert b2.FeeLine.encode(amo=12)[107:114] == b"0000012"


def test_eight_digit_zone_overflows() -> None:
    """A total of 100 million cents does not fit eight digits and is refused, one cent less is written."""
    with pytest.raises(RecordError, match="record 5, field charged"):
        b2.InvoiceEnd.encode(charged=100_000_000)
    assert b2.InvoiceEnd.encode(charged=99_999_999)[114:122] == b"99999999"


@pytest.mark.parametrize("wrong", ["é", "minuscule", "A@B", "A\nB", "A\0"])
def test_text_alphabet(wrong: str) -> None:
    """Small letters, accents, the delimiter and control characters never enter a record."""
    with pytest.raises(RecordError, match="field name"):
        b2.LotStart.encode(name=wrong)
    assert b2.LotStart.decode(b2.LotStart.encode(name="A'B-C"))["name"] == "A'B-C"


def test_error_text_holds_no_value() -> None:
    """A refused NIR is not repeated in the sentence."""
    with pytest.raises(RecordError) as refused:
        b2.InvoiceStart.encode(nir="25019626430021234")
    assert "2501" not in str(refused.value)


def test_unknown_field_is_a_programming_error() -> None:
    """A field that does not exist is not silently dropped."""
    with pytest.raises(TypeError, match="no field"):
        b2.InvoiceEnd.encode(chargd=1)


def test_plain_text() -> None:
    """Accents go, letters become capitals, length is bounded, the delimiter never passes."""
    assert plain("Hélène d'Été @ Nîmes", 40) == "HELENE D'ETE  NIMES"
    assert plain("x" * 99, 40) == "X" * 40


@pytest.mark.parametrize("wrong", ["261301", "260230", "", "XX0101"])
def test_dates_exist(wrong: str) -> None:
    """A day that is not in the calendar is refused; the last day of February is read."""
    with pytest.raises(RecordError, match="date"):
        read_date(wrong)
    assert read_date("260228").day == 28


def test_moments_exist() -> None:
    """A moment with hour 24 is refused, the one before is read."""
    with pytest.raises(RecordError, match="moment"):
        read_moment("20261120240000")
    assert read_moment("20261120235959").second == 59


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000))
def test_pieces_round_trip(value: bytes) -> None:
    """Any bytes survive the walk through 7x records."""
    assert security.join(security.split(value, "V"), "V") == value


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_pieces_have_one_form(data: st.DataObject) -> None:
    """No changed byte of 7x records is read as the same value (base64 is not malleable here)."""
    value = data.draw(st.binary(min_size=1, max_size=400))
    good = security.split(value, "V")
    at = data.draw(st.integers(0, len(good) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != good[at]))
    changed = good[:at] + bytes([byte]) + good[at + 1 :]
    with contextlib.suppress(RecordError):
        assert security.join(changed, "V") != value


def test_pieces_limit() -> None:
    """More than 99 pieces are refused; 99 are written."""
    with pytest.raises(RecordError, match="more than 99"):
        security.split(bytes(99 * 117 * 3 // 4 + 3), "C")
    assert len(security.split(bytes(8685), "C")) == 99 * 128
