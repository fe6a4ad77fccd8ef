"""What must hold for every sheet: shares add up, none is negative, more rights never cost more."""

from __future__ import annotations

import dataclasses
import json
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.billing.amounts import euros
from gateway.billing.engine import price, share
from gateway.billing.exemption import KINDS, Exemption
from gateway.billing.request import (
    NATURES,
    PATHWAYS,
    THIRD_PARTIES,
    Act,
    Beneficiary,
    CareRequest,
    Practitioner,
)
from gateway.billing.tables import Tables

TABLES = Tables.load()
QUICK = settings(max_examples=300, deadline=None)

days = st.dates(date(2020, 1, 1), date(2026, 11, 22))
exemptions = st.lists(
    st.builds(Exemption, st.sampled_from(sorted(set(KINDS) - {"acs"})), st.none() | days, st.none() | days),
    max_size=3,
).map(tuple)
amounts = st.none() | st.integers(0, 20_000)
main_acts = st.sampled_from(("G", "GS", "C", "V", "VG", "TCG"))
acts = st.lists(
    st.builds(Act, main_acts, st.integers(1, 3), st.just(Decimal(1)), amounts), min_size=1, max_size=4
)
people = st.builds(
    Beneficiary,
    birth_date=st.dates(date(1930, 1, 1), date(2020, 1, 1)),
    alsace_moselle=st.booleans(),
    ald=st.booleans(),
    css=st.booleans(),
    ame=st.booleans(),
    aspa=st.booleans(),
    pregnancy_month=st.none() | st.integers(1, 9),
    complementary=st.sampled_from((None, "tm100", "responsible")),
    foreign=st.booleans(),
    exemptions=exemptions,
)
about = (st.sampled_from(PATHWAYS), st.sampled_from(NATURES), st.sampled_from(THIRD_PARTIES))
of_doctors = st.builds(
    CareRequest,
    days,
    st.builds(Practitioner, st.just("01"), st.sampled_from("1239"), st.booleans()),
    people,
    acts.map(tuple),
    *about,
)
BILLED = {
    "06": ("JQGD010", "DEQP003"),
    "19": ("HBLD038",),
    "24": ("AMI", "AIS", "DI"),
    "30": ("4103", "0552"),
    "50": ("3400949497294", "3400936485464"),
    "51": ("VSL",),
    "99": ("PJ",),
}
"""Acts of every family but that of consultations: heavy ones, 100 % Santé, coded, priced as charged."""


@st.composite
def of_others(draw: st.DrawFn) -> CareRequest:
    """A sheet of somebody else than a general practitioner; amounts within every limit of the tables."""
    specialty = draw(st.sampled_from(sorted(BILLED)))
    lines = draw(
        st.lists(
            st.builds(Act, st.sampled_from(BILLED[specialty]), charged_cents=st.integers(0, 20_000)),
            min_size=1,
            max_size=2,
        )
    )
    who = Practitioner(specialty, draw(st.sampled_from("1239")), draw(st.booleans()))
    day = draw(st.dates(date(2025, 9, 1), date(2026, 11, 22)))
    return CareRequest(day, who, draw(people), tuple(lines), *(draw(one) for one in about))


requests = of_doctors | of_others()


@QUICK
@given(requests)
def test_shares_add_up_to_the_charge(request: CareRequest) -> None:
    """On every line and in total: AMO + AMC + what remains = charged, base + excess = charged."""
    got = price(request, TABLES)
    for line in got.lines:
        assert line.base_cents + line.excess_cents == line.charged_cents
        assert line.amo_cents + line.amc_cents <= line.charged_cents
        spared = (line.amo_cents if got.third_party != "none" else 0) + (
            line.amc_cents if got.third_party == "full" else 0
        )
        assert line.patient_cents + spared == line.charged_cents
    for name in ("base", "amo", "amc", "patient", "excess", "charged"):
        assert getattr(got, f"{name}_cents") == sum(getattr(line, f"{name}_cents") for line in got.lines)
    assert got.amo_cents + got.amc_cents + got.remaining_cents == got.charged_cents


@QUICK
@given(requests)
def test_no_amount_is_negative(request: CareRequest) -> None:
    """No share is ever below zero, and AMO never pays more than the base."""
    for line in price(request, TABLES).lines:
        amounts_of_line = (
            line.base_cents,
            line.amo_cents,
            line.amc_cents,
            line.excess_cents,
            line.patient_cents,
        )
        assert min(amounts_of_line) >= 0
        assert line.amo_cents <= line.base_cents


RIGHTS: dict[str, object] = {
    "exemptions": (Exemption("ald"),),
    "alsace_moselle": True,
    "ald": True,
    "css": True,
    "ame": True,
    "aspa": True,
    "pregnancy_month": 6,
    "complementary": "tm100",
}
NOTHING: dict[str, object] = {"pregnancy_month": None, "complementary": None, "exemptions": ()}


@QUICK
@given(requests, st.sampled_from(sorted(RIGHTS)))
def test_a_right_more_never_costs_more(request: CareRequest, right: str) -> None:
    """Adding one right lowers or keeps what is paid at the desk and what finally remains."""
    plain = dataclasses.replace(request.beneficiary, **{right: NOTHING.get(right, False)})
    if request.nature == "maternite" and right == "pregnancy_month":
        plain = dataclasses.replace(
            plain, pregnancy_month=5
        )  # no month is a declared maternity, a right already
    richer = dataclasses.replace(plain, **{right: RIGHTS[right]})
    less = price(dataclasses.replace(request, beneficiary=plain), TABLES)
    more = price(dataclasses.replace(request, beneficiary=richer), TABLES)
    assert more.patient_cents <= less.patient_cents
    assert more.remaining_cents <= less.remaining_cents


@QUICK
@given(requests)
def test_more_third_party_never_costs_more_at_the_desk(request: CareRequest) -> None:
    """none >= amo >= full at the desk; the shares themselves do not move."""
    prices = [price(dataclasses.replace(request, third_party=kind), TABLES) for kind in THIRD_PARTIES]
    assert prices[0].patient_cents >= prices[1].patient_cents >= prices[2].patient_cents
    assert len({(one.amo_cents, one.amc_cents) for one in prices}) == 1


@QUICK
@given(requests)
def test_the_pathway_never_costs_more_than_leaving_it(request: CareRequest) -> None:
    """Out of pathway AMO pays at most what it pays in pathway."""
    inside = price(dataclasses.replace(request, pathway="T"), TABLES)
    outside = price(dataclasses.replace(request, pathway="S2"), TABLES)
    assert outside.amo_cents <= inside.amo_cents


@QUICK
@given(requests)
def test_who_runs_the_solidarity_cover_changes_no_sum(request: CareRequest) -> None:
    """CSS free, with contribution, or run by an insurer: the patient pays the same, only the payer moves."""
    base = dataclasses.replace(request.beneficiary, css=True)
    kinds: tuple[dict[str, bool], ...] = ({}, {"css_contribution": True}, {"css_insurer": True})
    free, paid, insured = (
        price(dataclasses.replace(request, beneficiary=dataclasses.replace(base, **kind)), TABLES)
        for kind in kinds
    )
    assert free.to_json() | {"why": []} == paid.to_json() | {"why": []}
    assert {one.third_party for one in (free, paid, insured)} == {"full"}
    assert free.patient_cents == insured.patient_cents
    assert free.amo_cents + free.amc_cents == insured.amo_cents + insured.amc_cents


@QUICK
@given(requests, st.dates(date(2005, 1, 1), date(2030, 12, 31)))
def test_a_right_counts_on_its_days_only(request: CareRequest, end: date) -> None:
    """A long illness with an end gives the price of the flag until that day, and of nobody after it."""
    person = dataclasses.replace(request.beneficiary, ald=False, exemptions=())
    dated = dataclasses.replace(person, exemptions=(Exemption("ald", None, end),))
    flagged = dataclasses.replace(person, ald=request.date <= end)
    got, wanted = (
        price(dataclasses.replace(request, beneficiary=one), TABLES).to_json() for one in (dated, flagged)
    )
    assert {**got, "why": []} == {**wanted, "why": []}
    ended = [line for line in got["why"] if "not counted" in line]
    assert len(ended) == (request.date > end)


@QUICK
@given(requests, st.dictionaries(st.sampled_from(("TE2", "RQD", "G")), st.integers(0, 999)) | st.none())
def test_every_request_survives_its_json(request: CareRequest, billed: dict[str, int] | None) -> None:
    """The JSON form read again is the same request, exemptions and counts included."""
    counted = None if billed is None else tuple(sorted(billed.items()))
    person = dataclasses.replace(request.beneficiary, billed_this_year=counted)
    asked = dataclasses.replace(request, beneficiary=person, acts=request.acts[:1])
    ordered = all(one.start is None or one.end is None or one.start <= one.end for one in person.exemptions)
    if ordered:
        assert CareRequest.from_json(json.loads(json.dumps(asked.to_json()))) == asked


@QUICK
@given(requests)
def test_same_request_same_price(request: CareRequest) -> None:
    """Pricing has no memory: freshly loaded tables give the same price and the same words."""
    assert price(request, TABLES) == price(request, FRESH)


FRESH = Tables.load()


@QUICK
@given(requests)
def test_why_is_plain_lines(request: CareRequest) -> None:
    """Every reason is one line of text that ends like a sentence, two at least for each act.

    Every amount of a line that is not nothing is named in a reason of its act.
    """
    got = price(request, TABLES)
    assert len(got.why) > 2 * len(got.lines)
    for line in got.lines:
        mine = " ".join(reason for reason in got.why if reason.startswith(f"{line.code}: "))
        for cents in (line.base_cents, line.amo_cents, line.amc_cents, line.excess_cents):
            assert not cents or euros(cents) in mine
    assert all("\n" not in line and line.endswith(".") for line in got.why)


@QUICK
@given(st.integers(0, 10**7), st.integers(0, 100))
def test_share_is_half_up(cents: int, percent: int) -> None:
    """The integer formula equals exact half-up rounding of the fraction."""
    exact = Fraction(cents * percent, 100)
    assert share(cents, percent) == int(exact + Fraction(1, 2))


def test_dental_golden_shares() -> None:
    """28.92 at 60 %: 17.35 and 11.57; at 70 %: 20.24 and 8.68; 16.13 at 70 %: 11.29."""
    assert (share(2892, 60), 2892 - share(2892, 60)) == (1735, 1157)
    assert (share(2892, 70), 2892 - share(2892, 70)) == (2024, 868)
    assert share(1613, 70) == 1129


@QUICK
@given(st.dates(date(2017, 5, 1), date(2035, 12, 31)))
def test_g_always_has_one_tariff(day: date) -> None:
    """There is no day without a tariff of G since 2017, and prices never fall from one day to the next."""
    request = CareRequest(day, Practitioner(), Beneficiary(date(1980, 1, 1)), (Act("G"),))
    after = dataclasses.replace(request, date=day + timedelta(days=1))
    assert price(request, TABLES).base_cents <= price(after, TABLES).base_cents
