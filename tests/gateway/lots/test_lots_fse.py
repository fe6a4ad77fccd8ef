"""One FSE: what is encoded is what is decoded, for every mode; what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.billing.engine import Price, PricedLine, price
from gateway.billing.request import Act, Beneficiary, CareRequest, Practitioner
from gateway.billing.tables import Tables
from gateway.errors import InputError
from gateway.lots.demand import demand_of
from gateway.lots.fse import Fse, encode_fse
from gateway.lots.organism import Complementary
from gateway.lots.refusal import LotRefusal
from gateway.records import b2
from tests.gateway.lots.world import INSURED, NOW, ORGANISM, PRACTITIONER, SERIAL, World, priced

CENTS = st.integers(0, 999_999)
LINES = st.builds(
    PricedLine,
    code=st.sampled_from(("G", "APC", "TCG", "AMI4")),
    quantity=st.integers(1, 99),
    coefficient=st.integers(1, 9999).map(lambda n: Decimal(n) / 100),
    unit_cents=CENTS,
    base_cents=CENTS,
    rate=st.integers(0, 100),
    amo_cents=st.just(0),
    amc_cents=CENTS,
    charged_cents=CENTS,
    excess_cents=st.just(0),
    patient_cents=st.just(0),
    exemption_code=st.sampled_from("0345"),
).map(lambda line: replace(line, amo_cents=line.base_cents * line.rate // 100))


def price_of(lines: tuple[PricedLine, ...], third_party: str = "none") -> Price:
    return Price(
        sum(line.base_cents for line in lines),
        sum(line.amo_cents for line in lines),
        sum(line.amc_cents for line in lines),
        0,
        0,
        sum(line.charged_cents for line in lines),
        lines,
        (),
        "10",
        "0",
        third_party,
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(LINES, min_size=1, max_size=5).map(tuple),
    st.integers(1, 999_999_999),
    st.sampled_from(("T", "O", "S1", "S2", "U")),
    st.sampled_from(("none", "amo", "full")),
    st.sampled_from((3, 4, 1, 5)),
)
def test_round_trip(
    world: World, lines: tuple[PricedLine, ...], number: int, pathway: str, third_party: str, mode: int
) -> None:
    """Everything that was billed is in the decoded view, to the cent, in every mode."""
    wanted = price_of(lines, third_party)
    fse = world.fse(number, price=wanted, pathway=pathway, mode=mode)
    assert Fse.parse(fse.to_bytes()) == fse
    view = fse.view()
    assert (view.number, view.mode, view.care_date) == (number, mode, "261119")
    assert (view.nir, view.nir_key, view.birth_date) == (INSURED.nir, INSURED.nir_key, "500131")
    assert (view.base_cents, view.amo_cents) == (wanted.base_cents, wanted.amo_cents)
    assert (view.amc_cents, view.charged_cents) == (wanted.amc_cents, wanted.charged_cents)
    assert [(line.code, line.coefficient, line.charged_cents) for line in view.lines] == [
        (line.code, line.coefficient, line.charged_cents) for line in lines
    ]
    assert view.destination == ORGANISM
    if mode != 5:
        assert (view.pathway, view.third_party, view.elaborated) == (pathway, third_party, NOW)


def test_priced_by_the_engine(world: World) -> None:
    """A consultation as the engine prices it: 30 EUR, 21 EUR for the caisse."""
    wanted = price(world.request, Tables.load())
    view = world.fse(1, price=wanted).view()
    assert (view.charged_cents, view.amo_cents, view.lines[0].code) == (3000, 2100, "G")
    assert view.third_party == "amo"


def test_identity_of_the_beneficiary(world: World) -> None:
    """Own number, birth rank, contract and complementary number are written and read."""
    insured = replace(
        INSURED,
        own_nir="2501962643502",
        own_key="53",
        birth_rank="2",
        contract_type="12",
        complementary_number="0099999997",
    )
    view = world.fse(1, insured=insured).view()
    assert (view.own_nir, view.own_key, view.birth_rank) == ("2501962643502", "53", "2")
    assert (view.contract_type, view.complementary_number) == ("12", "0099999997")
    plain = world.fse(1).view()
    assert (plain.own_nir, plain.own_key, plain.complementary_number) == ("", "", "")


def test_view_shows_no_person(world: World) -> None:
    """Neither the view nor the FSE nor the draft shows a NIR when printed."""
    shown = repr(world.fse(1)) + repr(world.fse(1).view()) + repr(world.draft(1)) + repr(INSURED)
    assert INSURED.nir not in shown
    assert "500131" not in shown


@pytest.mark.parametrize(
    ("field", "sentence"),
    [("base_cents", "base"), ("amo_cents", "amo"), ("charged_cents", "charged"), ("amc_cents", "amc")],
)
def test_overflow_of_an_act(world: World, field: str, sentence: str) -> None:
    """An amount beyond its zone is refused with record, field and position; never cut."""
    line = replace(priced().lines[0], **{field: 10_000_000})
    with pytest.raises(InputError, match=f"record 4, field {sentence} "):
        world.draft(1, price=price_of((line,)))


def test_overflow_of_a_total(world: World) -> None:
    """Twelve acts of 99,999.99 EUR overflow the total of eight digits; ten fit."""
    line = replace(priced().lines[0], charged_cents=9_999_999, base_cents=0, amo_cents=0)
    with pytest.raises(InputError, match="record 5, field charged"):
        world.draft(1, price=price_of((line,) * 12))
    assert world.draft(1, price=price_of((line,) * 10))


def test_third_decimal_of_a_coefficient(world: World) -> None:
    """A coefficient that needs a third decimal is refused, two decimals are written."""
    line = priced().lines[0]
    with pytest.raises(InputError, match="coefficient"):
        world.draft(1, price=price_of((replace(line, coefficient=Decimal("1.005")),)))
    view = world.fse(1, price=price_of((replace(line, coefficient=Decimal("1.25")),))).view()
    assert view.lines[0].coefficient == Decimal("1.25")


@pytest.mark.parametrize("number", [0, -1, 1_000_000_000])
def test_invoice_numbers(world: World, number: int) -> None:
    """Zero, negative and ten-digit invoice numbers are refused, the largest is written."""
    with pytest.raises(InputError, match="invoice number"):
        world.draft(number)
    assert world.draft(999_999_999).number == 999_999_999


def test_no_act(world: World) -> None:
    """An invoice without act is refused."""
    with pytest.raises(InputError, match="no act"):
        world.draft(1, price=price_of(()))


def test_missing_and_superfluous_signatures(world: World) -> None:
    """Each mode takes exactly its own signatures."""
    draft = world.draft(1)
    signature, seal = world.cps.sign_digest(draft.digest), world.seal(draft.digest)
    with pytest.raises(InputError, match="needs Vitale seal"):
        draft.sealed(b"", world.vitale_certificate, signature)
    with pytest.raises(InputError, match="needs signature of the professional"):
        draft.sealed(seal, world.vitale_certificate)
    with pytest.raises(InputError, match="takes no Vitale seal"):
        world.draft(1, mode=1).sealed(seal, b"", signature)
    assert draft.sealed(seal, world.vitale_certificate, signature).number == 1


def test_secured_mode_needs_a_card(world: World) -> None:
    """The secured mode without Vitale serial is refused, and so is a serial without Vitale."""
    arguments = (1, NOW, PRACTITIONER, INSURED, world.request, priced())
    with pytest.raises(InputError, match="needs Vitale serial"):
        encode_fse(*arguments, mode=3)
    with pytest.raises(InputError, match="takes no Vitale serial"):
        encode_fse(*arguments, mode=1, vitale_serial=SERIAL)
    with pytest.raises(InputError, match="mode 2 is not handled"):
        encode_fse(*arguments, mode=2, vitale_serial=SERIAL)


def test_accident_date(world: World) -> None:
    """A work accident is written as its date and three zeros (B2 86-94)."""
    draft = encode_fse(
        1, NOW, PRACTITIONER, INSURED, world.request, priced(), mode=5, accident=date(2026, 10, 19)
    )
    assert draft.records[85:94] == b"261019000"


STAY = CareRequest(
    date(2026, 11, 20),
    Practitioner("99", "9"),
    Beneficiary(date(1980, 5, 1), complementary="tm100"),
    (Act("PJ", 3, charged_cents=300_000),),
    third_party="full",
)


def test_a_stay_is_in_the_hospital_columns(world: World) -> None:
    """Days in an establishment: a record 3, the hospital totals of record 5, and the DRE of its share."""
    asked = price(STAY, Tables.load())
    assert (asked.third_party, asked.amo_cents, asked.amc_cents, asked.patient_cents) == (
        "full",
        240_000,
        60_000,
        0,
    )
    insured = replace(INSURED, complementary_number="0099999998")
    draft = encode_fse(7, NOW, PRACTITIONER, insured, STAY, asked, vitale_serial=SERIAL, cps_serial="1")
    records = [draft.records[at : at + 128] for at in range(0, len(draft.records), 128)]
    assert [record[:1] for record in records] == [b"2", b"2", b"3", b"5", b"7"]
    end = b2.InvoiceEnd.decode(records[3])
    names = ("hospital", "hospital_amo", "hospital_amc", "fees", "fees_amo", "fees_amc", "insured_share")
    assert [end[name] for name in names] == [300_000, 240_000, 60_000, 0, 0, 0, 60_000]
    assert (end["lines"], end["charged"]) == (1, 300_000)
    demand = demand_of(draft.records, Complementary("0099999998"))
    line = b2.HospitalLine.decode(demand.records[256:384])
    assert (line["act"], line["quantity"], line["amo"], line["amc"]) == ("PJ", 3, 0, 60_000)


def test_a_degraded_stay_is_read_back(world: World) -> None:
    """What is written of a stay is what its reader finds: code, days, amounts; a wrong total is refused."""
    draft = encode_fse(8, NOW, PRACTITIONER, INSURED, STAY, price(STAY, Tables.load()), mode=5)
    view = draft.sealed().view()
    [line] = view.lines
    assert (line.code, line.quantity, line.base_cents, line.rate) == ("PJ", 3, 300_000, 80)
    assert (view.amo_cents, view.amc_cents, view.third_party) == (240_000, 60_000, "full")
    at = b2.InvoiceEnd.at("hospital_amo")
    start = len(draft.records) - 128
    wrong = bytearray(draft.records)
    wrong[start + at.start : start + at.stop] = b"00240001"
    with pytest.raises(LotRefusal):
        Fse.parse(bytes(wrong))


@pytest.mark.parametrize("kind", [b"2", b"4", b"5"])
def test_missing_record(world: World, kind: bytes) -> None:
    """An invoice without its beginning, act or end is refused as out of place."""
    data = world.fse(1).to_bytes()
    records = [data[at : at + 128] for at in range(0, len(data), 128)]
    gone = next(i for i, record in enumerate(records) if record[:1] == kind)
    with pytest.raises(LotRefusal) as refused:
        Fse.parse(b"".join(records[:gone] + records[gone + 1 :]))
    assert (refused.value.error_class, refused.value.error_code) == ("F", "2002")


def test_acts_of_every_kind_are_read(world: World) -> None:
    """CCAM and biology details beside an act are read: the view shows the CCAM code."""
    from gateway.records import b2

    data = world.fse(1, mode=5).to_bytes()
    numbers = {name: data[b2.FeeLine.at(name)].decode() for name in ("ps", "nir", "nir_key", "rank")}
    ccam = b2.FeeCcam.encode(**numbers, invoice=1, code="ZZZZ001", activity="1", phase="0")
    biology = b2.FeeBiology.encode(**numbers, invoice=1, code_1="0001123", quantity_1=1, date_1="261119")
    end = data.index(b"5" + numbers["ps"].encode())
    fse = Fse.parse(data[:end] + ccam + biology + data[end:])
    assert fse.view().lines[0].code == "ZZZZ001"


def test_engine_acts(world: World) -> None:
    """Two acts of the tables make two lines and one total."""
    wanted = price(replace(world.request, acts=(Act("G"), Act("G"))), Tables.load())
    assert len(world.fse(1, price=wanted).view().lines) == 2
