"""Lots and files: counters, totals and limits are true when written, and checked when read."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.lots.fse import Fse
from gateway.lots.lot import Lot, build_lot, cut, lot_totals
from gateway.lots.lot_file import parse_file
from gateway.lots.numbering import LotNumbers
from gateway.lots.organism import Organism
from gateway.lots.refusal import CLASSES, CODES, LotRefusal
from gateway.records import b2
from tests.gateway.lots.world import BILLING, INSURED, NOW, ORGANISM, World, header, priced


def records_of(data: bytes) -> list[bytes]:
    return [data[at : at + 128] for at in range(0, len(data), 128)]


def refused(data: bytes) -> LotRefusal:
    with pytest.raises(LotRefusal) as error:
        parse_file(data)
    refusal = error.value
    assert refusal.error_class in CLASSES
    assert CODES[refusal.error_code][0] == refusal.error_class
    assert INSURED.nir not in refusal.sentence
    return refusal


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.sampled_from((3, 1, 5)))
def test_round_trip(world: World, acts: list[int], mode: int) -> None:
    """A file gives back its lot, its invoices in order, its numbers and its digest."""
    fses = [world.fse(n, price=priced(codes=("G",) * count), mode=mode) for n, count in enumerate(acts, 1)]
    lot = world.lot(*fses, family=fses[0].invoice.mode.family)
    file = parse_file(lot.file)
    (read,) = file.lots
    assert read.fses == tuple(fses)
    assert (read.lot_number, read.lot_date, read.digest) == (7, NOW.date(), lot.digest)
    assert (file.file_id, file.sender, file.destination) == ("000007", "00000" + BILLING, ORGANISM.number)
    assert file.digest == sha256(lot.file).digest()
    assert lot.count == len(acts)


def test_real_counters(world: World, lot: Lot) -> None:
    """Records 6 and 999 count what is there."""
    records = records_of(lot.file)
    end = b2.LotEnd.decode(records[-2])
    assert (end["invoices"], end["lines"], end["third_party"]) == (3, 3, 3)
    assert end["records"] == sum(fse.count for fse in lot.fses)
    assert (end["charged"], end["amo"], end["amc"]) == (3 * 3100, 3 * 2100, 3 * 900)
    assert b2.FileEnd.decode(records[-1])["records"] == len(records)


@pytest.mark.parametrize(
    ("record", "name", "code"),
    [
        (-2, "invoices", "4003"),
        (-2, "third_party", "4003"),
        (-2, "lines", "4004"),
        (-2, "records", "4004"),
        (-2, "charged", "4006"),
        (-2, "amo", "4006"),
        (-2, "amc", "4006"),
        (-2, "lot", "4008"),
        (-1, "records", "4001"),
        (-1, "lots", "4002"),
    ],
)
def test_counters_that_lie(lot: Lot, record: int, name: str, code: str) -> None:
    """L7: one more in any counter or total of records 6 and 999 is refused; the true file is read."""
    assert parse_file(lot.file)
    records = records_of(lot.file)
    kind = b2.LotEnd if record == -2 else b2.FileEnd
    values = kind.decode(records[record])
    records[record] = kind.encode(**{**values, name: values[name] + 1})
    refusal = refused(b"".join(records))
    assert refusal.error_code == code
    assert refusal.record == len(records) + 1 + record


@pytest.mark.parametrize(
    "name", ["lines", "fees", "fees_amo", "insured_share", "fees_amc", "charged", "hospital", "hospital_amo"]
)
def test_invoice_totals_that_lie(lot: Lot, name: str) -> None:
    """A total of record 5 that is not the sum of the acts is refused with record, invoice and position."""
    records = records_of(lot.file)
    at = next(i for i, record in enumerate(records) if record[:1] == b"5")
    values = b2.InvoiceEnd.decode(records[at])
    records[at] = b2.InvoiceEnd.encode(**{**values, name: values[name] + 1})
    refusal = refused(b"".join(records))
    assert refusal.error_code == ("4004" if name == "lines" else "4005")
    assert (refusal.record, refusal.invoice) == (at + 1, 1)
    assert refusal.position == b2.InvoiceEnd.at(name).start + 1


@pytest.mark.parametrize("name", ["base", "amo", "charged", "amc"])
def test_act_amount_that_lies(lot: Lot, name: str) -> None:
    """An act changed without its total is refused."""
    records = records_of(lot.file)
    at = next(i for i, record in enumerate(records) if record[:1] == b"4")
    values = b2.FeeLine.decode(records[at])
    records[at] = b2.FeeLine.encode(**{**values, name: values[name] + 1})
    assert refused(b"".join(records)).error_class == "L"


def test_truncated_at_an_invoice(world: World, lot: Lot) -> None:
    """L8: a file cut between two invoices is refused, with or without the closing records."""
    size = 128 * 2
    for fse in lot.fses[:-1]:
        size += len(fse.records)
        assert refused(lot.file[:size]).error_class == "F"
        tail = lot.file[lot.file.index(b"7" + BILLING.encode() + b"L") :]
        assert refused(lot.file[:size] + tail).error_class in "LS"


@pytest.mark.parametrize("size", [0, 1, 127, 128, 200, 256])
def test_truncated_anywhere(lot: Lot, size: int) -> None:
    """A torn file is refused in class F."""
    assert refused(lot.file[:size]).error_class == "F"


def test_invoice_twice(world: World, lot: Lot) -> None:
    """L6: the same invoice twice is refused in class D when read, and not built at all."""
    one = world.fse(1)
    with pytest.raises(InputError, match="stands twice"):
        build_lot(header(), [one, one])
    first = lot.fses[0].records
    doubled = lot.file.replace(first, first + first)
    assert refused(doubled).error_code == "3001"


def test_odd_invoices_are_not_built_in(world: World) -> None:
    """Another professional, destination, family or signer does not get into a lot."""
    good = world.fse(1)
    odd = {
        "professional": replace(header(), billing_number="991234572"),
        "destination": replace(header(), destination=Organism("01", "999", "996")),
        "family": replace(header(), family="without-vitale"),
        "signer": replace(header(), national_id="899900000020"),
    }
    for what, other in odd.items():
        with pytest.raises(InputError, match=what):
            build_lot(other, [good])
    assert build_lot(header(), [good]).digest


def test_empty_lot_and_bad_numbers(world: World) -> None:
    """No invoice, no lot; numbers out of their range are refused."""
    with pytest.raises(InputError, match="at least one"):
        build_lot(header(), [])
    numbers = header().numbers
    for wrong in (
        replace(numbers, lot_number=0),
        replace(numbers, lot_number=1000),
        replace(numbers, file_id="abc"),
        replace(numbers, compostage="1"),
    ):
        with pytest.raises(InputError):
            build_lot(replace(header(), numbers=wrong), [world.fse(1)])


def test_limit_of_a_lot(world: World) -> None:
    """950 records are the limit: cut() shares invoices out below it, a longer lot is refused."""
    one = world.fse(1)
    many = [Fse(one.records, replace(one.invoice, number=n)) for n in range(1, 121)]
    parts = cut(many)
    assert [fse.number for part in parts for fse in part] == list(range(1, 121))
    assert [len(part) for part in parts] == [51, 51, 18]
    for part in parts:
        assert world.lot(*part).file
    with pytest.raises(InputError, match="limit of 950"):
        build_lot(header(), many[:60])


def test_limit_of_a_file(lot: Lot) -> None:
    """A file of a thousand records is refused before anything else is read."""
    records = records_of(lot.file)
    long = records[:1] + records[2:3] * 998 + records[-1:]
    assert refused(b"".join(long)).error_code == "4007"


def test_several_lots_in_a_file(world: World, lot: Lot) -> None:
    """The reader takes several lots of one sender; a second lot that lies is refused."""
    records = records_of(lot.file)
    end = b2.FileEnd.decode(records[-1])
    body = records[1:-1]
    both = [records[0], *body, *body]
    closing = b2.FileEnd.encode(**{**end, "records": len(both) + 1, "lots": 2})
    assert len(parse_file(b"".join([*both, closing])).lots) == 2
    assert (
        refused(b"".join([*both, b2.FileEnd.encode(**{**end, "records": len(both) + 1})])).error_code
        == "4002"
    )


def test_sender_of_the_file(lot: Lot) -> None:
    """A file whose sender is not the professional of the lot is refused."""
    other = lot.file.replace(b"00000" + BILLING.encode(), b"00000991234572")
    assert refused(other).error_code == "4008"


def test_refusal_numbers_the_field(lot: Lot) -> None:
    """A letter in an amount gives record, invoice and first position of the field."""
    records = records_of(lot.file)
    at = next(i for i, record in enumerate(records) if record[:1] == b"4")
    records[at] = records[at][:110] + b"X" + records[at][111:]
    refusal = refused(b"".join(records))
    assert (refusal.error_code, refusal.record, refusal.position) == ("2003", at + 1, 108)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_mutant_is_read_or_refused(lot: Lot, data: st.DataObject) -> None:
    """No mutant of a file raises anything but LotRefusal, and none is read as the same bytes' file."""
    at = data.draw(st.integers(0, len(lot.file)))
    cut_away = data.draw(st.sampled_from((0, 1, 128, 256)))
    changed = lot.file[:at] + data.draw(st.binary(max_size=4)) + lot.file[at + cut_away :]
    with contextlib.suppress(LotRefusal):
        assert parse_file(changed).digest == sha256(changed).digest()


def test_numbers_are_values(world: World) -> None:
    """Two lots with other reserved numbers have other bytes and another digest to sign."""
    other = LotNumbers(8, NOW.date() + timedelta(days=1), "000008", "2026112109300000008")
    first, second = world.lot(world.fse(1)), world.lot(world.fse(1), numbers=other)
    assert first.digest != second.digest
    assert first.file != second.file


def test_end_repeats_the_beginning(lot: Lot) -> None:
    """A 999 that names another file than 000 is refused."""
    records = records_of(lot.file)
    values = b2.FileEnd.decode(records[-1])
    records[-1] = b2.FileEnd.encode(**{**values, "file_id": "000008"})
    assert refused(b"".join(records)).error_code == "4009"


def test_lot_security_of_another_professional(lot: Lot) -> None:
    """A 7L that carries another billing number than its lot is refused."""
    mark = b"7" + BILLING.encode() + b"L"
    assert refused(lot.file.replace(mark, b"7991234572L")).error_code == "4008"


def test_lot_of_too_many_records(world: World) -> None:
    """A file within 999 records whose lot passes 950 is refused; at 950 the limit says nothing."""
    numbered = [world.fse(n, mode=5) for n in range(1, 239)]
    for count, code in ((237, None), (238, "4010")):
        data = _degraded_file(world, numbered[:count])
        if code is None:
            assert len(parse_file(data).lots[0].fses) == count
        else:
            assert refused(data).error_code == code


def _degraded_file(world: World, fses: list[Fse]) -> bytes:
    """A file of one degraded lot, with true counters whatever its size."""
    small = world.lot(fses[0], family="degraded")
    records = records_of(small.file)
    end = b2.LotEnd.encode(**{**b2.LotEnd.decode(records[-2]), **lot_totals(fses)})
    body = [records[0], records[1], *(fse.records for fse in fses), end]
    size = sum(len(record) for record in body) // 128 + 1
    return b"".join([*body, b2.FileEnd.encode(**{**b2.FileEnd.decode(records[-1]), "records": size})])
