"""ARL and NOEMIE returns as whole files: round trips, and every counter that lies."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.records.arl import Arl, ArlReject, parse_arl, write_arl
from gateway.records.noemie_file import (
    NoemieReject,
    NoemieReturn,
    PaidLine,
    Payment,
    Remark,
    Share,
    Transfer,
    parse_noemie,
    write_noemie,
)
from tests.gateway.lots.make_vectors import arl, noemie_return
from tests.gateway.lots.world import NOW

WORDS = st.text("ABCDEFGHIJ 0123456789'-", max_size=25).map(str.strip)
DAYS = st.dates(date(2020, 1, 1), date(2030, 12, 31))
CENTS = st.integers(0, 99_999_999)
SIGNED = st.integers(-99_999_999, 99_999_999)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
DIGITS = st.integers(0, 10**14 - 1).map("{:014d}".format)
REASONS = st.builds(
    ArlReject,
    st.integers(0, 999),
    st.integers(0, 999_999_999),
    st.integers(0, 128),
    st.sampled_from("EFDLSV"),
    st.integers(0, 9999).map("{:04d}".format),
    WORDS,
)
LINES = st.builds(
    PaidLine, st.integers(1, 99), DAYS, st.sampled_from(("G", "APC", "TCG1", "ABCDE")), st.integers(1, 99),
    st.integers(1, 99_999), CENTS, CENTS, st.integers(0, 100), SIGNED, CENTS, st.integers(0, 100), CENTS,
    st.integers(0, 100), CENTS, CENTS,
)  # fmt: skip
REJECTS = st.builds(
    NoemieReject,
    st.sampled_from(("2900005", "0250050")),
    WORDS,
    st.sampled_from("FLC"),
    st.sampled_from("OC"),
    st.sampled_from(("", "G")),
    st.integers(0, 99),
)
SHARES = st.builds(Share, CENTS, SIGNED, st.sampled_from(("", "P", "R", "D")))
AMC = st.builds(Share, CENTS, SIGNED, st.sampled_from(("", "P")), st.just("0099999997"), st.just("M1"))
PAYMENTS = st.builds(
    Payment,
    invoice=st.integers(1, 999_999_999),
    lot_number=st.integers(1, 999),
    lot_date=DAYS,
    invoice_type=st.sampled_from("FDBP"),
    date=DAYS,
    nature=st.sampled_from(("AS", "AM", "AT")),
    nir=st.just("2501962643002"),
    nir_key=st.just("68"),
    amo=SHARES,
    amc=st.none() | AMC,
    lines=st.lists(LINES, max_size=2).map(tuple),
    rejects=st.lists(REJECTS, max_size=2).map(tuple),
    remarks=st.lists(st.builds(Remark, st.just("0450072"), WORDS, st.integers(0, 99)), max_size=2).map(tuple),
    comments=st.lists(WORDS, max_size=2).map(tuple),
    name=WORDS,
    first_name=st.just("BETA"),
    own_nir=st.sampled_from(("", "2501962643502")),
    own_key=st.just(""),
    birth_date=st.none() | st.dates(date(1931, 1, 1), date(2019, 12, 31)),
).map(lambda payment: replace(payment, own_key="53" if payment.own_nir else ""))
RETURNS = st.builds(
    NoemieReturn,
    DIGITS,
    DIGITS,
    st.just("000001"),
    MOMENTS,
    st.just("991234564"),
    st.lists(
        st.builds(
            Transfer, DAYS, WORDS, WORDS, st.just("0199900349"), st.lists(PAYMENTS, max_size=3).map(tuple)
        ),
        max_size=2,
    ).map(tuple),
)


@st.composite
def acknowledgements(draw: st.DrawFn) -> Arl:
    positive = draw(st.booleans())
    return Arl(
        sender=draw(DIGITS),
        destination=draw(DIGITS),
        created=draw(MOMENTS),
        lot_date=draw(DAYS),
        lot_number=draw(st.integers(0, 999)),
        file_id=draw(st.sampled_from(("000001", "ABC123"))),
        compostage=draw(DIGITS) + "00001",
        received_at=draw(MOMENTS),
        positive=positive,
        invoices=draw(st.integers(0, 99_999)),
        digest=draw(st.binary(min_size=32, max_size=32)),
        error_class="" if positive else draw(st.sampled_from("EFDLSV")),
        error_code="" if positive else "4003",
        rejects=() if positive else tuple(draw(st.lists(REASONS, max_size=4))),
    )


@settings(max_examples=120, deadline=None)
@given(acknowledgements())
def test_arl_round_trip(one: Arl) -> None:
    """An ARL comes back as it was written."""
    assert parse_arl(write_arl(one)) == one


@settings(max_examples=60, deadline=None)
@given(RETURNS)
def test_noemie_round_trip(one: NoemieReturn) -> None:
    """A return with any mix of payments comes back as it was written, recoveries included."""
    assert parse_noemie(write_noemie(one)) == one


def refused(parse: object, data: bytes) -> str:
    with pytest.raises(InputError) as error:
        parse(data)  # type: ignore[operator]
    return str(error.value)


def test_arl_single_bytes() -> None:
    """No single changed byte of an ARL is read as the ARL that was written, the untouched one is (B10)."""
    good = arl(NOW)
    data = write_arl(good)
    assert parse_arl(data) == good
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            assert parse_arl(changed) != good
        except InputError:
            continue


def test_arl_negative_made_positive() -> None:
    """Turning the sign of a negative ARL leaves reasons behind, and is refused (L12)."""
    data = write_arl(arl(NOW))
    assert "gives no reason" in refused(parse_arl, data.replace(b"-00002S5004", b"+00002S5004"))
    bare = write_arl(replace(arl(NOW), positive=True, error_class="", error_code="", rejects=()))
    assert parse_arl(bare).positive


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256])
def test_short_arl(size: int) -> None:
    """A truncated ARL is refused in a sentence."""
    assert refused(parse_arl, write_arl(arl(NOW))[:size])


def test_arl_without_one_reason() -> None:
    """Dropping one 902 breaks the counters."""
    data = write_arl(arl(NOW))
    cut = re.sub(rb"90202002[^@]*@", b"", data)
    assert len(cut) == len(data) - 114
    assert "999" in refused(parse_arl, cut)


def test_arl_contradiction_is_not_written() -> None:
    """A positive ARL with a reason, or a negative one without, is not written at all."""
    with pytest.raises(InputError, match="positive"):
        write_arl(replace(arl(NOW), positive=True))
    with pytest.raises(InputError, match="negative"):
        write_arl(replace(arl(NOW), error_code="", rejects=()))


def lie(data: bytes, pattern: bytes, replacement: bytes) -> bytes:
    changed, count = re.subn(pattern, replacement, data, count=1)
    assert count == 1
    assert changed != data
    return changed


@pytest.mark.parametrize(
    ("pattern", "replacement", "word"),
    [
        (rb"(99003000000001 {8}\d{8})0000000205", rb"\g<1>0000000206", "sum"),
        (rb"(99003000000001 {8})00000007", rb"\g<1>00000006", "counts"),
        (rb"99003000000001", rb"99003000000003", "closes"),
        (rb"(99002261125 {11}\d{8})00000002050P", rb"\g<1>00000002050N", "sum"),
        (rb"(99002261125 {11})00000002", rb"\g<1>00000001", "counts"),
        (rb"(99001991234564 {8}\d{8})00000002050", rb"\g<1>00000002051", "sum"),
        (rb"00000002050P( {31})$", rb"00000002049P\1", "total"),
        (rb"NO00000100000020", rb"NO00000100000019", "counts another number"),
        (rb"T( {18})001", rb"T\g<1>002", "999"),
        (rb"(1980300002100P0000)2100", rb"\g<1>2101", "sum"),
        (rb"(1980300002100)P", rb"\g<1>X", "state"),
        (rb"(1990300000900P00000050)N", rb"\g<1>X", "sign"),
        (rb"2900005 ", rb"2901005 ", "294"),
        (rb"10303", rb"11003", "103"),
        (rb"@29003", rb"@29103", "unknown type"),
    ],
)
def test_noemie_lies(pattern: bytes, replacement: bytes, word: str) -> None:
    """Each counter, sum, sign and break of a return is checked; the untouched return is read."""
    data = write_noemie(noemie_return())
    assert parse_noemie(data) == noemie_return()
    assert word in refused(parse_noemie, lie(data, pattern, replacement))


def test_noemie_lost_invoice() -> None:
    """A return without one of its invoices is refused."""
    data = write_noemie(noemie_return())
    start, end = data.index(b"10203000000002"), data.index(b"99002261125")
    assert refused(parse_noemie, data[:start] + data[end:])


def test_noemie_sums() -> None:
    """The totals are those of the payments, recoveries counted down."""
    assert noemie_return().total_cents == 2100 - 50
    assert [payment.is_rejected for payment in noemie_return().payments] == [False, True]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutants_never_raise_otherwise(data: st.DataObject) -> None:
    """Any mutant of a return or an ARL is read or refused by InputError."""
    good, parse = data.draw(
        st.sampled_from(((write_arl(arl(NOW)), parse_arl), (write_noemie(noemie_return()), parse_noemie)))
    )
    at = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 150))
    changed = good[:at] + data.draw(st.binary(max_size=8)) + good[at + cut :]
    with contextlib.suppress(InputError):
        parse(changed)
